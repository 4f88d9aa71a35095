"""Named queries and prepared statements; EXECUTE, PREPARE and DEALLOCATE in SQL are resolved here."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.athena import workgroups
from sluice_ext.athena.errors import invalid, missing
from sluice_ext.athena.store import PRIMARY, STORES, Store

_EXECUTE = re.compile(r"\s*EXECUTE\s+(\w+)(?:\s+USING\s+(.*?))?\s*;?\s*", re.IGNORECASE | re.DOTALL)
_VALUE = re.compile(r"\s*('(?:[^']|'')*'|[^,']+|\w+\s*'(?:[^']|'')*')\s*(?:,|$)")


def _store(context: RequestContext) -> Store:
    return STORES.of(context.account_id, context.region)


def expanded(store: Store, group: str, sql: str, parameters: list[str]) -> tuple[str, list[str]]:
    """The statement behind EXECUTE, with its values; any other SQL as it is."""
    found = _EXECUTE.fullmatch(sql)
    if not found:
        return sql, parameters
    prepared = store.prepared.get((group, found[1]))
    if prepared is None:
        raise invalid(f"PreparedStatement {found[1]} was not found in workGroup {group}")
    values = [one[0].strip().rstrip(",").strip() for one in _VALUE.finditer(found[2])] if found[2] else parameters
    return str(prepared["QueryStatement"]), values


# -- named queries ---------------------------------------------------------------------------------------------------


def _create_named(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    store, group = _store(context), request.get("WorkGroup") or PRIMARY
    workgroups.get_group(store, group)
    with STORES.lock:
        if made := store.made_by(request):
            return {"NamedQueryId": made}
        name = str(uuid.uuid4())
        store.named[name] = {
            "Name": request["Name"],
            "Description": request.get("Description") or "",
            "Database": request["Database"],
            "QueryString": request["QueryString"],
            "NamedQueryId": name,
            "WorkGroup": group,
        }
        store.remember(request, name)
    return {"NamedQueryId": name}


def _named(context: RequestContext, name: str) -> dict[str, Any]:
    found = _store(context).named.get(name)
    if found is None:
        raise invalid(f"NamedQuery {name} was not found")
    return found


def _get_named(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    return {"NamedQuery": _named(context, request["NamedQueryId"])}


def _batch_named(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    store, names = _store(context), request["NamedQueryIds"]
    return {
        "NamedQueries": [store.named[name] for name in names if name in store.named],
        "UnprocessedNamedQueryIds": [
            {"NamedQueryId": name, "ErrorCode": "INVALID_INPUT", "ErrorMessage": f"NamedQuery {name} was not found"}
            for name in names
            if name not in store.named
        ],
    }


def _list_named(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    group = request.get("WorkGroup") or PRIMARY
    names = [name for name, one in _store(context).named.items() if one["WorkGroup"] == group]
    found, token = workgroups.page(names, request, 50)
    return {"NamedQueryIds": found, "NextToken": token}


def _update_named(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    with STORES.lock:
        found = _named(context, request["NamedQueryId"])
        found |= {key: request[key] for key in ("Name", "Description", "QueryString") if request.get(key) is not None}
    return {}


def _delete_named(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    with STORES.lock:
        _named(context, request["NamedQueryId"])
        del _store(context).named[request["NamedQueryId"]]
    return {}


# -- prepared statements ---------------------------------------------------------------------------------------------


def _create_prepared(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    store, key = _store(context), (request["WorkGroup"], request["StatementName"])
    workgroups.get_group(store, key[0])
    with STORES.lock:
        if key in store.prepared:
            raise invalid(f"PreparedStatement {key[1]} is already created")
        store.prepared[key] = {
            "StatementName": key[1],
            "WorkGroupName": key[0],
            "QueryStatement": request["QueryStatement"],
            "Description": request.get("Description") or "",
            "LastModifiedTime": datetime.now(UTC),
        }
    return {}


def _prepared(context: RequestContext, request: ServiceRequest) -> dict[str, Any]:
    key = (request["WorkGroup"], request["StatementName"])
    found = _store(context).prepared.get(key)
    if found is None:
        raise missing(f"PreparedStatement {key[1]} was not found in workGroup {key[0]}", key[1])
    return found


def _get_prepared(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    return {"PreparedStatement": _prepared(context, request)}


def _list_prepared(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    listed = [one for (group, _), one in sorted(_store(context).prepared.items()) if group == request["WorkGroup"]]
    found, token = workgroups.page(listed, request, 50)
    shown = [{key: one[key] for key in ("StatementName", "LastModifiedTime")} for one in found]
    return {"PreparedStatements": shown, "NextToken": token}


def _update_prepared(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    with STORES.lock:
        found = _prepared(context, request)
        found |= {"QueryStatement": request["QueryStatement"], "LastModifiedTime": datetime.now(UTC)}
        if request.get("Description") is not None:
            found["Description"] = request["Description"]
    return {}


def _delete_prepared(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    with STORES.lock:
        _prepared(context, request)
        del _store(context).prepared[(request["WorkGroup"], request["StatementName"])]
    return {}


OPERATIONS: dict[str, Callable[[RequestContext, ServiceRequest], ServiceResponse]] = {
    "CreateNamedQuery": _create_named,
    "GetNamedQuery": _get_named,
    "BatchGetNamedQuery": _batch_named,
    "ListNamedQueries": _list_named,
    "UpdateNamedQuery": _update_named,
    "DeleteNamedQuery": _delete_named,
    "CreatePreparedStatement": _create_prepared,
    "GetPreparedStatement": _get_prepared,
    "ListPreparedStatements": _list_prepared,
    "UpdatePreparedStatement": _update_prepared,
    "DeletePreparedStatement": _delete_prepared,
}
