"""Which IAM actions, on which resources, an AWS call needs. Pure: no engine, no network.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

An action has its operation's name unless a table here says otherwise; its prefix is the name that the service signs
with. A resource that the call does not name is `UNKNOWN`: then only the action is checked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice_ext.iam import passing, s3_actions
from sluice_ext.iam.condition_keys import PASS_ROLE
from sluice_ext.iam.policy import UNKNOWN

Needed = tuple[str, str]
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Where:
    """Partition, region and account that a call is sent to."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """ARN of a resource here; an ARN is returned unchanged."""
        if resource.startswith("arn:"):
            return resource
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def needed(prefix: str, operation: str, parameters: Parameters, where: Where) -> list[Needed]:
    """(action, resource) of everything that must be allowed, for example ("sqs:SendMessage", "arn:aws:sqs:...")."""
    if (prefix, operation) in _NEEDS_NOTHING:
        return []
    find = _SERVICES.get(prefix)
    found = list(find(operation, parameters, where)) if find else [_other(prefix, operation, parameters)]
    own = f"arn:{where.partition}:iam::{where.account}:role/"
    passed = passing.roles_of(prefix, operation, parameters)
    return [*found, *((PASS_ROLE, role if role.startswith("arn:") else own + role) for role in passed)]


# Every caller with credentials may make these calls, even if a policy denies them.
_NEEDS_NOTHING = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")}
# The name that a service signs with is its prefix in IAM, except for these.
PREFIXES = {"monitoring": "cloudwatch", "email": "ses", "s3express": "s3"}


def _other(prefix: str, operation: str, parameters: Parameters) -> Needed:
    """A service without a table: the resource is the call's only ARN, when there is one."""
    found = [v for k, v in parameters.items() if k.lower().endswith("arn") and str(v).startswith("arn:")]
    return f"{prefix}:{operation}", str(found[0]) if len(found) == 1 else UNKNOWN


def _sqs(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    if operation == "StartMessageMoveTask":
        for action in ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            yield f"sqs:{action}", str(parameters.get("SourceArn", UNKNOWN))
        yield "sqs:SendMessage", str(parameters.get("DestinationArn", UNKNOWN))
        return
    # A batch needs the action of its entries.
    action = f"sqs:{operation.removesuffix('Batch')}"
    if parameters.get("SourceArn"):
        yield action, str(parameters["SourceArn"])
        return
    path, _, name = str(parameters.get("QueueUrl", "")).rstrip("/").rpartition("/")
    name = str(parameters.get("QueueName") or name)
    owner = str(parameters.get("QueueOwnerAWSAccountId") or path.rpartition("/")[2])
    if owner.isdecimal() and len(owner) == 12:  # another account's queue, too
        where = replace(where, account=owner)
    if operation == "ListQueues":
        yield action, "*"
    elif operation == "CancelMessageMoveTask" or not name:
        yield action, UNKNOWN
    else:
        yield action, where.arn("sqs", name)


def _sns(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    topic = parameters.get("TopicArn") or parameters.get("TargetArn") or parameters.get("ResourceArn")
    if operation == "CreateTopic":
        topic = where.arn("sns", str(parameters.get("Name", "*")))
    elif not topic and parameters.get("SubscriptionArn"):
        topic = str(parameters["SubscriptionArn"]).rsplit(":", 1)[0]
    action = "Publish" if operation == "PublishBatch" else operation
    # A text message to a telephone number has no resource.
    yield f"sns:{action}", str(topic or "*")


_WRITES = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_DYNAMODB_NAMES = {
    "ListTables": "*",
    "DescribeEndpoints": "*",
    "DescribeLimits": "*",
}


def _dynamodb(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    def table(name: Any) -> str:
        return str(name) if str(name).startswith("arn:") else where.arn("dynamodb", f"table/{name}")

    if operation in ("TransactWriteItems", "TransactGetItems"):
        # A transaction needs the actions of its items.
        for item in parameters.get("TransactItems") or []:
            for kind, request in item.items():
                yield f"dynamodb:{_WRITES.get(kind, 'GetItem')}", table(request.get("TableName"))
    elif operation in ("BatchWriteItem", "BatchGetItem"):
        for name in parameters.get("RequestItems") or {}:
            yield f"dynamodb:{operation}", table(name)
    elif parameters.get("TableName"):
        index = f"/index/{parameters['IndexName']}" if parameters.get("IndexName") else ""
        yield f"dynamodb:{operation}", table(parameters["TableName"]) + index
    else:
        resource = parameters.get("ResourceArn") or parameters.get("TableArn") or _DYNAMODB_NAMES.get(operation)
        yield f"dynamodb:{operation}", str(resource or UNKNOWN)


def _events(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    action = f"events:{operation}"
    bus = str(parameters.get("EventBusName") or "default")
    if operation == "PutEvents":
        buses = {str(entry.get("EventBusName") or "default") for entry in parameters.get("Entries") or []}
        for name in sorted(buses):
            yield action, where.arn("events", name if name.startswith("arn:") else f"event-bus/{name}")
    elif rule := parameters.get("Rule") or ("Rule" in operation and parameters.get("Name")):
        name = bus.rsplit("/", 1)[-1]
        yield action, where.arn("events", f"rule/{rule}" if name == "default" else f"rule/{name}/{rule}")
    elif operation.startswith("List"):
        yield action, "*"
    else:
        yield _other("events", operation, parameters)


def _logs(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    group, stream = parameters.get("logGroupName"), parameters.get("logStreamName", "")
    if group is None and (arn := parameters.get("logGroupIdentifier") or parameters.get("resourceArn")):
        group = str(arn).removesuffix(":*").rsplit(":log-group:", 1)[-1]
    # AWS writes the ARN with a stream even if there is none: `...:log-group:<name>:log-stream:`.
    resource = where.arn("logs", f"log-group:{group}:log-stream:{stream}") if group else UNKNOWN
    yield f"logs:{operation}", resource


_INVOCATIONS = {"Invoke", "InvokeAsync", "InvokeWithResponseStream"}
_LAMBDA_LISTS = {"ListFunctions", "ListLayers", "ListEventSourceMappings", "GetAccountSettings"}


def _lambda(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    action = f"lambda:{'InvokeFunction' if operation in _INVOCATIONS else operation}"
    name = str(parameters.get("FunctionName") or "")
    if operation in _LAMBDA_LISTS or operation == "CreateEventSourceMapping":
        yield action, "*"
    elif not name:
        yield action, str(parameters.get("Resource") or UNKNOWN)
    else:
        # A name may be an ARN, `account:function:name` or the name alone, each with `:qualifier`.
        if not name.startswith("arn:"):
            name = where.arn("lambda", "function:" + name.rpartition("function:")[2])
        qualifier = parameters.get("Qualifier")
        yield action, f"{name}:{qualifier}" if qualifier and name.count(":") == 6 else name


def _states(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    action = f"states:{operation}"
    arn = parameters.get("executionArn") or parameters.get("stateMachineArn") or parameters.get("mapRunArn")
    if operation == "CreateStateMachine":
        arn = where.arn("states", f"stateMachine:{parameters.get('name', '*')}")
    elif operation.startswith("SendTask") or operation in ("ListStateMachines", "ListActivities"):
        arn = "*"
    yield action, str(arn or parameters.get("activityArn") or parameters.get("resourceArn") or UNKNOWN)


def _kms(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    key = str(parameters.get("KeyId") or "")
    if operation in ("CreateKey", "ListKeys", "ListAliases", "GenerateRandom"):
        yield f"kms:{operation}", "*"
    elif not key or "alias/" in key:
        # Only KMS knows the key behind an alias, or the key of a ciphertext.
        yield f"kms:{operation}", UNKNOWN
    else:
        yield f"kms:{operation}", where.arn("kms", f"key/{key}")


def _secretsmanager(operation: str, parameters: Parameters, _where: Where) -> Iterator[Needed]:
    # A call may name the secret, but the secret's ARN ends in six random characters.
    secret = str(parameters.get("SecretId") or "")
    anything = operation in ("GetRandomPassword", "ListSecrets")
    yield f"secretsmanager:{operation}", "*" if anything else secret if secret.startswith("arn:") else UNKNOWN


def _glue(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    if "Crawler" in operation:
        crawler = parameters.get("Name") or parameters.get("CrawlerName")
        yield f"glue:{operation}", where.arn("glue", f"crawler/{crawler}") if crawler else "*"
        return
    # Catalog, database and table, each of them: https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    job = parameters.get("JobName") or (operation == "CreateJob" and parameters.get("Name"))
    jobs = parameters.get("JobNames") or ([job] if job else [])
    if jobs:
        yield from ((f"glue:{operation}", where.arn("glue", f"job/{one}")) for one in jobs)
        return
    given = parameters.get("DatabaseInput") or {}
    named = parameters.get("DatabaseName")
    database = named or (operation.endswith("Database") and (parameters.get("Name") or given.get("Name")))
    table = parameters.get("TableName") or (parameters.get("TableInput") or {}).get("Name")
    if not table and named and operation in ("GetTable", "DeleteTable", "GetTables"):
        table = parameters.get("Name") or "*"
    tables = parameters.get("TablesToDelete") or ([table] if table else [])
    if not database and operation != "GetDatabases":
        yield _other("glue", operation, parameters)
        return
    action = f"glue:{operation}"
    yield action, where.arn("glue", "catalog")
    if database:
        yield action, where.arn("glue", f"database/{str(database).lower()}")
    for one in tables:
        yield action, where.arn("glue", f"table/{str(database).lower()}/{str(one).lower()}")


# These name their work group, or are of the default one; other calls name a query, and only Athena knows its group.
_OF_GROUP = (
    "StartQueryExecution",
    "ListQueryExecutions",
    "CreateNamedQuery",
    "ListNamedQueries",
    "ListPreparedStatements",
)


def _athena(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    action, group = f"athena:{operation}", parameters.get("WorkGroup")
    if operation == "CreateWorkGroup":
        group = parameters.get("Name")
    elif operation in _OF_GROUP:
        group = group or "primary"
    if group:
        yield action, where.arn("athena", f"workgroup/{group}")
    elif parameters.get("CatalogName"):
        yield action, where.arn("athena", f"datacatalog/{parameters['CatalogName']}")
    elif operation in ("ListWorkGroups", "ListDataCatalogs", "ListEngineVersions"):
        yield action, "*"
    else:
        yield _other("athena", operation, parameters)


# Only Redshift knows the ids in the ARNs of what a call names: `sluice_ext.redshift.credentials.demand` checks these.
_REDSHIFT_CHECKS = (
    "ExecuteStatement",
    "BatchExecuteStatement",
    "ListDatabases",
    "ListSchemas",
    "ListTables",
    "DescribeTable",
    "GetCredentials",
)


def _redshift(prefix: str) -> Callable[[str, Parameters, Where], Iterator[Needed]]:
    """Both APIs of Redshift. What is about a statement or a list has no resource.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshiftdataapi.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshiftserverless.html
    """

    def find(operation: str, parameters: Parameters, _where: Where) -> Iterator[Needed]:
        if operation in _REDSHIFT_CHECKS:
            return
        if prefix == "redshift-data" or (operation.startswith("List") and operation != "ListTagsForResource"):
            yield f"{prefix}:{operation}", "*"
            return
        yield f"{prefix}:{operation}", str(parameters.get("resourceArn") or UNKNOWN)

    return find


def _scheduler(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    action, group = f"scheduler:{operation}", str(parameters.get("GroupName") or "default")
    if operation.startswith("List") and "ResourceArn" not in parameters:
        yield action, "*"
    elif operation.endswith("ScheduleGroup"):
        yield action, where.arn("scheduler", f"schedule-group/{parameters.get('Name')}")
    elif operation.endswith("Schedule"):
        yield action, where.arn("scheduler", f"schedule/{group}/{parameters.get('Name')}")
    else:
        yield _other("scheduler", operation, parameters)


def _iam(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    yield f"iam:{operation}", passing.iam_resource(operation, parameters, f"arn:{where.partition}:iam::{where.account}")


def _sts(operation: str, parameters: Parameters, _where: Where) -> Iterator[Needed]:
    yield f"sts:{operation}", str(parameters.get("RoleArn") or "*")


def _no_resource(prefix: str) -> Callable[[str, Parameters, Where], Iterator[Needed]]:
    def find(operation: str, _parameters: Parameters, _where: Where) -> Iterator[Needed]:
        yield f"{prefix}:{operation}", "*"

    return find


def _s3(operation: str, parameters: Parameters, where: Where) -> Iterator[Needed]:
    yield from s3_actions.needed(operation, parameters, where.partition)


_SERVICES: dict[str, Callable[[str, Parameters, Where], Iterator[Needed]]] = {
    "s3": _s3,
    "sqs": _sqs,
    "sns": _sns,
    "dynamodb": _dynamodb,
    "events": _events,
    "logs": _logs,
    "lambda": _lambda,
    "states": _states,
    "kms": _kms,
    "iam": _iam,
    "sts": _sts,
    "secretsmanager": _secretsmanager,
    "glue": _glue,
    "athena": _athena,
    "redshift-data": _redshift("redshift-data"),
    "redshift-serverless": _redshift("redshift-serverless"),
    "scheduler": _scheduler,
    "xray": _no_resource("xray"),
}
