"""A catalog and a bucket on disk, as an Athena worker sees them through its pipe, and queries on them."""

import csv
import io
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice_ext.athena.worker import queries, statements
from sluice_ext.athena.worker.queries import Session
from sluice_ext.athena.worker.statements import Answer


@dataclass
class Catalog:
    """Answers a worker's questions. ``folder`` holds s3://<bucket>/<key> as <bucket>/<key>."""

    folder: Path
    tables: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    partitions: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    databases: list[str] = field(default_factory=lambda: ["db"])
    asked: list[str] = field(default_factory=list)

    def ask(self, what: str, **parameters: Any) -> Any:
        answers: dict[str, Callable[..., Any]] = {
            "databases": lambda: self.databases,
            "table": lambda database, table: self.tables.get((database, table)),
            "tables": lambda database: [one for (name, _), one in self.tables.items() if name == database],
            "partitions": lambda database, table: self.partitions.get((database, table), []),
            "partition": self._partition,
            "files": lambda locations: [self._files(one) for one in locations],
            "folders": self._folders,
            "put": self._put,
            "glue": self._glue,
        }
        return answers[what](**parameters)

    def path(self, uri: str) -> Path:
        return self.folder / uri.removeprefix("s3://")

    def put(self, uri: str, content: str | bytes) -> None:
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def _partition(self, database: str, table: str, values: list[str]) -> dict[str, Any] | None:
        return next((one for one in self.partitions.get((database, table), []) if one["Values"] == values), None)

    def _files(self, location: str) -> list[dict[str, Any]]:
        self.asked.append(location)
        found = sorted(one for one in self.path(location).rglob("*") if one.is_file())
        return [{"path": str(one), "key": one.name, "size": one.stat().st_size} for one in found]

    def _folders(self, location: str) -> list[str]:
        base = self.path(location)
        return sorted({str(one.parent.relative_to(base)) for one in base.rglob("*") if one.is_file()})

    def _put(self, path: str, uri: str) -> None:
        self.put(uri, Path(path).read_bytes())

    def _glue(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        where = (parameters.get("DatabaseName", ""), parameters.get("TableName") or parameters.get("Name", ""))
        if operation in ("CreateTable", "UpdateTable"):
            given = parameters["TableInput"]
            self.tables[(where[0], given["Name"])] = given | {"DatabaseName": where[0]}
        elif operation == "DeleteTable":
            del self.tables[where]
        elif operation == "CreateDatabase":
            self.databases.append(parameters["DatabaseInput"]["Name"])
        elif operation == "DeleteDatabase":
            self.databases.remove(parameters["Name"])
        elif operation == "DeletePartition":
            self.partitions[where].remove(self._partition(*where, parameters["PartitionValues"]) or {})
        else:
            assert operation == "BatchCreatePartition"
            held, failed = self.partitions.setdefault(where, []), []
            for one in parameters["PartitionInputList"]:
                if self._partition(*where, one["Values"]):
                    failed.append({"PartitionValues": one["Values"]})
                else:
                    held.append(one)
            return {"Errors": failed} if failed else {}
        return {}


@dataclass
class Athena:
    """Runs statements as a worker does; ``last`` is the answer of the last one."""

    catalog: Catalog
    scratch: Path
    last: Answer = field(default_factory=Answer)

    def run(self, sql: str, *parameters: str) -> list[list[str | None]]:
        """Rows without the header. Raises QueryFailed."""
        folder = self.scratch / uuid.uuid4().hex
        folder.mkdir(parents=True)
        output = self.scratch / "output"
        place = f"s3://results/{uuid.uuid4().hex}"
        try:
            with queries.connect(folder) as connection:
                session = Session(self.catalog, connection, "db", folder)
                self.last = statements.run(session, sql, list(parameters), output, place)
        finally:
            shutil.rmtree(folder)
        content = output.read_text()
        if statements.kind_of(sql)[0] != "DML":
            return [list(line.split("\t")) for line in content.splitlines()]
        rows: list[list[str | None]] = [
            list(row) for row in csv.reader(io.StringIO(content), quoting=csv.QUOTE_NOTNULL)
        ]
        return [row or [None] for row in rows[1:]]  # a row of one NULL is an empty line

    @property
    def names(self) -> list[str]:
        return [str(one["Name"]) for one in self.last.columns]

    @property
    def types(self) -> list[str]:
        return [str(one["Type"]) for one in self.last.columns]
