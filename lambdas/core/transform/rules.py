"""Rules of fields and rows on whole columns: which rows break one, and which rule it is.

Both readers use these: the columnar one to find rows that are not good, the exact one for the errors of a row. So a
value is judged by one engine: texts by RE2, numbers and times by Arrow's comparisons.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sluice_pipeline.catalog.conditions import Condition
from sluice_pipeline.catalog.field_checks import Length, whole_text
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.catalog.truth import Column, truth
from sluice_pipeline.objects.failures import Reason

_EXACT: Final = Context(prec=80)  # more digits than a decimal field and a multiple have together


class Broken(NamedTuple):
    """A rule and the rows that break it; ``field`` is named by the error, ``fields`` are all that the rule is about."""

    rows: pa.BooleanArray
    field: str
    fields: tuple[str, ...]
    reason: Reason
    expected: str


def has_rules(fields: Iterable[Field], checks: Sequence[Condition]) -> bool:
    """Whether ``find_broken`` can find anything."""
    return bool(checks) or any(
        one.checks.pattern or one.checks.length or one.checks.multiple_of is not None for one in fields
    )


def find_broken(column: Column, fields: Iterable[Field], checks: Sequence[Condition]) -> Iterator[Broken]:
    """The rules that rows break. A field without a value breaks none of its own."""
    for field in fields:
        for mask, reason, expected in _of_field(column, field):
            if (found := _where(mask)) is not None:
                yield Broken(found, field.name, (field.name,), reason, expected)
    for check in checks:
        if (found := _where(pc.invert(truth(check.node, column)))) is not None:
            yield Broken(found, check.fields[0], check.fields, Reason.CHECK_FAILED, check.text)


def _where(mask: pa.BooleanArray) -> pa.BooleanArray | None:
    """The mask without nulls; None when it marks no row."""
    return pc.fill_null(mask, False) if pc.any(mask).as_py() else None


def _of_field(column: Column, field: Field) -> Iterator[tuple[pa.BooleanArray, Reason, str]]:
    checks = field.checks
    if checks.pattern:
        matched = pc.match_substring_regex(column(field.name), whole_text(checks.pattern))
        yield pc.invert(matched), Reason.WRONG_PATTERN, f"a text of the pattern {checks.pattern}"
    if checks.length:
        yield _beyond(column(field.name), checks.length), Reason.WRONG_LENGTH, str(checks.length)
    if checks.multiple_of is not None:
        no_multiple = _no_multiple(column(field.name), checks.multiple_of)
        yield no_multiple, Reason.NOT_A_MULTIPLE, f"a multiple of {checks.multiple_of:f}"


def _beyond(column: pa.Array, length: Length) -> pa.BooleanArray:
    characters = pc.utf8_length(column)
    short = pc.less(characters, length.minimum)
    return short if length.maximum is None else pc.or_(short, pc.greater(characters, length.maximum))


def _no_multiple(column: pa.Array, number: Decimal) -> pa.BooleanArray:
    if pa.types.is_integer(column.type):
        whole = pa.scalar(int(number), pa.int64())
        return pc.not_equal(pc.multiply(pc.divide(column, whole), whole), column)
    distinct = column.dictionary_encode()
    wrong = [bool(_EXACT.remainder(value, number)) for value in distinct.dictionary.to_pylist()]
    return pc.take(pa.array(wrong, pa.bool_()), distinct.indices)
