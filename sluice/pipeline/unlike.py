"""Names of a file's columns beside the fields of its dataset: what only one of them has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluice.names import nearest
from sluice_pipeline.catalog.datasets import MIXED

if TYPE_CHECKING:
    from core.transform.content import Content
    from core.transform.rows import PartitionedRows
    from sluice_pipeline.catalog.datasets import Catalog, Dataset

LOOKED_AT: Final = 1_000  # rows of a chunk of JSON whose names are compared with the dataset's


@dataclass(frozen=True)
class Unlike:
    """A name that only the file (``in_file``) or only the YAML has; ``near`` is the most like it on the other side.

    ``contract``: what becomes of columns that no field names.
    """

    dataset: str
    name: str
    in_file: bool
    required: bool = False
    near: str | None = None
    contract: str = "discard"

    @property
    def loses_values(self) -> bool:
        """Whether values of the file do not reach silver, or their rows do not."""
        return self.in_file and self.contract != "evolve"


class Columns:
    """Compares the names in a file with the fields of its datasets."""

    def __init__(self, catalog: Catalog, dataset: str) -> None:
        self._catalog = catalog
        self._dataset = dataset
        self._names: dict[str, dict[str, None]] = {}
        self._filled: dict[str, set[str]] = {}

    def look(self, content: Content, rows: PartitionedRows) -> None:
        """Takes the names of a chunk: a CSV's header, or the members of rows spread over it."""
        from core.transform.readers import CsvReader

        for name, table in rows.tables.items():
            filled = self._filled.setdefault(name, set())
            filled |= {column for column in table.column_names if table[column].null_count < table.num_rows}
        if isinstance(content.reader, CsvReader):
            if self._dataset != MIXED:
                self._names.setdefault(self._dataset, {}).update(
                    dict.fromkeys(name for name in content.reader.header if name)
                )
            return
        for row in _objects(content):
            owner = self._owner(row)
            if owner is not None:
                known = {name for field in self._catalog.datasets[owner].fields for name in field.names}
                names = (name for name, value in row.items() if name in known or (name and value is not None))
                self._names.setdefault(owner, {}).update(dict.fromkeys(names))
        for owner, sights in rows.sights.items():  # of every row, not of some
            names = (sight.column for sight in sights.first if not sight.declared)
            self._names.setdefault(owner, {}).update(dict.fromkeys(names))

    def _owner(self, row: Mapping[str, Any]) -> str | None:
        """The dataset that a row of JSON is read as, None when it is none's."""
        kind = row.get("record_type")
        summaries = self._catalog.summaries_of(self._dataset)
        if summaries is not None and kind in summaries.record_types:
            return summaries.name
        if self._dataset != MIXED:
            return self._dataset
        found = self._catalog.by_record_type.get(kind) if isinstance(kind, str) else None
        return found.name if found else None

    def unlike(self) -> list[Unlike]:
        """Names that only the file has, then fields that only the YAML has."""
        return [one for name, names in self._names.items() for one in self._of(self._catalog.datasets[name], names)]

    def _of(self, dataset: Dataset, names: Mapping[str, None]) -> Iterator[Unlike]:
        fields = dataset.columns
        own = {alias: field.name for field in dataset.fields for alias in field.checks.aliases}
        names = dict.fromkeys(own.get(name, name) for name in names)
        absent = [name for name in fields if name not in names and name not in self._filled.get(dataset.name, ())]
        extra = [name for name in names if name not in fields]
        for name in extra:
            contract = str(dataset.contract.columns)
            yield Unlike(dataset.name, name, in_file=True, near=nearest(name, absent), contract=contract)
        for name in absent:
            yield Unlike(dataset.name, name, False, required=fields[name].required, near=nearest(name, extra))


def _objects(content: Content) -> Iterator[dict[str, Any]]:
    """Some rows of JSON, decoded; those that are malformed are left out."""
    lines = content.lines
    step = max(1, len(lines) // LOOKED_AT)
    for raw in (lines.raw(index) for index in range(0, len(lines), step)):
        row = _decoded(raw)
        if row is not None:
            yield row
        elif (several := content.reader.cut(raw, 0)) is not None:
            inner = (_decoded(several.raw(index)) for index in range(min(len(several), LOOKED_AT)))
            yield from (row for row in inner if row is not None)


def _decoded(raw: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
