"""Time to live and tags of a table; the list of tables.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TagResource.html
"""

from typing import Any

from sluice_ext.dynamodb.errors import DynamoError, invalid, not_found
from sluice_ext.dynamodb.requests import Body, check, constraint, violated

_TAGS, _TABLES = 50, 100
_ATTRIBUTE_LENGTH = 255


def update_time_to_live(backend: Any, body: Body) -> dict[str, Any]:
    """UpdateTimeToLive."""
    check(body, "TableName", "TimeToLiveSpecification")
    given = body["TimeToLiveSpecification"]
    name = given.get("AttributeName")
    where = "timeToLiveSpecification.attributeName"
    if not name:
        rule = "not be null" if name is None else "have length greater than or equal to 1"
        raise violated([constraint(name, where, rule)])
    if len(name) > _ATTRIBUTE_LENGTH:
        raise violated([constraint(name, where, f"have length less than or equal to {_ATTRIBUTE_LENGTH}")])
    if type(given.get("Enabled")) is not bool:
        raise violated([constraint(None, "timeToLiveSpecification.enabled", "not be null")])
    table = _table(backend, body["TableName"])
    enabled = table.ttl.get("TimeToLiveStatus") == "ENABLED"
    if enabled == given["Enabled"]:
        raise invalid(f"TimeToLive is already {'enabled' if enabled else 'disabled'}")
    if enabled and table.ttl.get("AttributeName") != name:
        raise invalid(
            f"TimeToLive is active on a different AttributeName: current AttributeName is {table.ttl['AttributeName']}"
        )
    backend.update_time_to_live(table.name, given)
    return {"TimeToLiveSpecification": given}


def describe_time_to_live(backend: Any, body: Body) -> dict[str, Any]:
    """DescribeTimeToLive."""
    check(body, "TableName")
    found = _table(backend, body["TableName"]).ttl
    enabled = found.get("TimeToLiveStatus") == "ENABLED"
    return {"TimeToLiveDescription": found if enabled else {"TimeToLiveStatus": "DISABLED"}}


def describe_contributor_insights(backend: Any, body: Body) -> dict[str, Any]:
    """DescribeContributorInsights: nothing here can enable them.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeContributorInsights.html
    """
    check(body, "TableName")
    table, index = _table(backend, body["TableName"]), body.get("IndexName")
    if index and index not in {one.name for one in table.all_indexes()}:
        raise not_found(f"Requested resource not found: Index: {index} not found")
    about = {"TableName": table.name} | ({"IndexName": index} if index else {})
    return about | {"ContributorInsightsStatus": "DISABLED"}


def check_deletion(backend: Any, body: Body) -> None:
    """Names the table of a DeleteTable that is not there, as moto does not."""
    check(body, "TableName")
    _table(backend, body["TableName"])


def tag_resource(backend: Any, body: Body) -> dict[str, Any]:
    """TagResource: a tag whose key the table has is replaced."""
    table = _of_arn(backend, body)
    tags = {one["Key"]: one for one in table.tags}
    tags |= {one["Key"]: one for one in body.get("Tags") or ()}
    if len(tags) > _TAGS:
        raise invalid(f"One or more parameter values were invalid: Number of tags exceeds the limit of {_TAGS}")
    table.tags = list(tags.values())
    return {}


def untag_resource(backend: Any, body: Body) -> dict[str, Any]:
    """UntagResource."""
    table = _of_arn(backend, body)
    removed = set(body.get("TagKeys") or ())
    table.tags = [one for one in table.tags if one["Key"] not in removed]
    return {}


def list_tags_of_resource(backend: Any, body: Body) -> dict[str, Any]:
    """ListTagsOfResource; a table has 50 tags at most, which is one page."""
    try:
        table = _of_arn(backend, body)
    except DynamoError as error:
        if error.code != "ResourceNotFoundException":
            raise
        arn = body["ResourceArn"]
        message = f"User is not authorized to perform: dynamodb:ListTagsOfResource on resource: {arn}"
        raise DynamoError("AccessDeniedException", message) from None
    return {"Tags": table.tags}


def list_tables(backend: Any, body: Body) -> dict[str, Any]:
    """ListTables, in alphabetical order."""
    check(body)
    limit = body.get("Limit") or _TABLES
    if limit > _TABLES:
        raise violated([constraint(limit, "limit", f"have value less than or equal to {_TABLES}")])
    start = body.get("ExclusiveStartTableName") or ""
    names = sorted(name for name in backend.tables if name > start)
    answer: dict[str, Any] = {"TableNames": names[:limit]}
    return answer | ({"LastEvaluatedTableName": names[limit - 1]} if len(names) > limit else {})


def _table(backend: Any, name: str) -> Any:
    short = name.rsplit("/", 1)[-1]
    if short not in backend.tables:
        raise not_found(f"Requested resource not found: Table: {short} not found")
    return backend.tables[short]


def _of_arn(backend: Any, body: Body) -> Any:
    check(body, "ResourceArn")
    arn = body["ResourceArn"]
    if not arn.startswith("arn:"):
        raise invalid(f"Invalid TableArn: Invalid ResourceArn provided as input {arn}")
    table = backend.tables.get(arn.rsplit("/", 1)[-1])
    if table is None or table.table_arn != arn:
        raise not_found(f"Requested resource not found: ResourcArn: {arn} not found")
    return table
