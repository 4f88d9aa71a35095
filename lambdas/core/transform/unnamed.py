"""Values in columns that no field names: found on whole columns where rows are read so, else row by row.

A null is no value. What is found does not depend on the reader: a row's unnamed columns are those of the exact reader.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from core.transform import json_values
from core.transform.columns import JSON, any_of
from core.transform.exact import Outcome, RowError, shown
from core.transform.lines import Lines
from core.transform.values import Number
from sluice_pipeline.catalog.contract import UNNAMED, ColumnsContract, Contract, TypesContract
from sluice_pipeline.catalog.datasets import Catalog, Dataset
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.catalog.sights import (
    INTEGER,
    NUMBER,
    Sight,
    Sights,
    shown_name,
    type_of_json,
    type_of_text,
    widened_type,
)
from sluice_pipeline.objects.failures import Failure, ObjectFailed, Reason

_KEY: Final = r'"[ \t\r\n]*:'
_MAX_ERRORS: Final = 20  # of a row, about columns that no field names
_NULL_KEY: Final = r'"[ \t\r\n]*:[ \t\r\n]*null'


class UnnamedColumn(NamedTuple):
    """``text``: the values as they are written, null for no value. ``is_string``: they are strings of JSON."""

    name: str
    text: pa.Array
    is_string: bool = False

    def first_by_type(self) -> dict[str, int]:
        """The position of the first value of each type."""
        if self.is_string:
            return _first({"string": pc.is_valid(self.text)})
        integer = pc.fill_null(pc.match_substring_regex(self.text, rf"\A{INTEGER}\z"), False)
        if pc.all(integer).as_py():
            return _first({"int64": integer})
        number = pc.fill_null(pc.match_substring_regex(self.text, rf"\A{NUMBER}\z"), False)
        truth = pc.fill_null(pc.is_in(self.text, pa.array(["true", "false"], self.text.type)), False)
        others = pc.and_(pc.is_valid(self.text), pc.invert(pc.or_(number, truth)))
        masks = {"int64": integer, "float64": pc.and_not(number, integer), "bool": truth, "string": others}
        return _first(masks)


type Unnamed = Sequence[UnnamedColumn]


def _first(masks: Mapping[str, pa.BooleanArray]) -> dict[str, int]:
    found = {kind: pc.index(mask, True).as_py() for kind, mask in masks.items()}
    return {kind: index for kind, index in found.items() if index >= 0}


def filtered(unnamed: Unnamed, mask: pa.BooleanArray) -> Unnamed:
    return [column._replace(text=column.text.filter(mask)) for column in unnamed]


def rows_with(unnamed: Unnamed) -> pa.BooleanArray | None:
    """Rows with a value in one of these columns; None for none."""
    found = None
    for column in unnamed:
        if column.text.null_count < len(column.text):
            valid = pc.is_valid(column.text)
            found = valid if found is None else pc.or_(found, valid)
    return found


def suspects(lines: Lines, table: pa.Table) -> pa.BooleanArray | None:
    """Rows of JSON that may have a value of no field: more names with a value than the table; None for none.

    A quote and a colon end each name. In a string they are counted, too, so no row is missed.
    """
    names = pc.subtract(
        pc.count_substring_regex(lines.text, _KEY), pc.count_substring_regex(lines.text, _NULL_KEY)
    ).cast(pa.int64())
    for column in table.columns:
        names = pc.subtract(names, pc.is_valid(column.combine_chunks()).cast(pa.int64()))
    found = pc.greater(names, 0)
    return found if pc.any(found).as_py() else None


@dataclass(frozen=True, slots=True)
class Watch:
    """Finds what the rows of a dataset have beside its fields, and judges it by the dataset's contract."""

    fields: Mapping[str, Field]
    contract: Contract
    sights: Sights = field(default_factory=Sights)

    @classmethod
    def of(cls, dataset: Dataset) -> "Watch":
        return cls(dataset.columns, dataset.contract)

    @property
    def _by_row(self) -> bool:
        """Whether a row with an unnamed column is the exact reader's."""
        return self.contract.columns in (ColumnsContract.EVOLVE, ColumnsContract.QUARANTINE)

    @property
    def _names(self) -> frozenset[str]:
        """All names that a field may have in a file."""
        return frozenset(name for one in self.fields.values() for name in one.names)

    def columns_of(self, fields: Sequence[Field]) -> Sequence[Field]:
        """The fields, and the column that stores what they do not name, when there is one."""
        return [*fields, Field(UNNAMED, "json")] if self.contract.columns == ColumnsContract.EVOLVE else fields

    # -- whole columns -------------------------------------------------------------------------------------------------

    def doubtful(self, unnamed: Unnamed, suspects: pa.BooleanArray | None) -> pa.BooleanArray | None:
        """Rows whose fate depends on their unnamed columns: the exact reader must judge them."""
        return any_of([rows_with(unnamed), suspects]) if self._by_row else None

    def extended(self, table: pa.Table) -> pa.Table:
        """The table of rows without unnamed columns, with the column that stores those of others."""
        if self.contract.columns != ColumnsContract.EVOLVE:
            return table
        return table.append_column(UNNAMED, pa.nulls(table.num_rows, JSON))

    def note_columns(
        self,
        lines: Lines,
        doubt: pa.BooleanArray | None,
        unnamed: Unnamed,
        suspects: pa.BooleanArray | None,
        given: Callable[[bytes], Mapping[str, Any]],
        sights: Sights,
    ) -> None:
        """Adds to ``sights`` what rows show that are read as columns; those in doubt are read again, and noted then."""
        if self._by_row or (suspects is None and not unnamed):
            return
        if doubt is not None:
            sure = pc.invert(doubt)
            lines, unnamed = lines.filter(sure), filtered(unnamed, sure)
            suspects = None if suspects is None else suspects.filter(sure)
        for column in unnamed:
            for kind, index in column.first_by_type().items():
                sights.add(Sight(column.name, kind), lines.offset[index].as_py())
        if suspects is not None:
            found, names = lines.filter(suspects), self._names
            for index, offset in enumerate(found.offset.to_pylist()):
                others = {name: value for name, value in given(found.raw(index)).items() if name not in names}
                self._note(others, offset, sights, csv=False)

    # -- one by one ----------------------------------------------------------------------------------------------------

    def judged(self, outcome: Outcome, offset: int, *, csv: bool) -> Outcome:
        """Records what a row has beside the fields, and what the contract makes of it."""
        self._note(outcome.given, offset, self.sights, csv=csv)
        if self.contract.types == TypesContract.WIDEN:
            self._note_types(outcome, offset, csv=csv)
        if self.contract.columns == ColumnsContract.EVOLVE:
            return outcome._replace(values=outcome.values | {UNNAMED: as_text(outcome.given, self.fields)})
        if self.contract.columns == ColumnsContract.QUARANTINE:
            unnamed = [name for name in outcome.given if name not in self.fields][:_MAX_ERRORS]
            errors = [
                RowError(
                    shown(name), Reason.UNNAMED_COLUMN, shown(outcome.given[name], csv=csv), "a field of the dataset"
                )
                for name in unnamed
            ]
            return outcome._replace(errors=(*outcome.errors, *errors))
        return outcome

    def _note(self, given: Mapping[str, Any], offset: int, sights: Sights, *, csv: bool) -> None:
        for name, value in given.items():
            if name not in self.fields:
                sights.add(Sight(name, type_of(value, csv=csv)), offset)

    def _note_types(self, outcome: Outcome, offset: int, *, csv: bool) -> None:
        for error in outcome.errors:
            if error.reason == Reason.WRONG_TYPE and error.field in outcome.given:
                seen = type_of(outcome.given[error.field], csv=csv)
                declared = self.fields[error.field].type
                if widened_type(declared, [seen]) != declared:
                    self.sights.add(Sight(error.field, seen, declared), offset)


def type_of(value: Any, *, csv: bool) -> str:
    return type_of_text(value) if csv else type_of_json(value, isinstance(value, Number))


def require_unfrozen(sights: Mapping[str, Sights], catalog: Catalog) -> None:
    """Raises ObjectFailed when a column was seen that is no field of a dataset whose columns are frozen."""
    for name, seen in sights.items():
        if seen.unnamed and catalog.datasets[name].contract.columns == ColumnsContract.FREEZE:
            column = shown_name(seen.unnamed)
            raise ObjectFailed(
                Failure.SCHEMA_FROZEN,
                f"the column {column!r} is no field of {name}, whose contract says columns: freeze",
            )


def as_text(given: Mapping[str, Any], names: Collection[str]) -> str | None:
    """The values of no field as one JSON object; None when there is none.

    A number that no JSON reader accepts, such as 1e400, is kept as its text.
    """
    parts = [f"{_text(name)}:{_text(value)}" for name, value in given.items() if name not in names]
    return f"{{{','.join(parts)}}}" if parts else None


def _text(value: Any) -> str:
    if isinstance(value, Number):
        try:
            return json_values.text_of(json_values.parse(value))
        except json_values.NotJson:
            return json.dumps(str(value))
    return json_values.text_of(_plain(value))


def _plain(value: Any) -> Any:
    """The value with numbers as numbers."""
    if isinstance(value, Number):
        try:
            number = json_values.parse(value)
            json_values.text_of(number)
        except json_values.NotJson:
            return str(value)
        return number
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
