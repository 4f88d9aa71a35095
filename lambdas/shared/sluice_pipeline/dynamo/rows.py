"""Silver rows as items of a DynamoDB table: one for each key of the dataset, the newest version of it.

What is stored does not depend on the order in which objects come, nor on how often: an item changes only for a newer
version, or for the same version of a newer run. Rows that a newer run of their object no longer has are deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sluice_pipeline.dynamo.keys import SORT_KEY_BYTES, fitting, former_key, is_plain, join_key
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain, storable, text_of, typed

BY_OBJECT: Final = "by_object"  # index: object_id, run_key
TEXT_CHARACTERS: Final = 4000  # of a string in an item, which holds 400 KB; silver has the whole
ITEM_BYTES: Final = 350_000  # of the columns; the rest of the 400 KB is for keys
FORMER: Final = "former"  # in an item that is to be stored: where it would have been before keys were escaped
_NEWER: Final = (
    "attribute_not_exists(pk) OR row_version < :version OR ( row_version = :version AND run_key <= :run_key )"
)
_OFFSET: Final = "_source_offset"


def run_key(run: int) -> str:
    """Run numbers as strings that sort as they do."""
    return f"{run:010d}"


def row_key(dataset: str, values: Sequence[Any]) -> tuple[str, str]:
    """``pk`` and ``sk`` of the row whose key columns have these values.

    A key in which something is escaped, cut or empty has a prefix of its own, so that it is never that of another
    row's item which was stored before keys were escaped.
    """
    sk = join_key(*values)
    prefix = "row" if all(map(is_plain, values)) and sk == former_key(*values) else "escaped-row"
    return f"{prefix}#{dataset}#{sk}", sk


def version_of(row: Mapping[str, Any], time_field: str, received_at: str) -> str:
    """Sorts rows of one key: by their own time, then by when their object came, then by their place in it."""
    return f"{text_of(row[time_field])}|{received_at}|{row['_record_id'].rpartition('-')[0]}|{row[_OFFSET]:016d}"


def keyed_item(
    dataset: str, key: Sequence[str], row: Mapping[str, Any], time_field: str, received_at: str, run: int
) -> dict[str, Any]:
    """The item of a silver row under the key of its columns ``key``, with ``time_key`` to sort it in indexes."""
    values = [row[name] for name in key]
    pk, sk = row_key(dataset, values)
    former = former_key(*values)
    item = row_item(row, pk, sk, time_field, received_at, run)
    item["time_key"] = fitting(f"{text_of(row[time_field])}#{former}")  # sorts only, so two rows may share one
    # what is too long for a key has never been stored under it
    if pk != (former_pk := f"row#{dataset}#{former}") and len(former.encode()) <= SORT_KEY_BYTES:
        item[FORMER] = {"pk": former_pk, "sk": former, "columns": list(key)}
    return item


def row_item(row: Mapping[str, Any], pk: str, sk: str, time_field: str, received_at: str, run: int) -> dict[str, Any]:
    """The item of a silver row. Its columns are in ``row``: times as ISO 8601 in UTC, numbers as Decimal, no nulls.

    Long text is cut, more of it when the columns together would not fit; ``cut`` then names the columns.
    """
    whole = {name: storable(value) for name, value in row.items() if value is not None and not name.startswith("_")}
    columns, limit = _cut(whole, TEXT_CHARACTERS), TEXT_CHARACTERS
    while _size(columns) > ITEM_BYTES and limit > 1:
        limit //= 2
        columns = _cut(whole, limit)
    cut = sorted(name for name in whole if columns[name] is not whole[name])
    return {
        "pk": pk,
        "sk": sk,
        "row": columns,
        "row_version": version_of(row, time_field, received_at),
        "object_id": row["_record_id"].rpartition("-")[0],
        "source_key": row["_source_key"],
        "run_key": run_key(run),
    } | ({"cut": cut} if cut else {})


def _cut(columns: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {name: v[:limit] if isinstance(v, str) and len(v) > limit else v for name, v in columns.items()}


def _size(columns: Mapping[str, Any]) -> int:
    """At least the bytes of the columns in an item: other values than text are well under 40."""
    return sum(len(name.encode()) + (len(v.encode()) if isinstance(v, str) else 40) for name, v in columns.items())


class RowTable:
    def __init__(self, client: Any, name: str) -> None:
        self.table = Table(client, name)
        self._client = client

    def upsert(self, items: Sequence[Mapping[str, Any]]) -> int:
        """Stores items that hold ``pk``, ``sk``, ``row_version``, ``object_id`` and ``run_key``; how many were written.

        Of several with one key only the newest version is written.
        """
        self._move_former(items)
        newest: dict[tuple[str, str], Mapping[str, Any]] = {}
        for item in items:
            key = item["pk"], item["sk"]
            if key not in newest or newest[key]["row_version"] <= item["row_version"]:
                newest[key] = item
        return sum(self.table.apply_each([self._put_newer(item) for item in newest.values()]))

    def _put_newer(self, item: Mapping[str, Any]) -> dict[str, Any]:
        stored = {name: value for name, value in item.items() if name != FORMER}
        return self.table.put_action(stored, _NEWER, {":version": item["row_version"], ":run_key": item["run_key"]})

    # -- keys before they were escaped -------------------------------------------------------------------------------

    def _move_former(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Moves what is stored of these rows under their former keys to the new ones.

        A former key may hold another row with the same one; it stays until that row comes again.
        """
        wanted: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for item in items:
            if FORMER in item:
                wanted.setdefault((item[FORMER]["pk"], item[FORMER]["sk"]), []).append(item)
        for old in self.table.get_many(wanted):
            for item in wanted[old["pk"], old["sk"]]:
                if all(old["row"].get(name) == item["row"].get(name) for name in item[FORMER]["columns"]):
                    self._move(old, item["pk"], item["sk"])
                    break

    def _move(self, old: dict[str, Any], pk: str, sk: str) -> None:
        """In one transaction, so that a reader finds the row once, and the newest version of it survives."""
        delete = self.table.delete_action(
            old["pk"],
            old["sk"],
            "row_version = :version AND run_key = :run_key",
            {":version": old["row_version"], ":run_key": old["run_key"]},
        )
        if not self.table.transact([self._put_newer(old | {"pk": pk, "sk": sk}), delete]):
            # A newer version has the new key, so the old one only goes; or another worker has moved or changed it,
            # and then it is not deleted either.
            self.table.apply_each([delete])

    # -- rows that go ------------------------------------------------------------------------------------------------

    def sweep(self, object_id: str, run: int) -> int:
        """Deletes what runs before ``run`` have left of an object; how many items.

        The index is eventually consistent: what it does not show yet is deleted when the message comes again, or by
        the next run.
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
        """Deletes these versions of rows; how many were there. Other versions of them stay."""
        self._move_former(items)
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
