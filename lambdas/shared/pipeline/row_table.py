"""Silver rows as items of a DynamoDB table: one for each key of the dataset, the newest version of it.

What is stored does not depend on the order in which objects come, nor on how often: an item changes only for a version
that is newer, or for the same one of a newer run. Rows that a newer run of their object no longer has are removed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from boto3.dynamodb.types import DYNAMODB_CONTEXT

from pipeline.table import Table, plain, typed

BY_OBJECT: Final = "by_object"  # index: object_id, run_key
TEXT_CHARACTERS: Final = 4000  # of a string in an item, which holds 400 KB; silver has the whole
_KEY_BYTES: Final = 512  # of a part of a key, which holds 1 to 2 KB
_NEWER: Final = (
    "attribute_not_exists(pk) OR row_version < :version OR ( row_version = :version AND run_key <= :run_key )"
)
_OFFSET: Final = "_source_offset"


def run_key(run: int) -> str:
    """Run numbers as strings that sort as they do."""
    return f"{run:010d}"


def key_part(value: Any) -> str:
    """A value as part of a key: never empty, never too long; a long one is cut and made unique by its hash."""
    text = text_of(value)
    if len(text.encode()) <= _KEY_BYTES:
        return text or "(empty)"
    return f"{text[:100]}~{hashlib.sha256(text.encode()).hexdigest()}"


def version_of(row: Mapping[str, Any], time_field: str, received_at: str) -> str:
    """Sorts rows of one key: by their own time, then by when their object came, then by their place in it."""
    return f"{text_of(row[time_field])}|{received_at}|{row['_record_id'].rpartition('-')[0]}|{row[_OFFSET]:016d}"


def row_item(row: Mapping[str, Any], pk: str, sk: str, time_field: str, received_at: str, run: int) -> dict[str, Any]:
    """The item of a silver row. Its columns lie in ``row``: times as ISO 8601 in UTC, numbers as Decimal, no nulls.

    Long text is cut; ``cut`` then names the columns.
    """
    columns = {name: _value(value) for name, value in row.items() if value is not None and not name.startswith("_")}
    cut = sorted(name for name, value in columns.items() if isinstance(value, str) and len(value) > TEXT_CHARACTERS)
    columns |= {name: columns[name][:TEXT_CHARACTERS] for name in cut}
    return {
        "pk": pk,
        "sk": sk,
        "row": columns,
        "row_version": version_of(row, time_field, received_at),
        "object_id": row["_record_id"].rpartition("-")[0],
        "source_key": row["_source_key"],
        "run_key": run_key(run),
    } | ({"cut": cut} if cut else {})


class RowTable:
    def __init__(self, client: Any, name: str) -> None:
        self.table = Table(client, name)
        self._client = client

    def upsert(self, items: Sequence[Mapping[str, Any]]) -> int:
        """Stores items that hold ``pk``, ``sk``, ``row_version``, ``object_id`` and ``run_key``; how many were taken.

        Of several with one key the newest version is meant; the others count as not taken.
        """
        newest: dict[tuple[str, str], Mapping[str, Any]] = {}
        for item in items:
            key = item["pk"], item["sk"]
            if key not in newest or newest[key]["row_version"] <= item["row_version"]:
                newest[key] = item
        return sum(
            self.table.apply_each(
                [
                    self.table.put_action(item, _NEWER, {":version": item["row_version"], ":run_key": item["run_key"]})
                    for item in newest.values()
                ]
            )
        )

    def sweep(self, object_id: str, run: int) -> int:
        """Removes what runs before ``run`` have left of an object; how many items.

        The index follows the table after a moment: what it does not show yet is removed when the message comes again
        or by the next run.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self.table.name,
            IndexName=BY_OBJECT,
            KeyConditionExpression="object_id = :object_id AND run_key < :run_key",
            ExpressionAttributeValues=typed({":object_id": object_id, ":run_key": run_key(run)}),
        )
        removed = 0
        for page in pages:
            actions = [
                self.table.delete_action(
                    item["pk"],
                    item["sk"],
                    "object_id = :object_id AND run_key < :run_key",
                    {":object_id": object_id, ":run_key": run_key(run)},
                )
                for item in map(plain, page["Items"])
            ]
            removed += sum(self.table.apply_each(actions))
        return removed

    def remove(self, items: Sequence[Mapping[str, Any]]) -> int:
        """Takes these versions of rows out of the table; how many were there. Other versions of them stay."""
        versions: dict[tuple[str, str], set[str]] = {}
        for item in items:
            versions.setdefault((item["pk"], item["sk"]), set()).add(item["row_version"])
        removed = 0
        while versions:  # one version of each row at a time: a transaction takes no two actions about one item
            actions = [
                self.table.delete_action(pk, sk, "row_version = :version", {":version": left.pop()})
                for (pk, sk), left in versions.items()
            ]
            removed += sum(self.table.apply_each(actions))
            versions = {key: left for key, left in versions.items() if left}
        return removed


def read_silver(s3: Any, bucket: str, key: str) -> Iterator[dict[str, Any]]:
    """The rows of a silver file, as plain Python values.

    Raises:
        botocore.exceptions.ClientError: it is not there (a newer run no longer writes it), or S3 fails.
    """
    import pyarrow as pa  # only functions with the layer `arrow` read silver
    import pyarrow.parquet as pq

    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    for batch in pq.ParquetFile(pa.BufferReader(body)).iter_batches():
        yield from batch.to_pylist()


def text_of(value: Any) -> str:
    """A value of a row as a string; times in UTC with microseconds, so that they sort."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def _value(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return text_of(value)
    if isinstance(value, float | Decimal):
        try:
            return DYNAMODB_CONTEXT.create_decimal(Decimal(str(value)))
        except ArithmeticError:  # outside of DynamoDB's numbers, such as 1e300
            return str(value)
    return value
