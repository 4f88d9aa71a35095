"""What the engine answers to a query's worker: tables, partitions, files; and what it changes for it."""

from typing import Any

from botocore.exceptions import ClientError

from sluice_ext.athena.caller import clients
from sluice_ext.athena.files import Files, Unreadable, object_of

# What a statement of Athena may call.
_CHANGES = {
    "CreateDatabase": "create_database",
    "DeleteDatabase": "delete_database",
    "CreateTable": "create_table",
    "UpdateTable": "update_table",
    "DeleteTable": "delete_table",
    "BatchCreatePartition": "batch_create_partition",
    "DeletePartition": "delete_partition",
}


_QUESTIONS = {
    "databases": "_databases",
    "table": "_table",
    "tables": "_tables",
    "partitions": "_partitions",
    "partition": "_partition",
    "files": "_files_of",
    "folders": "_folders",
    "put": "_put",
    "glue": "_change",
}


class Refused(Exception):
    """The query fails with this message."""


class Answers:
    """For one query."""

    def __init__(self, access_key: str, region: str, files: Files) -> None:
        of_caller = clients(access_key, region)
        self._glue, self._s3, self._files = of_caller.glue, of_caller.s3, files

    def answer(self, what: str, parameters: dict[str, Any]) -> Any:
        """Raises Refused when AWS would refuse."""
        try:
            return getattr(self, _QUESTIONS[what])(**parameters)
        except Unreadable as error:
            raise Refused(str(error)) from error
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if "AccessDenied" in code:
                raise Refused(f"PERMISSION_DENIED: {message}") from error
            raise Refused(f"FAILED: Execution Error, return code 1: {code}: {message}") from error

    def _databases(self) -> list[str]:
        pages = self._glue.get_paginator("get_databases").paginate()
        return [one["Name"] for page in pages for one in page["DatabaseList"]]

    def _table(self, database: str, table: str) -> dict[str, Any] | None:
        try:
            return dict(self._glue.get_table(DatabaseName=database, Name=table)["Table"])
        except self._glue.exceptions.EntityNotFoundException:
            return None

    def _tables(self, database: str) -> list[dict[str, Any]]:
        try:
            pages = self._glue.get_paginator("get_tables").paginate(DatabaseName=database)
            return [one for page in pages for one in page["TableList"]]
        except self._glue.exceptions.EntityNotFoundException:
            raise Refused(f"FAILED: SemanticException [Error 10072]: Database does not exist: {database}") from None

    def _partitions(self, database: str, table: str) -> list[dict[str, Any]]:
        pages = self._glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
        return [
            {"Values": one["Values"], "StorageDescriptor": {"Location": one["StorageDescriptor"]["Location"]}}
            for page in pages
            for one in page["Partitions"]
        ]

    def _partition(self, database: str, table: str, values: list[str]) -> dict[str, Any] | None:
        try:
            found = self._glue.get_partition(DatabaseName=database, TableName=table, PartitionValues=values)
            return dict(found["Partition"])
        except self._glue.exceptions.EntityNotFoundException:
            return None

    def _files_of(self, locations: list[str]) -> list[list[dict[str, Any]]]:
        return self._files.below(self._s3, locations)

    def _folders(self, location: str) -> list[str]:
        return self._files.folders(self._s3, location)

    def _put(self, path: str, uri: str) -> None:
        bucket, key = object_of(uri)
        with open(path, "rb") as body:  # noqa: PTH123 - boto3 wants a file
            self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def _change(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = getattr(self._glue, _CHANGES[operation])(**parameters)
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}
