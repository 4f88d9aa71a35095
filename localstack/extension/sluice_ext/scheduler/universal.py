"""Universal targets: any action of any service, with the schedule's input as its request. Pure.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

_ARN: Final = re.compile(r"arn:aws(?:-[a-z]+)*:scheduler:::aws-sdk:([A-Za-z0-9]+):([A-Za-z0-9]+)")
# Service ids of the AWS SDK for Java 2.x that are more than boto3's name without hyphens.
_NAMES: Final = {
    "applicationautoscaling": "application-autoscaling",
    "cloudwatchevents": "events",
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "costexplorer": "ce",
    "databasemigration": "dms",
    "directory": "ds",
    "eventbridge": "events",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "elasticsearch": "es",
    "sfn": "stepfunctions",
    "redshiftdata": "redshift-data",
    "redshiftserverless": "redshift-serverless",
    "wafv2": "wafv2",
}
# What only reads is refused: its answer would go nowhere.
_READS: Final = re.compile(
    r"(get|describe|list|poll|receive|search|scan|query|select|read|lookup|discover|validate|batchGet|batchDescribe|"
    r"batchRead|transactGet|adminGet|adminList|testMigration|retrieve|testConnection|translateDocument|isAuthorized|"
    r"invokeModel)(?=[A-Z]|$)"
)


class Refused(ValueError):
    """No target. The message is AWS's."""


@dataclass(frozen=True)
class Action:
    """``service`` as boto3 names it, ``operation`` as the API does."""

    service: str
    operation: str
    method: str

    def request(self, text: str) -> dict[str, Any]:
        """The parameters for boto3. ``text`` is JSON with the names of the API. Raises Refused."""
        try:
            given = json.loads(text or "{}")
        except ValueError as error:
            raise Refused(f"Invalid RequestJson provided. Reason {error}") from error
        if not isinstance(given, dict):
            raise Refused("Invalid RequestJson provided. Reason it is not an object")
        shape = _model(self.service).operation_model(self.operation).input_shape
        parameters = _as_named(shape, given) if shape else {}
        report = ParamValidator().validate(parameters, shape) if shape else None
        if report is not None and report.has_errors():
            raise Refused(f"Invalid RequestJson provided. Reason {report.generate_report()}")
        return dict(parameters)


def is_universal(arn: str) -> bool:
    """Whether a target's ARN is of this kind, right or wrong."""
    return ":scheduler:::aws-sdk:" in arn


def parse(arn: str) -> Action:
    """The action that an ARN names. Raises Refused."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise Refused("Provided Arn is not in correct format.")
    service, action = match.groups()
    if _READS.match(action):
        raise Refused(f"The action {action} of {service} is read-only and is not supported")
    name = _service(service.lower())
    operations = {one.lower(): one for one in _model(name).operation_names} if name else {}
    operation = operations.get(action.lower())
    if name is None or operation is None or not action[:1].islower():
        raise Refused(f"The action {action} of {service} is not supported")
    from botocore import xform_name

    return Action(name, operation, xform_name(operation))


@lru_cache(maxsize=1)
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@lru_cache(maxsize=1)
def _services() -> dict[str, str]:
    return {name.replace("-", ""): name for name in _session().get_available_services()}


def _service(sdk_name: str) -> str | None:
    return _NAMES.get(sdk_name) or _services().get(sdk_name)


@lru_cache(maxsize=16)
def _model(name: str) -> ServiceModel:
    try:
        return _session().get_service_model(name)
    except UnknownServiceError as error:
        raise Refused(f"The service {name} is not supported") from error


def _as_named(shape: Any, value: Any) -> Any:
    """The value with members named as the model does: the SDK's begin with a capital, some of the model's do not."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        names = {name.lower(): name for name in shape.members}
        named = {names.get(key.lower(), key): one for key, one in value.items()}
        return {key: _as_named(shape.members[key], one) if key in shape.members else one for key, one in named.items()}
    if kind == "list" and isinstance(value, list):
        return [_as_named(shape.member, one) for one in value]
    if kind == "map" and isinstance(value, dict):
        return {key: _as_named(shape.value, one) for key, one in value.items()}
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    return value
