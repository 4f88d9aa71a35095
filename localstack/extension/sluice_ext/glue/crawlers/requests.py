"""What a crawler is asked to be: the request's parts, checked and with AWS's defaults.

https://docs.aws.amazon.com/glue/latest/webapi/API_CreateCrawler.html
"""

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

from sluice_ext.glue import errors, roles
from sluice_ext.glue.common import role_arn
from sluice_ext.glue.crawlers import globs, schedules
from sluice_ext.glue.crawlers.store import Crawler, Store

_SHOWN: Final = (
    "Name", "Role", "DatabaseName", "Description", "Targets", "Classifiers", "TablePrefix", "SchemaChangePolicy",
    "RecrawlPolicy", "LineageConfiguration", "LakeFormationConfiguration", "Configuration",
    "CrawlerSecurityConfiguration",
)  # fmt: skip
_GROUPING: Final = ("CombineCompatibleSchemas",)
_LOG_ONLY: Final = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}


def made(request: Mapping[str, Any], store: Store, account: str) -> dict[str, Any]:
    """What GetCrawler shows of a request for a new crawler. Raises InvalidInputException."""
    given = {key: copy.deepcopy(request[key]) for key in _SHOWN if request.get(key) is not None}
    given["SchemaChangePolicy"] = {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DEPRECATE_IN_DATABASE",
    } | dict(given.get("SchemaChangePolicy") or {})
    given["RecrawlPolicy"] = {"RecrawlBehavior": "CRAWL_EVERYTHING"} | dict(given.get("RecrawlPolicy") or {})
    given.setdefault("Classifiers", [])
    given.setdefault("LineageConfiguration", {"CrawlerLineageSettings": "DISABLE"})
    given.setdefault("LakeFormationConfiguration", {"UseLakeFormationCredentials": False, "AccountId": ""})
    given["Targets"] = _targets(given["Targets"])
    if given["Targets"]["CatalogTargets"]:
        _complete_of_tables(given)
    elif not given.get("DatabaseName"):
        raise errors.invalid("DatabaseName is required for targets in S3.")
    given["DatabaseName"] = str(given.get("DatabaseName") or "").lower()
    for name in given["Classifiers"]:
        if name not in store.classifiers:
            raise errors.not_found(f"Classifier {name} not found.")
    check_role(given["Role"], account)
    _check_policies(given)
    _check_configuration(given.get("Configuration"))
    return given


def changed(crawler: Crawler, request: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """The crawler after UpdateCrawler: what the request does not name stays."""
    return made(crawler.given | {k: v for k, v in request.items() if v is not None}, store, crawler.account)


def _complete_of_tables(given: dict[str, Any]) -> None:
    """What is so for crawlers of tables: https://docs.aws.amazon.com/glue/latest/dg/crawler-data-stores.html"""
    if given["SchemaChangePolicy"]["DeleteBehavior"] != "LOG":
        raise errors.invalid("The SchemaChangePolicy for a catalog target can have only LOG DeleteBehavior value.")
    if given["RecrawlPolicy"]["RecrawlBehavior"] != "CRAWL_EVERYTHING":
        raise errors.invalid(
            "A crawler of catalog targets crawls everything: RecrawlBehavior must be CRAWL_EVERYTHING."
        )
    given.setdefault("Configuration", '{"Version":1.0,"Grouping":{"TableGroupingPolicy":"CombineCompatibleSchemas"}}')


def _tables(given: Any) -> list[dict[str, Any]]:
    listed = [dict(one) for one in given or []]
    for one in listed:
        for unsupported in ("ConnectionName", "EventQueueArn", "DlqEventQueueArn"):
            if one.get(unsupported):
                raise errors.invalid(f"{unsupported} of a catalog target is not supported by this engine.")
        if not one.get("DatabaseName") or not one.get("Tables"):
            raise errors.invalid("A catalog target names a database and its tables.")
    return listed


def _targets(given: Mapping[str, Any]) -> dict[str, Any]:
    known = ("S3Targets", "CatalogTargets")
    others = sorted(kind for kind, listed in given.items() if listed and kind not in known)
    if others:
        raise errors.invalid(
            f"{others[0]} are not supported by this engine: its crawlers read S3Targets and CatalogTargets."
        )
    listed, tables = [dict(one) for one in given.get("S3Targets") or []], _tables(given.get("CatalogTargets"))
    if not listed and not tables:
        raise errors.invalid("At least one crawl target is required.")
    if listed and tables:
        raise errors.invalid("A crawler of catalog targets has no targets of other kinds.")
    for one in listed:
        path = str(one.get("Path") or "")
        bucket = path.removeprefix("s3://").split("/")[0]
        if path.startswith("s3a://") or path.startswith("s3n://") or not path:
            raise errors.invalid(f"The S3 path {path!r} is not valid.")
        if not bucket:
            raise errors.invalid(f"The S3 path {path!r} names no bucket.")
        if one.get("SampleSize") is not None and not 1 <= one["SampleSize"] <= 249:
            raise errors.invalid("SampleSize must be between 1 and 249.")
        for unsupported in ("ConnectionName", "EventQueueArn", "DlqEventQueueArn"):
            if one.get(unsupported):
                raise errors.invalid(f"{unsupported} of an S3 target is not supported by this engine.")
        try:
            globs.matcher(one.get("Exclusions") or [])
        except globs.BadGlob as problem:
            raise errors.invalid(f"Exclude pattern {problem}") from None
        one["Path"] = path if path.startswith("s3://") else f"s3://{path}"
        one.setdefault("Exclusions", [])
    # GetCrawler shows every kind of target.
    empty: dict[str, list[Any]] = {
        "JdbcTargets": [],
        "MongoDBTargets": [],
        "DynamoDBTargets": [],
        "DeltaTargets": [],
    }
    return {"S3Targets": listed, "CatalogTargets": tables} | empty | {"IcebergTargets": [], "HudiTargets": []}


def check_role(role: str, account: str) -> None:
    """Raises InvalidInputException when Glue may not assume the role."""
    if not roles.assumable(role, account, must_exist=True):
        raise errors.invalid(
            f"Service is unable to assume provided role. Please verify role's TrustPolicy: {role_arn(role, account)}"
        )


def _check_policies(given: Mapping[str, Any]) -> None:
    behavior = given["RecrawlPolicy"]["RecrawlBehavior"]
    if behavior == "CRAWL_EVENT_MODE":
        raise errors.invalid("RecrawlBehavior CRAWL_EVENT_MODE is not supported by this engine.")
    if behavior == "CRAWL_NEW_FOLDERS_ONLY" and given["SchemaChangePolicy"] != _LOG_ONLY:
        raise errors.invalid(
            "The SchemaChangePolicy for 'Crawl new folders only' Amazon S3 target can have only LOG DeleteBehavior "
            "value and LOG UpdateBehavior value."
        )


def _check_configuration(text: str | None) -> None:
    """https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html#crawler-configure-changes-api"""
    if not text:
        return
    try:
        found = json.loads(text)
        grouping, output = found.get("Grouping") or {}, found.get("CrawlerOutput") or {}
        policy, level = grouping.get("TableGroupingPolicy"), grouping.get("TableLevelConfiguration")
        tables, partitions = output.get("Tables") or {}, output.get("Partitions") or {}
    except (ValueError, AttributeError):
        raise errors.invalid(f"Crawler configuration is not valid JSON: {text}") from None
    threshold = tables.get("TableThreshold")
    for wrong in (
        found.get("Version") != 1.0 and "Version must be 1.0",
        policy is not None and policy not in _GROUPING and f"TableGroupingPolicy {policy}",
        level is not None and not _positive(level) and f"TableLevelConfiguration {level}",
        threshold is not None and not _positive(threshold) and f"TableThreshold {threshold}",
        tables.get("AddOrUpdateBehavior") not in (None, "MergeNewColumns") and "Tables.AddOrUpdateBehavior",
        partitions.get("AddOrUpdateBehavior") not in (None, "InheritFromTable") and "Partitions.AddOrUpdateBehavior",
    ):
        if wrong:
            raise errors.invalid(f"Crawler configuration is not valid: {wrong}")


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def schedule(text: str) -> str:
    """A cron(...) expression. Raises InvalidInputException."""
    try:
        schedules.parsed(text)
    except ValueError as problem:
        raise errors.invalid(f"Unable to parse schedule expression {text}: {problem}") from None
    return text
