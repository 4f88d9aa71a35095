"""Partitions of the Glue tables: one for each date, whose location is the date's folder in silver.

One that a compaction has moved is moved back, for its compacted files do not have the object's rows as they are now.

A partition has columns of its own, from which Athena reads its files, so they are kept as the table's are:
https://docs.aws.amazon.com/athena/latest/ug/updates-and-partitions.html
"""

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any, Final

from botocore.exceptions import ClientError

from lake.compaction.places import compacted_root

# https://docs.aws.amazon.com/glue/latest/webapi/API_BatchGetPartition.html, API_BatchCreatePartition.html
_READ: Final = 1000
_WRITTEN: Final = 100
_DONE_BY_ANOTHER: Final = "AlreadyExistsException"


class TableMissing(RuntimeError):
    """The dataset has no table yet: its deployment is under way, and a retry finds it."""


class PartitionsRefused(RuntimeError):
    """Glue did not write some partitions; a retry writes those that are missing."""


class Partitions:
    def __init__(self, glue: Any, database: str) -> None:
        self._glue = glue
        self._database = database

    def ensure(self, dataset: str, dates: Sequence[str], former: Sequence[str] = ()) -> tuple[int, int]:
        """How many partitions were added, and how many got the table's present columns or silver's folder again.

        ``former``: dates of which the object has no rows any more; their partitions are not added.

        Raises:
            TableMissing, PartitionsRefused: as they say.
        """
        base, wanted = self._wanted(dataset, [*dates, *former])
        found: dict[str, Any] = {}
        for batch in batched(wanted, _READ, strict=False):
            found |= self._found(dataset, batch)
        new = [wanted[date] for date in dates if date not in found]
        root = compacted_root(base, dataset)
        old = [_changed(found[date], one, root) for date, one in wanted.items() if date in found]
        old = [one for one in old if one]
        for some in batched(new, _WRITTEN, strict=False):
            answer = self._glue.batch_create_partition(**self._table(dataset), PartitionInputList=list(some))
            _require(answer.get("Errors") or (), dataset)
        for some in batched(old, _WRITTEN, strict=False):
            entries = [{"PartitionValueList": one["Values"], "PartitionInput": one} for one in some]
            answer = self._glue.batch_update_partition(**self._table(dataset), Entries=entries)
            _require(answer.get("Errors") or (), dataset)
        return len(new), len(old)

    def _table(self, dataset: str) -> dict[str, str]:
        return {"DatabaseName": self._database, "TableName": dataset}

    def _wanted(self, dataset: str, dates: Iterable[str]) -> tuple[str, dict[str, dict[str, Any]]]:
        """The table's own location, and the partitions."""
        try:
            table = self._glue.get_table(DatabaseName=self._database, Name=dataset)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "EntityNotFoundException":
                raise TableMissing(f"{self._database}.{dataset} is not in the catalog: deploy again") from error
            raise
        storage = table["StorageDescriptor"]
        base = storage["Location"].rstrip("/")
        return base, {
            date: {"Values": [date], "StorageDescriptor": storage | {"Location": f"{base}/dt={date}/"}}
            for date in dates
        }

    def _found(self, dataset: str, dates: Sequence[str]) -> dict[str, Any]:
        left = [{"Values": [date]} for date in dates]
        found: dict[str, Any] = {}
        while left:
            answer = self._glue.batch_get_partition(**self._table(dataset), PartitionsToGet=left)
            found |= {one["Values"][0]: one for one in answer["Partitions"]}
            left = answer.get("UnprocessedKeys") or []
        return found


class CrawledPartitions(Partitions):
    """Partitions that a crawler adds: they are left to it."""

    def ensure(self, dataset: str, dates: Sequence[str], former: Sequence[str] = ()) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0


def _changed(found: dict[str, Any], wanted: dict[str, Any], root: str) -> dict[str, Any]:
    """The partition as it must be, empty when it is. One that was moved elsewhere than below ``root`` stays there."""
    present, storage = found["StorageDescriptor"], wanted["StorageDescriptor"]
    compacted = str(present["Location"]).startswith(root)
    if present.get("Columns") == storage.get("Columns") and not compacted:
        return {}
    return wanted if compacted else wanted | {"StorageDescriptor": storage | {"Location": present["Location"]}}


def _require(errors: Iterable[Any], dataset: str) -> None:
    failed = [error for error in errors if error["ErrorDetail"]["ErrorCode"] != _DONE_BY_ANOTHER]
    if failed:
        values = [error.get("PartitionValues") or error.get("PartitionValueList") for error in failed]
        raise PartitionsRefused(f"{len(failed)} of {dataset}, first {values[0]}: {failed[0]['ErrorDetail']}")
