"""What Lambda refuses in a function's configuration, where LocalStack takes it; checked before the operation.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
"""

import functools
import io
import re
import zipfile
from pathlib import Path
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.api.lambda_ import InvalidParameterValueException
from localstack.aws.handlers import serve_custom_service_request_handlers
from localstack.http import Response
from localstack.services.lambda_ import api_utils
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.runtimes import DEPRECATED_RUNTIMES

UNZIPPED_BYTES = 262_144_000
_OPERATIONS = frozenset({"CreateFunction", "UpdateFunctionConfiguration", "UpdateFunctionCode"})
# Field and its name in messages -> minimum and maximum value.
_RANGES = {"Timeout": ("timeout", 1, 900), "MemorySize": ("memorySize", 128, 10_240)}
_STORAGE = ("ephemeralStorage.size", 512, 10_240)
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_HANDLER = re.compile(r"\S+")
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
_RESERVED = frozenset(
    (
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    )
)


def install() -> None:
    """Join the gateway's chain."""
    serve_custom_service_request_handlers.append(_on_request)


def _on_request(_chain: Any, context: RequestContext, _response: Response) -> None:
    if context.operation is None or context.operation.name not in _OPERATIONS:
        return
    request: Any = context.service_request or {}
    for field, (name, minimum, maximum) in _RANGES.items():
        _check_range(name, request.get(field), minimum, maximum)
    _check_range(_STORAGE[0], (request.get("EphemeralStorage") or {}).get("Size"), *_STORAGE[1:])
    _check_handler(request, context.operation.name)
    _check_runtime(request.get("Runtime"))
    if len(request.get("Description") or "") > 256:
        _invalid(request["Description"], "description", "Member must have length less than or equal to 256")
    _check_variables((request.get("Environment") or {}).get("Variables") or {})
    _check_size(context, request)


def _invalid(value: Any, field: str, rule: str) -> None:
    message = f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {rule}"
    raise CommonServiceException("ValidationException", message, status_code=400, sender_fault=True)


def _check_range(field: str, value: int | None, minimum: int, maximum: int) -> None:
    if value is not None and value < minimum:
        _invalid(value, field, f"Member must have value greater than or equal to {minimum}")
    if value is not None and value > maximum:
        _invalid(value, field, f"Member must have value less than or equal to {maximum}")


def _check_runtime(runtime: str | None) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html#runtimes-deprecated"""
    if runtime in DEPRECATED_RUNTIMES:
        raise InvalidParameterValueException(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions.",
            Type="User",
        )


def _check_handler(request: Any, operation: str) -> None:
    handler = request.get("Handler")
    if operation == "CreateFunction" and request.get("PackageType", "Zip") == "Zip" and not handler:
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.", Type="User"
        )
    if handler is None:
        return
    if len(handler) > 128:
        _invalid(handler, "handler", "Member must have length less than or equal to 128")
    if not _HANDLER.fullmatch(handler):
        _invalid(handler, "handler", "Member must satisfy regular expression pattern: [^\\s]+")


def _check_variables(variables: dict[str, str]) -> None:
    if wrong := [name for name in variables if not _NAME.fullmatch(name) and name not in _RESERVED]:
        rule = "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
        _invalid(f"{{{', '.join(wrong)}}}", "environment.variables", f"{rule}[a-zA-Z]([a-zA-Z0-9_])+]")
    if reserved := [name for name in variables if name in _RESERVED]:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used "
            f"in this request: {', '.join(reserved)}",
            Type="User",
        )


def _check_size(context: RequestContext, request: Any) -> None:
    """250 MB unzipped, of the function and its layers together; code from S3 is checked when it has layers, too."""
    present = _present(context, request)
    layers = request.get("Layers")
    found = [_layer(arn) for arn in layers] if layers is not None else list(present.layers) if present else []
    if not found or None in found:
        return  # an unknown layer is the operation's error; code alone is LocalStack's check
    code = request.get("Code") or request
    if archive := code.get("ZipFile"):
        size = _unzipped(archive)
    elif code.get("S3Bucket"):
        size = _unzipped(_object(context, code))
    else:
        size = _stored(present.code) if present and present.code else 0
    total = size + sum(_stored(layer.code) for layer in found)
    if total > UNZIPPED_BYTES:
        raise InvalidParameterValueException(
            f"Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_BYTES} bytes. "
            f"The actual size is {total} bytes.",
            Type="User",
        )


def _present(context: RequestContext, request: Any) -> Any:
    name = api_utils.get_name_and_qualifier(request.get("FunctionName") or "", None, context)[0]
    function = lambda_stores[context.account_id][context.region].functions.get(name)
    return function.latest().config if function else None


def _layer(arn: str) -> Any:
    try:
        region, account, name, version = api_utils.parse_layer_arn(arn)
        return lambda_stores[account][region].layers[name].layer_versions.get(version)
    except (KeyError, AttributeError, TypeError, ValueError):
        return None


def _object(context: RequestContext, code: Any) -> bytes:
    from botocore.exceptions import ClientError
    from localstack.aws.connect import connect_to

    place = {"Bucket": code["S3Bucket"], "Key": code["S3Key"]}
    if version := code.get("S3ObjectVersion"):
        place["VersionId"] = version
    s3 = connect_to(aws_access_key_id=context.account_id, region_name=context.region).s3
    try:
        content: bytes = s3.get_object(**place)["Body"].read()
    except ClientError:
        return b""  # the operation says what is wrong
    return content


def _unzipped(archive: bytes) -> int:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return sum(entry.file_size for entry in opened.infolist())
    except zipfile.BadZipFile:
        return 0


@functools.lru_cache(maxsize=1024)
def _folder_size(folder: str, _code: str) -> int:
    return sum(one.lstat().st_size for one in Path(folder).rglob("*") if not one.is_dir())


def _stored(code: Any) -> int:
    code.prepare_for_execution()
    return _folder_size(str(code.get_unzipped_code_location()), str(code.id))
