"""S3 and Glue as a compaction uses them, all but the writing of rows (jobs/lake/compact.py has Spark do that)."""

from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any, Final

from botocore.exceptions import ClientError

from lake.compaction.fence import Day
from lake.compaction.partition import EVERY_ROW, Table
from lake.compaction.places import File

_DELETED: Final = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


class Aws:
    """``mover`` is a client that gives a call up in less than fence.SWAP_SECONDS and repeats none."""

    def __init__(self, s3: Any, glue: Any, mover: Any, bucket: str, database: str) -> None:
        self._s3 = s3
        self._glue = glue
        self._mover = mover
        self._bucket = bucket
        self._database = database

    def files(self, prefix: str) -> list[File]:
        """Those that Athena and Spark read, in the order of their keys."""
        return [file for file in self.objects(prefix) if file.is_read]

    def objects(self, prefix: str) -> Iterator[File]:
        """All below a prefix."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for one in page.get("Contents") or ():
                yield File(one["Key"], one["ETag"].strip('"'), int(one["Size"]), one["LastModified"].timestamp())

    def delete(self, keys: Sequence[str]) -> None:
        """Raises RuntimeError when S3 does not delete one of them."""
        for batch in batched(keys, _DELETED, strict=False):
            objects = [{"Key": key} for key in batch]
            answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                raise RuntimeError(f"{len(errors)} files are not deleted, first {errors[0]}")

    def tables(self, rules: dict[str, str]) -> list[Table]:
        """The datasets' tables. ``rules``: dataset -> the rows of its compacted files, where not every one."""
        found = []
        for page in self._glue.get_paginator("get_tables").paginate(DatabaseName=self._database):
            for table in page["TableList"]:
                storage = table.get("StorageDescriptor") or {}
                if str(storage.get("Location", "")).rstrip("/").endswith(f"/silver/{table['Name']}"):
                    found.append(Table(table["Name"], storage, rules.get(table["Name"], EVERY_ROW)))
        return sorted(found, key=lambda table: table.dataset)

    def locations(self, dataset: str) -> dict[str, str]:
        """Date -> where the catalog says that its files are, of all partitions of a table."""
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self._database, TableName=dataset, ExcludeColumnSchema=True
        )
        found = [one for page in pages for one in page["Partitions"]]
        return {one["Values"][0]: one["StorageDescriptor"]["Location"] for one in found}

    def partition(self, day: Day) -> dict[str, Any] | None:
        """None when it is not, or no longer, in the catalog."""
        try:
            answer = self._glue.get_partition(
                DatabaseName=self._database, TableName=day[0], PartitionValues=[day[1]]
            )  # fmt: skip
        except ClientError as error:
            if error.response["Error"]["Code"] == "EntityNotFoundException":
                return None
            raise
        return dict(answer["Partition"])

    def move(self, day: Day, partition: dict[str, Any]) -> None:
        """One call: a reader sees the old files or the new ones."""
        self._mover.update_partition(
            DatabaseName=self._database, TableName=day[0], PartitionValueList=[day[1]], PartitionInput=partition
        )
