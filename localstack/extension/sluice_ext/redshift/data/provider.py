"""The service `redshift-data`: statements and their results."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service

from sluice_ext import paging
from sluice_ext.redshift import credentials, errors
from sluice_ext.redshift.credentials import Identity
from sluice_ext.redshift.data import browsing, requests
from sluice_ext.redshift.data.results import as_csv
from sluice_ext.redshift.data.runner import RUNNER
from sluice_ext.redshift.data.store import ENDED, STATEMENTS, Part, Session, Statement, Store, Target, new_id

Operation = Callable[[RequestContext, ServiceRequest], ServiceResponse]


def create_service() -> Service:
    """The service for LocalStack's service manager."""
    own: dict[str, Operation] = {
        "ExecuteStatement": execute,
        "BatchExecuteStatement": batch_execute,
        "DescribeStatement": describe,
        "GetStatementResult": result,
        "GetStatementResultV2": result_v2,
        "ListStatements": list_statements,
        "CancelStatement": cancel,
    }
    name = "redshift-data"
    return Service(name=name, skeleton=Skeleton(load_service(name), own | browsing.OPERATIONS))


def _store(context: RequestContext) -> Store:
    return STATEMENTS.of(context.account_id, context.region)


# -- starting --------------------------------------------------------------------------------------------------------


def execute(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_ExecuteStatement.html"""
    return _start(context, request, [str(request["Sql"])], batch=False)


def batch_execute(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_BatchExecuteStatement.html"""
    return _start(context, request, [str(one) for one in request["Sqls"]], batch=True)


def _start(context: RequestContext, request: ServiceRequest, texts: list[str], batch: bool) -> ServiceResponse:
    who, store = credentials.identity_of(context), _store(context)
    requests.checked(request)
    wait = requests.wait_seconds(request)
    with STATEMENTS.lock:
        store.forget_old()
        if (known := store.made_by(who.owner, request)) is not None:
            return dict(known)
    requests.checked_sql(texts)
    parameters = requests.parameters_of(request, texts)
    keep = requests.keep_seconds(request)
    password: str | None = None
    session: Session | None = None
    if request.get("SessionId"):
        session = _session(context, request, who)
        target = session.target
    else:
        target, password = requests.target_of(context, request, who)
    with STATEMENTS.lock:
        if (known := store.made_by(who.owner, request)) is not None:  # the same request, a moment earlier
            return dict(known)
        if store.active(target.workgroup_arn) >= requests.MAX_ACTIVE:
            message = f"The number of active statements exceeds the limit of {requests.MAX_ACTIVE}."
            raise errors.named("ActiveStatementsExceededException", message)
        session = _taken(session, target, keep, who)
        made = _made(request, texts, batch, target, who, parameters, session)
        store.statements[made.id] = made
        answer = _answer(made)
        if token := request.get("ClientToken"):
            store.tokens[who.owner, token] = (dict(request), answer)
    RUNNER.start(made, password, session)
    if wait:
        _wait(made, wait)
        return answer | _progress(made)
    return dict(answer)


def _session(context: RequestContext, request: Mapping[str, Any], who: Identity) -> Session:
    """The session that a request names. Raises ValidationException."""
    for other in ("WorkgroupName", "ClusterIdentifier", "Database", "SecretArn", "DbUser"):
        if request.get(other):
            raise errors.invalid(f"{other} can't be specified with SessionId.")
    found = RUNNER.sessions.get(str(request["SessionId"]))
    if found is None or found.owner != who.owner:
        raise errors.missing("Session does not exist, or it has expired.", str(request["SessionId"]))
    if context.operation is not None:
        credentials.demand(context, f"redshift-data:{context.operation.name}", found.target.workgroup_arn)
    return found


def _taken(session: Session | None, target: Target, keep: int | None, who: Identity) -> Session | None:
    """The session for a new statement: the one that was named, or a new one. Raises when it is busy."""
    if session is not None:
        if session.busy or RUNNER.sessions.get(session.id) is not session:
            raise errors.invalid(f"Session {session.id} is not available: a statement runs in it, or it has expired.")
        session.keep_seconds = session.keep_seconds if keep is None else keep
    elif keep:
        if len(RUNNER.sessions) >= requests.MAX_SESSIONS:
            message = f"The number of active sessions exceeds the limit of {requests.MAX_SESSIONS}."
            raise errors.named("ActiveSessionsExceededException", message)
        session = Session(new_id(), target, who.owner, keep)
        RUNNER.add_session(session)
    if session is not None:
        session.busy = True
    return session


def _made(
    request: Mapping[str, Any],
    texts: list[str],
    batch: bool,
    target: Target,
    who: Identity,
    parameters: dict[str, str],
    session: Session | None,
) -> Statement:
    name = new_id()
    whole = Part(name, "" if batch else texts[0])
    return Statement(
        whole,
        [Part(f"{name}:{number}", text) for number, text in enumerate(texts, 1)] if batch else [whole],
        target,
        who.owner,
        who.session,
        name=str(request.get("StatementName") or ""),
        parameters=parameters,
        batch=batch,
        commits_each=request.get("ExecutionMode") == "AUTO_COMMIT",
        with_event=bool(request.get("WithEvent")),
        result_format=str(request.get("ResultFormat") or "JSON"),
        session_id=session.id if session else "",
    )


def _answer(statement: Statement) -> dict[str, Any]:
    target = statement.target
    found: dict[str, Any] = {
        "Id": statement.id,
        "CreatedAt": statement.whole.created,
        "Database": target.database,
        "WorkgroupName": target.workgroup,
    }
    found |= {"SecretArn": target.secret} if target.secret else {"DbUser": target.user}
    return found | ({"SessionId": statement.session_id} if statement.session_id else {})


def _progress(statement: Statement) -> dict[str, Any]:
    return {"Status": statement.status, "RedshiftPid": statement.pid, "HasResultSet": _has_result(statement)}


def _has_result(statement: Statement) -> bool:
    return any(part.result is not None for part in statement.parts)


def _wait(statement: Statement, seconds: int) -> None:
    """Until the statement has ended, or the time is over."""
    deadline = time.monotonic() + seconds
    with STATEMENTS.changed:
        while statement.status not in ENDED and (left := deadline - time.monotonic()) > 0:
            STATEMENTS.changed.wait(left)


# -- looking ---------------------------------------------------------------------------------------------------------


def _found(context: RequestContext, request: ServiceRequest) -> tuple[Statement, Part]:
    who, name = credentials.identity_of(context), str(request["Id"])
    with STATEMENTS.lock:
        statement = _store(context).of(name, who.owner)
        return statement, Store.part(statement, name)


def describe(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_DescribeStatement.html"""
    statement, part = _found(context, request)
    if wait := requests.wait_seconds(request):
        _wait(statement, wait)
    with STATEMENTS.lock:
        target = statement.target
        found = part.shown() | {
            "Database": target.database,
            "WorkgroupName": target.workgroup,
            "RedshiftPid": statement.pid,
            "ResultFormat": statement.result_format,
        }
        found |= {"SecretArn": target.secret} if target.secret else {"DbUser": target.user}
        if statement.session_id:
            found["SessionId"] = statement.session_id
        if statement.parameters:
            found["QueryParameters"] = _shown_parameters(statement)
        if statement.batch and part is statement.whole:
            del found["QueryString"]
            found |= {"SubStatements": [one.shown() for one in statement.parts], "HasResultSet": _has_result(statement)}
            found["ExecutionMode"] = "AUTO_COMMIT" if statement.commits_each else "TRANSACTION"
        return found


def _shown_parameters(statement: Statement) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in statement.parameters.items()]


def _page(context: RequestContext, request: ServiceRequest, kind: str) -> tuple[Part, list[Any], dict[str, Any]]:
    """The part, the rows of the page that the request asks for, and what both operations show."""
    statement, part = _found(context, request)
    if wait := requests.wait_seconds(request):
        _wait(statement, wait)
    if part.result is None or part.status != "FINISHED" or statement.status != "FINISHED":
        raise errors.missing("Query does not have result. Please check query status with DescribeStatement.", part.id)
    if statement.result_format != kind:
        other = "GetStatementResult" if kind == "CSV" else "GetStatementResultV2"
        raise errors.invalid(f"The result is in {statement.result_format} format: use {other}.")
    numbers = range(max(1, len(part.result.pages)))
    try:
        [number, *_], more = paging.page(numbers, request.get("NextToken"), 1)
    except (paging.BadToken, ValueError):
        raise errors.invalid("The NextToken is not valid.") from None
    found: dict[str, Any] = {"ColumnMetadata": part.result.columns, "TotalNumRows": part.result.rows}
    return part, part.result.page(number), found | ({"NextToken": more} if more else {})


def result(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_GetStatementResult.html"""
    _, rows, found = _page(context, request, "JSON")
    return found | {"Records": rows}


def result_v2(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_GetStatementResultV2.html"""
    _, rows, found = _page(context, request, "CSV")
    return found | {"Records": [{"CSVRecords": as_csv(rows)}] if rows else [], "ResultFormat": "CSV"}


def cancel(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_CancelStatement.html"""
    statement, part = _found(context, request)
    if part is not statement.whole:
        raise errors.invalid("A sub-statement of a batch can't be cancelled: cancel the batch.")
    if statement.status in ENDED:
        raise errors.invalid(
            f"Could not cancel a query that is already in {statement.status} state with ID: {statement.id}"
        )
    RUNNER.cancel(statement)
    return {"Status": True}


def list_statements(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_ListStatements.html"""
    who, store = credentials.identity_of(context), _store(context)
    wanted = str(request.get("Status") or "FINISHED")
    if wanted not in ("ALL", "SUBMITTED", "PICKED", "STARTED", *ENDED):
        raise errors.invalid(f"Status {wanted} is not valid.")
    by_role = request.get("RoleLevel") in (None, True)
    with STATEMENTS.lock:
        store.forget_old()
        found = [
            _listed(one)
            for one in reversed(store.statements.values())
            if one.owner == who.owner
            and (by_role or one.session == who.session)
            and wanted in ("ALL", one.status)
            and one.name.startswith(request.get("StatementName") or "")
            and request.get("Database") in (None, one.target.database)
            and request.get("WorkgroupName") in (None, one.target.workgroup, one.target.workgroup_arn)
            and not request.get("ClusterIdentifier")
        ]
    some, more = browsing.page(found, request, 100)
    return {"Statements": some} | more


def _listed(statement: Statement) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Id": statement.id,
        "Status": statement.status,
        "CreatedAt": statement.whole.created,
        "UpdatedAt": statement.whole.updated,
        "IsBatchStatement": statement.batch,
        "ResultFormat": statement.result_format,
        "QueryString": statement.parts[0].sql,
    }
    if statement.batch:
        found["QueryStrings"] = [part.sql for part in statement.parts]
    for key, value in (
        ("StatementName", statement.name),
        ("SecretArn", statement.target.secret),
        ("SessionId", statement.session_id),
        ("QueryParameters", _shown_parameters(statement)),
    ):
        if value:
            found[key] = value
    return found
