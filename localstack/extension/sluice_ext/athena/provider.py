"""The service: queries and their results. Work groups and what is saved are in modules of their own."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from localstack.aws.api import CommonServiceException, RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service

from sluice_ext import paging
from sluice_ext.athena import metadata, reading, saved, workgroups
from sluice_ext.athena.caller import access_key_of, clients
from sluice_ext.athena.errors import invalid
from sluice_ext.athena.files import object_of
from sluice_ext.athena.runner import RUNNER
from sluice_ext.athena.store import PRIMARY, STORES, UNFINISHED, Execution, Store

Operation = Callable[[RequestContext, ServiceRequest], ServiceResponse]
# https://docs.aws.amazon.com/athena/latest/ug/service-limits.html
_MAX_QUERY_BYTES = 262_144


def create_service() -> Service:
    """The Athena service for LocalStack's service manager."""
    own: dict[str, Operation] = {
        "StartQueryExecution": start,
        "GetQueryExecution": get,
        "BatchGetQueryExecution": batch_get,
        "ListQueryExecutions": list_executions,
        "StopQueryExecution": stop,
        "GetQueryResults": results,
        "GetQueryRuntimeStatistics": statistics,
    }
    table = own | workgroups.OPERATIONS | saved.OPERATIONS | metadata.OPERATIONS
    return Service(name="athena", skeleton=Skeleton(load_service("athena"), table))


def _store(context: RequestContext) -> Store:
    return STORES.of(context.account_id, context.region)


def start(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html"""
    store, sql = _store(context), str(request["QueryString"])
    if len(sql.encode()) > _MAX_QUERY_BYTES:
        raise invalid("Query string is too long: its maximum is 262144 bytes")
    with STORES.lock:
        if made := store.made_by(request):
            return {"QueryExecutionId": made}
    group = workgroups.enabled(store, request.get("WorkGroup") or PRIMARY)
    location = _location(request, group["Configuration"])
    sql, parameters = saved.expanded(store, group["Name"], sql, list(request.get("ExecutionParameters") or []))
    found = RUNNER.kind(sql)
    if "failed" in found:
        raise invalid(found["failed"], "MALFORMED_QUERY")
    kind, detail = found["done"]["kind"]
    execution = Execution(
        _described(request, sql, parameters, kind, detail, group, location),
        access_key_of(context),
    )
    with STORES.lock:
        store.add(execution)
        store.remember(request, execution.id)
    RUNNER.start(execution, context.region, group["Configuration"].get("BytesScannedCutoffPerQuery"))
    return {"QueryExecutionId": execution.id}


def _location(request: ServiceRequest, settings: dict[str, Any]) -> str:
    """Where results go. Settings of a work group that are enforced win."""
    own = (request.get("ResultConfiguration") or {}).get("OutputLocation")
    group = (settings.get("ResultConfiguration") or {}).get("OutputLocation")
    location = group if group and settings.get("EnforceWorkGroupConfiguration") else own or group
    if not location:
        raise invalid(
            "No output location provided. An output location is required either through the Workgroup result "
            "configuration setting or as an API input."
        )
    if not location.startswith("s3://") or len(location) <= len("s3://"):
        raise invalid(f"outputLocation is not a valid S3 path. Provided: {location}")
    return str(location).rstrip("/")


def _described(
    request: ServiceRequest,
    sql: str,
    parameters: list[str],
    kind: str,
    detail: str,
    group: dict[str, Any],
    location: str,
) -> dict[str, Any]:
    name = str(uuid.uuid4())
    suffix = "csv" if kind == "DML" else "txt"
    target = f"{location}/tables/{name}" if detail == "CREATE_TABLE_AS_SELECT" else f"{location}/{name}.{suffix}"
    configuration = {"OutputLocation": target} | {
        key: value for key, value in (request.get("ResultConfiguration") or {}).items() if key != "OutputLocation"
    }
    shown: dict[str, Any] = {
        "QueryExecutionId": name,
        "Query": sql,
        "StatementType": kind,
        "SubstatementType": detail,
        "ResultConfiguration": configuration,
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
        "QueryExecutionContext": {
            key: str(value).strip('`"').lower()
            for key, value in (request.get("QueryExecutionContext") or {}).items()
            if value
        },
        "Status": {"State": "QUEUED", "SubmissionDateTime": datetime.now(UTC)},
        "Statistics": {
            "DataScannedInBytes": 0,
            "EngineExecutionTimeInMillis": 0,
            "TotalExecutionTimeInMillis": 0,
            "QueryQueueTimeInMillis": 0,
            "ServiceProcessingTimeInMillis": 0,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        },
        "WorkGroup": group["Name"],
        "EngineVersion": dict(group["Configuration"].get("EngineVersion") or {}),
    }
    if parameters:
        shown["ExecutionParameters"] = parameters
    return shown


def _execution(store: Store, name: str) -> Execution:
    found = store.executions.get(name)
    if found is None:
        raise invalid(f"QueryExecution {name} was not found")
    return found


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetQueryExecution."""
    with STORES.lock:
        found = _execution(_store(context), request["QueryExecutionId"])
        return {"QueryExecution": found.shown | {"Status": dict(found.shown["Status"])}}


def batch_get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchGetQueryExecution."""
    store, names = _store(context), request["QueryExecutionIds"]
    with STORES.lock:
        return {
            "QueryExecutions": [store.executions[name].shown for name in names if name in store.executions],
            "UnprocessedQueryExecutionIds": [
                {
                    "QueryExecutionId": name,
                    "ErrorCode": "INVALID_INPUT",
                    "ErrorMessage": f"QueryExecution {name} was not found",
                }
                for name in names
                if name not in store.executions
            ],
        }


def list_executions(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListQueryExecutions, the newest first."""
    store, group = _store(context), request.get("WorkGroup") or PRIMARY
    workgroups.get_group(store, group)
    with STORES.lock:
        names = [one.id for one in reversed(store.executions.values()) if one.shown["WorkGroup"] == group]
    found, token = workgroups.page(names, request, 50)
    return {"QueryExecutionIds": found, "NextToken": token}


def stop(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """StopQueryExecution; a query that has ended stays as it is."""
    RUNNER.stop(_execution(_store(context), request["QueryExecutionId"]))
    return {}


def statistics(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetQueryRuntimeStatistics: the times; this engine has no stages."""
    shown = _execution(_store(context), request["QueryExecutionId"]).shown["Statistics"]
    timeline = {
        key: shown[key]
        for key in ("QueryQueueTimeInMillis", "EngineExecutionTimeInMillis", "TotalExecutionTimeInMillis")
    }
    return {"QueryRuntimeStatistics": {"Timeline": timeline, "Rows": {"InputBytes": shown["DataScannedInBytes"]}}}


def results(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetQueryResults: the first row of a SELECT's first page is its header."""
    execution = _execution(_store(context), request["QueryExecutionId"])
    if execution.state in UNFINISHED:
        raise invalid(f"Query has not yet finished. Current state: {execution.state}", "INVALID_QUERY_STATE")
    if execution.state != "SUCCEEDED":
        raise invalid(f"Query did not finish successfully. Final query state: {execution.state}", "INVALID_QUERY_STATE")
    limit = request.get("MaxResults")
    if limit is not None and not 1 <= limit <= reading.MAX_ROWS:
        raise invalid(f"MaxResults is more than maximum allowed length {reading.MAX_ROWS}.")
    columns = execution.columns
    content = _content(context, execution) if columns else ""
    kind = execution.shown["StatementType"]
    rows = list(reading.rows_of_csv(content) if kind == "DML" else reading.rows_of_text(content, len(columns)))
    try:
        found, token = paging.page(rows, request.get("NextToken"), limit or reading.MAX_ROWS)
    except paging.BadToken:
        raise invalid("Invalid NextToken") from None
    answer: dict[str, Any] = {
        "ResultSet": {"Rows": [{"Data": row} for row in found], "ResultSetMetadata": {"ColumnInfo": columns}}
    }
    if token:
        answer["NextToken"] = token
    if execution.update_count is not None:
        answer["UpdateCount"] = execution.update_count
    return answer


def _content(context: RequestContext, execution: Execution) -> str:
    """The result's file. A caller needs permission to read it, as on AWS."""
    bucket, key = object_of(execution.shown["ResultConfiguration"]["OutputLocation"])
    s3 = clients(access_key_of(context), context.region).s3
    try:
        return str(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("NoSuchKey", "NoSuchBucket"):
            raise invalid(f"Could not find results at s3://{bucket}/{key}") from error
        raise CommonServiceException(
            "AccessDeniedException", str(error.response["Error"]["Message"]), 400, True
        ) from error
