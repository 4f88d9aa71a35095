"""Rows read exactly, each alone, by a reader; and what the rules say of their values."""

import logging
from collections.abc import Sequence
from itertools import batched
from typing import Any, Final, NamedTuple

import pyarrow as pa

from core.transform import columns, rules
from core.transform.exact import WHOLE_ROW, Outcome, RowError, cut_value
from core.transform.lines import Lines, concat
from core.transform.readers import Reader
from core.transform.unnamed import Watch
from sluice_pipeline.catalog.conditions import Condition
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.objects.failures import Reason

logger = logging.getLogger(__name__)
_BATCH: Final = 2048  # rows in memory at the same time, with all that they hold

type Bad = tuple[int, bytes, tuple[RowError, ...]]
"""Offset, raw text and errors of a row."""


class Exact(NamedTuple):
    """Good rows as a table with offsets and as lines, bad ones, and lines that turned out to be several rows."""

    table: pa.Table
    lines: Lines
    bad: list[Bad]
    again: Lines


def read_exactly(
    lines: Lines,
    fields: Sequence[Field],
    reader: Reader,
    *,
    routing: bool,
    cut: bool,
    offset_name: str,
    checks: Sequence[Condition] = (),
    watch: Watch | None = None,
) -> Exact:
    """``cut``: a line may hold several rows. ``routing``: only what these fields say is of interest.

    ``watch`` judges what rows have beside the fields, before the rules do.
    """
    good: list[int] = []
    values: list[dict[str, Any]] = []
    bad: list[Bad] = []
    again: list[Lines] = []
    for batch in batched(enumerate(lines.offset.to_pylist()), _BATCH, strict=False):
        read: list[tuple[int, int, bytes]] = []
        outcomes: list[Outcome] = []
        for index, offset in batch:
            raw = lines.raw(index)
            outcome, several = _read_one(raw, offset, fields, reader, routing=routing, cut=cut, watch=watch)
            if several is not None:
                again.append(several)
            else:
                read.append((index, offset, raw))
                outcomes.append(outcome)
        for (index, offset, raw), outcome in zip(read, judged(outcomes, fields, checks), strict=True):
            if outcome.errors:
                bad.append((offset, raw, outcome.errors))
            else:
                good.append(index)
                values.append(outcome.values)
    kept = Lines(lines.text.take(pa.array(good, pa.int64())), lines.offset.take(pa.array(good, pa.int64())))
    fields = fields if watch is None else watch.columns_of(fields)
    arrays = [columns.array_of([row[one.name] for row in values], one) for one in fields]
    table = pa.Table.from_arrays([*arrays, kept.offset], names=[*(one.name for one in fields), offset_name])
    return Exact(table, kept, bad, concat(again))


def _read_one(
    raw: bytes,
    offset: int,
    fields: Sequence[Field],
    reader: Reader,
    *,
    routing: bool,
    cut: bool,
    watch: Watch | None,
) -> tuple[Outcome, Lines | None]:
    """A row; or the rows of a line that holds several."""
    try:
        outcome = reader.read_exactly(raw, fields, routing=routing)
        several = reader.cut(raw, offset) if cut and _is_malformed(outcome) else None
        if watch is not None and several is None:
            outcome = watch.judged(outcome, offset, csv=reader.is_csv)
        return outcome, several
    except Exception as error:
        logger.exception("a row cannot be parsed", extra={"offset": offset})
        return _unparseable(error), None


def _is_malformed(outcome: Outcome) -> bool:
    return bool(outcome.errors) and outcome.errors[0].field == WHOLE_ROW


def _unparseable(error: Exception) -> Outcome:
    expected = f"a row that the reader can read; it failed: {error!r}"
    return Outcome({}, (RowError(WHOLE_ROW, Reason.UNPARSEABLE, "", expected),))


def judged(outcomes: Sequence[Outcome], fields: Sequence[Field], checks: Sequence[Condition]) -> Sequence[Outcome]:
    """The rows with the errors that the rules add, behind those that they have."""
    if not outcomes or not rules.has_rules(fields, checks):
        return outcomes
    try:
        return _judged(outcomes, fields, checks)
    except Exception as error:
        if len(outcomes) > 1:  # the row that is to blame is found alone
            return [one for outcome in outcomes for one in judged([outcome], fields, checks)]
        logger.exception("the rules of a row cannot be applied")
        return [_unparseable(error)]


def _judged(outcomes: Sequence[Outcome], fields: Sequence[Field], checks: Sequence[Condition]) -> list[Outcome]:
    by_name = {field.name: field for field in fields}
    made: dict[str, pa.Array] = {}

    def column(name: str) -> pa.Array:
        if name not in made:
            made[name] = columns.array_of([outcome.values.get(name) for outcome in outcomes], by_name[name])
        return made[name]

    more: dict[int, list[RowError]] = {}
    for rule in rules.find_broken(column, fields, checks):
        for index, is_broken in enumerate(rule.rows.to_pylist()):
            if is_broken and _can_be_judged(outcomes[index], rule):
                value = shown(outcomes[index], rule.fields)
                more.setdefault(index, []).append(RowError(rule.field, rule.reason, value, rule.expected))
    return [
        outcome._replace(errors=(*outcome.errors, *more[index])) if index in more else outcome
        for index, outcome in enumerate(outcomes)
    ]


def _can_be_judged(outcome: Outcome, rule: rules.Broken) -> bool:
    """Not a row that was not read, nor a condition on a field whose value is none of its type: it has that error.

    A row that the contract rejects is not judged by conditions.
    """
    if rule.reason == Reason.CHECK_FAILED and any(error.reason == Reason.UNNAMED_COLUMN for error in outcome.errors):
        return False
    faulty = {error.field for error in outcome.errors}
    values = outcome.values
    return all(name in values and (values[name] is not None or name not in faulty) for name in rule.fields)


def shown(outcome: Outcome, names: Sequence[str]) -> str:
    """The values of these fields as the row has them."""
    if len(names) == 1:
        return outcome.show(names[0])
    return cut_value(", ".join(f"{name} = {outcome.show(name)}" for name in names))
