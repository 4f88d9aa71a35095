"""What a killed deployment has made and no state has: found by its planned name, and imported by the next plan.

Terraform stores its state now and then while it applies, so a run that is killed loses what it made since. The plan
after it wants to make these again; AWS answers that they exist. `sluice plan --adopt` asks AWS about each name that is
to be made and can be made once, and plans with an import block for those that are there:
https://developer.hashicorp.com/terraform/language/import
Nothing is imported that does not carry the tags of this stack, and nothing is changed before the plan is deployed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from sluice.console import fail
from sluice.promotion.preflight import Clients
from sluice.terraform import identity
from sluice.terraform.variables import Known

FILE: Final = "adopted.tf"
TAGS: Final = ("project", "env", "managed-by")
_AT_A_TIME: Final = 8
_MISSING: Final = frozenset({
    "404", "NoSuchBucket", "NoSuchEntity", "NotFoundException", "NotFound", "ResourceNotFoundException",
    "EntityNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
    "StateMachineDoesNotExist", "DBClusterNotFoundFault", "DBInstanceNotFound", "DBInstanceNotFoundFault",
    "DBSubnetGroupNotFoundFault",
})  # fmt: skip
# Athena's answer for a workgroup that is not there: https://docs.aws.amazon.com/athena/latest/APIReference/API_GetWorkGroup.html
_ATHENA: Final = "InvalidRequestException"


@dataclass(frozen=True)
class Place:
    """Where the deployment goes."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, rest: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"


Planned = Mapping[str, Any]
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A type of which AWS has one of a name. `asked`: parameters of the call that finds it, from the planned
    attributes. `id`: Terraform's id for the import, from these and AWS's answer; empty when it is not in there."""

    service: str
    operation: str
    asked: Callable[[Planned, Place], Mapping[str, Any]]
    id: Callable[[Planned, Answer, Place], str]


def _named(service: str, operation: str, parameter: str, attribute: str = "name") -> Kind:
    """The attribute is the parameter and the id."""
    return Kind(service, operation, lambda p, _: {parameter: p[attribute]}, lambda p, _, __: str(p[attribute]))


def _log_group(planned: Planned, answer: Answer, _: Place) -> str:
    return next((one["logGroupName"] for one in answer["logGroups"] if one["logGroupName"] == planned["name"]), "")


def _permission(planned: Planned, answer: Answer, _: Place) -> str:
    found = {one.get("Sid") for one in json.loads(answer["Policy"])["Statement"]}
    whole = ":".join(filter(None, (planned["function_name"], planned.get("qualifier"))))
    return f"{whole}/{planned['statement_id']}" if planned["statement_id"] in found else ""


def _mapping(_: Planned, answer: Answer, __: Place) -> str:
    return next((one["UUID"] for one in answer["EventSourceMappings"]), "")


def _of_function(planned: Planned, _: Place) -> Mapping[str, Any]:
    qualifier = planned.get("qualifier")
    return {"FunctionName": planned["function_name"]} | ({"Qualifier": qualifier} if qualifier else {})


KINDS: Final[Mapping[str, Kind]] = {
    "aws_s3_bucket": Kind(
        "s3", "head_bucket", lambda p, at: {"Bucket": p["bucket"], "ExpectedBucketOwner": at.account},
        lambda p, _, __: str(p["bucket"]),
    ),
    "aws_iam_role": _named("iam", "get_role", "RoleName"),
    "aws_cloudwatch_log_group": Kind(
        "logs", "describe_log_groups", lambda p, _: {"logGroupNamePrefix": p["name"]}, _log_group
    ),
    "aws_sqs_queue": Kind(
        "sqs", "get_queue_url", lambda p, _: {"QueueName": p["name"]}, lambda _, a, __: a["QueueUrl"]
    ),
    "aws_sns_topic": Kind(
        "sns", "get_topic_attributes", lambda p, at: {"TopicArn": at.arn("sns", p["name"])},
        lambda p, _, at: at.arn("sns", p["name"]),
    ),
    "aws_dynamodb_table": _named("dynamodb", "describe_table", "TableName"),
    "aws_lambda_function": _named("lambda", "get_function_configuration", "FunctionName", "function_name"),
    "aws_lambda_alias": Kind(
        "lambda", "get_alias", lambda p, _: {"FunctionName": p["function_name"], "Name": p["name"]},
        lambda p, _, __: f"{p['function_name']}/{p['name']}",
    ),
    "aws_lambda_permission": Kind("lambda", "get_policy", _of_function, _permission),
    "aws_lambda_event_source_mapping": Kind(
        "lambda", "list_event_source_mappings",
        lambda p, _: {"FunctionName": p["function_name"], "EventSourceArn": p["event_source_arn"]}, _mapping,
    ),
    "aws_glue_catalog_database": Kind(
        "glue", "get_database", lambda p, _: {"Name": p["name"]}, lambda p, _, at: f"{at.account}:{p['name']}"
    ),
    "aws_glue_catalog_table": Kind(
        "glue", "get_table", lambda p, _: {"DatabaseName": p["database_name"], "Name": p["name"]},
        lambda p, _, at: f"{at.account}:{p['database_name']}:{p['name']}",
    ),
    "aws_glue_crawler": _named("glue", "get_crawler", "Name"),
    "aws_glue_job": _named("glue", "get_job", "JobName"),
    "aws_sfn_state_machine": Kind(
        "stepfunctions", "describe_state_machine",
        lambda p, at: {"stateMachineArn": at.arn("states", f"stateMachine:{p['name']}")},
        lambda p, _, at: at.arn("states", f"stateMachine:{p['name']}"),
    ),
    "aws_cloudwatch_event_bus": _named("events", "describe_event_bus", "Name"),
    "aws_cloudwatch_event_archive": _named("events", "describe_archive", "ArchiveName"),
    "aws_athena_workgroup": _named("athena", "get_work_group", "WorkGroup"),
    "aws_scheduler_schedule_group": _named("scheduler", "get_schedule_group", "Name"),
    "aws_scheduler_schedule": Kind(
        "scheduler", "get_schedule", lambda p, _: {"GroupName": p["group_name"], "Name": p["name"]},
        lambda p, _, __: f"{p['group_name']}/{p['name']}",
    ),
    "aws_secretsmanager_secret": Kind(
        "secretsmanager", "describe_secret", lambda p, _: {"SecretId": p["name"]}, lambda _, a, __: a["ARN"]
    ),
    "aws_db_subnet_group": _named("rds", "describe_db_subnet_groups", "DBSubnetGroupName"),
    "aws_rds_cluster": _named("rds", "describe_db_clusters", "DBClusterIdentifier", "cluster_identifier"),
    "aws_rds_cluster_instance": _named("rds", "describe_db_instances", "DBInstanceIdentifier", "identifier"),
    "aws_redshiftserverless_namespace": _named(
        "redshift-serverless", "get_namespace", "namespaceName", "namespace_name"
    ),
    "aws_redshiftserverless_workgroup": _named(
        "redshift-serverless", "get_workgroup", "workgroupName", "workgroup_name"
    ),
}  # fmt: skip
"""By Terraform's type: those whose second creation AWS refuses, or would answer with the first. What is not here is
written over by a second call (policies, rules, alarms, objects), or gets a name of AWS's own (networks, REST APIs,
versions of layers)."""


@dataclass(frozen=True)
class Found:
    """What is there and in no state. `id`: for Terraform's import."""

    address: str
    id: str


def found(document: Mapping[str, Any], place: Place, clients: Clients) -> list[Found]:
    """What a plan wants to make and the account has, by address; whose it is, the plan with the imports says.

    document: Terraform's own of the plan. Raises SluiceError (code 1) when AWS refuses a question.
    """
    wanted = [one for one in document.get("resource_changes", ()) if one["change"]["actions"] == ["create"]]
    asked = [one for one in wanted if one["mode"] == "managed" and one["type"] in KINDS]

    def look(one: Mapping[str, Any]) -> Found | None:
        id = _id(KINDS[one["type"]], one["change"]["after"], place, clients)
        return Found(str(one["address"]), id) if id else None

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return sorted((one for one in pool.map(look, asked) if one is not None), key=lambda one: one.address)


def _id(kind: Kind, planned: Planned, place: Place, clients: Clients) -> str:
    """Empty when there is none, or when its name is known only while Terraform applies."""
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    try:
        parameters = dict(kind.asked(planned, place))
    except (KeyError, TypeError):
        return ""
    if any(value is None for value in parameters.values()):
        return ""
    try:
        answer = identity.call(clients(kind.service), kind.operation, **parameters)
    except ClientError as error:
        code = code_of(error)
        if code in _MISSING or (code == _ATHENA and kind.service == "athena"):
            return ""
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html: another account's; preflight names it
        if kind.service == "s3" and code in ("403", "301", "400", "AccessDenied"):
            return ""
        fail(f"what account {place.account} has cannot be read: {kind.operation}: {code}", 1)
    return kind.id(planned, answer, place)


def blocks(those: Sequence[Found]) -> str:
    """Terraform's import blocks."""
    return "".join(f"import {{\n  to = {one.address}\n  id = {_quoted(one.id)}\n}}\n" for one in those)


def _quoted(text: str) -> str:
    """https://developer.hashicorp.com/terraform/language/expressions/strings"""
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")


def require_ours(document: Mapping[str, Any], account: str) -> None:
    """Of a plan with imports: raises SluiceError (code 1) when something carries other tags than it is to have.

    What has no tags belongs to something that has: an alias and a permission to their function.
    """
    for address, id, missing in _foreign(document):
        wanted = ", ".join(f"{name}={value}" for name, value in missing.items())
        fail(
            f"account {account} has {id} ({address}) already, and its tags do not say that it is this stack's"
            f" ({wanted}): tag it so if it is, or remove it",
            1,
        )


def _foreign(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    for one in document.get("resource_changes", ()):
        change = one["change"]
        importing = change.get("importing")
        if not importing:
            continue
        before, after = (change.get(side) or {} for side in ("before", "after"))
        if "tags_all" not in before:
            continue
        tags, wanted = (values.get("tags_all") or {} for values in (before, after))
        missing = {name: wanted[name] for name in TAGS if name in wanted and tags.get(name) != wanted[name]}
        if missing:
            yield str(one["address"]), str(importing.get("id", "")), missing


def left(document: Mapping[str, Any], known: Known, clients: Clients) -> list[str]:
    """ARNs that carry this stack's tags and are in no state, nor in the plan's imports: networks, REST APIs and other
    things without a name of ours, of which the next deployment makes another one.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html: it lists what was
    removed a short while ago, too.
    """
    ours = {"project": known.project, "env": known.env, "managed-by": "terraform"}
    filters = [{"Key": name, "Values": [value]} for name, value in ours.items()]
    have, listed, token = set(_strings(document.get("prior_state") or {})), [], ""
    while True:
        page = identity.call(
            clients("resourcegroupstaggingapi"), "get_resources", TagFilters=filters, PaginationToken=token
        )
        listed += [str(one["ResourceARN"]) for one in page["ResourceTagMappingList"]]
        token = page.get("PaginationToken") or ""
        if not token:
            # RDS copies a cluster's tags to the snapshots that it makes by itself.
            return sorted(one for one in listed if one not in have and "snapshot:" not in one)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(one)
