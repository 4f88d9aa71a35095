"""Definitions of tables: what CreateTable refuses, and UpdateTable.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
"""

import json
import re
from typing import Any

from moto.dynamodb.models.utilities import dynamo_json_dump

from sluice_ext.dynamodb import descriptions, encryption
from sluice_ext.dynamodb.errors import DynamoError, invalid, invalid_values, not_found
from sluice_ext.dynamodb.requests import Body, check, constraint, violated

_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
_NAME_LENGTH = (3, 255)
_KEYS, _LOCAL_INDEXES, _GLOBAL_INDEXES = 2, 5, 20
_VIEWS = ("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY")
_ON_DEMAND = "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"


def check_creation(_backend: Any, body: Body) -> None:
    """Raises DynamoError for what moto would accept."""
    if body.get("TableName") is None:
        raise invalid("The parameter 'TableName' is required but was not present in the request")
    faults = _name_faults(body["TableName"]) or _member_faults(body)
    if faults:
        raise violated(faults)
    check(body, "AttributeDefinitions", "KeySchema")
    _check_keys(body["KeySchema"], {one["AttributeName"] for one in body["AttributeDefinitions"]})
    if body.get("BillingMode") == "PAY_PER_REQUEST" and body.get("ProvisionedThroughput"):
        raise invalid_values(_ON_DEMAND)
    local, global_ = body.get("LocalSecondaryIndexes") or [], body.get("GlobalSecondaryIndexes") or []
    for index in local:
        _check_local(index, body["KeySchema"])
    for found, limit, what in ((local, _LOCAL_INDEXES, "Local"), (global_, _GLOBAL_INDEXES, "Global")):
        if len(found) > limit:
            raise invalid_values(f"{what}SecondaryIndex count exceeds the per-table limit of {limit}")
    names = [index["IndexName"] for index in (*local, *global_)]
    for name in names:
        if names.count(name) > 1:
            raise invalid_values(f"Duplicate index name: {name}")
    for index in (*local, *global_):
        _check_projection(index)
    _check_stream(body.get("StreamSpecification"))
    _check_here(body)


def _name_faults(name: str) -> list[str]:
    faults = []
    if len(name) < _NAME_LENGTH[0]:
        faults.append(constraint(name, "tableName", f"have length greater than or equal to {_NAME_LENGTH[0]}"))
    if len(name) > _NAME_LENGTH[1]:
        faults.append(constraint(name, "tableName", f"have length less than or equal to {_NAME_LENGTH[1]}"))
    if name and not _NAME.fullmatch(name):
        faults.append(constraint(name, "tableName", f"satisfy regular expression pattern: {_NAME.pattern}"))
    return faults


def _member_faults(body: Body) -> list[str]:
    faults = []
    for number, one in enumerate(body.get("AttributeDefinitions") or (), 1):
        if one.get("AttributeType") not in ("S", "N", "B"):
            where = f"attributeDefinitions.{number}.member.attributeType"
            faults.append(constraint(one.get("AttributeType"), where, "satisfy enum value set: [B, N, S]"))
    for number, one in enumerate(body.get("KeySchema") or (), 1):
        if one.get("KeyType") not in ("HASH", "RANGE"):
            where = f"keySchema.{number}.member.keyType"
            faults.append(constraint(one.get("KeyType"), where, "satisfy enum value set: [HASH, RANGE]"))
    return faults + _throughput_faults(body)


def _throughput_faults(body: Body) -> list[str]:
    faults = []
    for name in ("ReadCapacityUnits", "WriteCapacityUnits"):
        amount = (body.get("ProvisionedThroughput") or {}).get(name)
        if amount is not None and amount < 1:
            where = f"provisionedThroughput.{name[0].lower()}{name[1:]}"
            faults.append(constraint(amount, where, "have value greater than or equal to 1"))
    return faults


def _check_keys(schema: list[dict[str, str]], defined: set[str]) -> None:
    if len(schema) > _KEYS:
        shown = ", ".join(
            f"KeySchemaElement(attributeName={k['AttributeName']}, keyType={k['KeyType']})" for k in schema
        )
        raise violated([constraint(f"[{shown}]", "keySchema", f"have length less than or equal to {_KEYS}")])
    names = [one["AttributeName"] for one in schema]
    if len(set(names)) < len(names):
        raise invalid("Invalid KeySchema: Some index key attribute have no definition")
    for one, kind, which in zip(schema, ("HASH", "RANGE"), ("first", "second"), strict=False):
        if one["KeyType"] != kind:
            raise invalid(f"Invalid KeySchema: The {which} KeySchemaElement is not a {kind} key type")
    if any(name not in defined for name in names):
        raise invalid_values(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(sorted(defined))}]"
        )


def _check_local(index: Body, schema: list[dict[str, str]]) -> None:
    if len(schema) < _KEYS:
        raise invalid_values(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
        )
    name, keys = index["IndexName"], index["KeySchema"]
    if len(keys) < _KEYS:
        raise invalid_values(f"Index KeySchema does not have a range key for index: {name}")
    found, wanted = keys[0]["AttributeName"], schema[0]["AttributeName"]
    if found != wanted:
        raise invalid_values(
            f"Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. "
            f"index hash key: {found}, table hash key: {wanted}"
        )


def _check_projection(index: Body) -> None:
    projection = index.get("Projection") or {}
    kind = projection.get("ProjectionType")
    if kind is None:
        raise invalid_values("Unknown ProjectionType: null")
    others = projection.get("NonKeyAttributes")
    if kind == "INCLUDE" and not others:
        raise invalid_values("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    if kind != "INCLUDE" and others is not None:
        raise invalid_values(f"ProjectionType is {kind}, but NonKeyAttributes is specified")


def _check_stream(given: Body | None) -> None:
    if given is None:
        return
    view = given.get("StreamViewType")
    if view is not None and view not in _VIEWS:
        where = "streamSpecification.streamViewType"
        raise violated([constraint(view, where, f"satisfy enum value set: [{', '.join(_VIEWS)}]")])
    if given.get("StreamEnabled") and view is None:
        raise invalid_values("StreamViewType must be specified when StreamEnabled is true")
    if not given.get("StreamEnabled") and view is not None:
        raise invalid_values("StreamViewType cannot be specified when StreamEnabled is false")


def created(backend: Any, body: Body) -> dict[str, Any]:
    """CreateTable's answer, after moto has made the table: with what moto does not store."""
    table = backend.tables[body["TableName"]]
    if body.get("TableClass"):
        descriptions.set_class(table, body["TableClass"])
    answer: dict[str, Any] = json.loads(dynamo_json_dump(table.describe()))
    return answer


def update_table(backend: Any, body: Body) -> dict[str, Any]:
    """UpdateTable. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html"""
    check(body, "TableName")
    _check_here(body)
    faults = _throughput_faults(body)
    if faults:
        raise violated(faults)
    name = body["TableName"].rsplit("/", 1)[-1]
    table = backend.tables.get(name)
    if table is None:
        raise not_found(f"Requested resource not found: Table: {name} not found")
    _check_billing(body, table)
    _check_stream(body.get("StreamSpecification"))
    defined = {one["AttributeName"]: one for one in table.attr}
    added = {one["AttributeName"]: one for one in body.get("AttributeDefinitions") or ()}
    changes = body.get("GlobalSecondaryIndexUpdates")
    for change in changes or ():
        _check_index_change(change, table, defined | added)
    encrypted = encryption.planned(table, body["SSESpecification"]) if body.get("SSESpecification") else None
    found = backend.update_table(
        name=name,
        attr_definitions=list((defined | added).values()) if added else None,
        global_index=changes,
        throughput=body.get("ProvisionedThroughput"),
        billing_mode=body.get("BillingMode"),
        stream_spec=body.get("StreamSpecification"),
        deletion_protection_enabled=body.get("DeletionProtectionEnabled"),
        warm_throughput=body.get("WarmThroughput"),
    )
    if body.get("TableClass"):
        descriptions.set_class(found, body["TableClass"])
    if encrypted:
        found.sse_specification, _ = encrypted
    answer: dict[str, Any] = json.loads(dynamo_json_dump(descriptions.as_updated(found)))
    described = answer["TableDescription"]
    if encrypted:
        _, described["SSEDescription"] = encrypted
    if body.get("WarmThroughput"):
        described["WarmThroughput"]["Status"] = "UPDATING"
    for one in described.get("GlobalSecondaryIndexes", ()):
        if one["IndexName"] in {change["Create"]["IndexName"] for change in changes or () if "Create" in change}:
            one["IndexStatus"] = "CREATING"
    return answer


def _check_billing(body: Body, table: Any) -> None:
    wanted = body.get("ProvisionedThroughput")
    if wanted is None:
        return
    if body.get("BillingMode", table.billing_mode) == "PAY_PER_REQUEST":
        raise invalid_values(_ON_DEMAND)
    current = table.throughput
    names = ("ReadCapacityUnits", "WriteCapacityUnits")
    if table.billing_mode == "PROVISIONED" and all(wanted.get(name) == current.get(name) for name in names):
        compared = " ".join(
            f"Current {name} provisioned for the table: {current[name]}. Requested {name}: {wanted[name]}."
            for name in names
        )
        raise invalid(
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            f"{compared} Refer to the Amazon DynamoDB Developer Guide for current limits "
            "and how to request higher limits."
        )


def _check_index_change(change: Body, table: Any, defined: Body) -> None:
    names = {index.name for index in table.all_indexes()}
    created, updated, deleted = change.get("Create"), change.get("Update"), change.get("Delete")
    for other in (updated, deleted):
        if other and other["IndexName"] not in names:
            raise not_found("Requested resource not found")
    if created:
        if created["IndexName"] in names:
            raise invalid_values("Attempting to create an index which already exists")
        _check_keys(created["KeySchema"], set(defined))
        _check_projection(created)


def _check_here(body: Body) -> None:
    """Refuses what moto would store nothing of."""
    if body.get("ReplicaUpdates"):
        raise DynamoError("NotImplementedException", "Replicas are not supported here", status=501)


def not_here(_backend: Any, _body: Body) -> dict[str, Any]:
    """Operations that would answer with success and do nothing."""
    raise DynamoError("NotImplementedException", "Imports and exports of tables are not supported here", status=501)
