"""Columns of text to typed columns, fast: whole columns at once, and a mark on rows that must be decided exactly."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from core.transform import timestamps
from core.transform.values import from_text
from sluice_pipeline.catalog.fields import Field

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
JSON: Final = pa.large_string()  # no other column has this type
Columns = Mapping[str, pa.DataType]
_MINUTES_END: Final = len("2024-05-01T10:00")

_TYPES: Final = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "json": JSON,
}


def arrow_type(field: Field) -> pa.DataType:
    """The column type of a field in silver."""
    if field.decimal:
        return pa.decimal128(*field.decimal)
    return _TYPES[field.type]


def json_type(field: Field) -> pa.DataType:
    """What Arrow's JSON reader is to read a field as; texts that mean something else become it afterwards."""
    if field.type == "timestamp":
        return pa.int64() if field.unit else pa.string()
    return pa.string() if field.type == "date" else arrow_type(field)


def empty(fields: Sequence[Field]) -> pa.Table:
    return pa.schema([(field.name, arrow_type(field)) for field in fields]).empty_table()


def typed(table: pa.Table, fields: Sequence[Field]) -> tuple[pa.Table, pa.BooleanArray | None]:
    """The table with the fields' types; and which rows have a value that the exact reader must judge (null here)."""
    arrays, doubt = [], []
    for field in fields:
        array, wrong = convert(table.column(field.name).combine_chunks(), field)
        arrays.append(array)
        doubt.append(wrong)
    return pa.Table.from_arrays(arrays, names=[field.name for field in fields]), any_of(doubt)


def without_aliases(table: pa.Table, fields: Sequence[Field]) -> tuple[pa.Table, pa.BooleanArray | None]:
    """A column for each field of those that its names have; and the rows in which several of them have a value."""
    several = []
    for field in fields:
        if len(field.names) == 1:
            continue
        held = [table.column(name).combine_chunks() for name in field.names]
        found = pc.is_valid(held[0])
        for one in held[1:]:
            several.append(pc.and_(found, pc.is_valid(one)))
            found = pc.or_(found, pc.is_valid(one))
        table = table.drop_columns(list(field.names)).append_column(field.name, pc.coalesce(*held))
    return table, any_of(several)


def any_of(masks: Iterable[pa.BooleanArray | None]) -> pa.BooleanArray | None:
    """Rows that one of the masks marks; None when there is none."""
    found = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else pc.or_(found, mask)
    return found if found is not None and pc.any(found).as_py() else None


def broken_utf8(text: pa.LargeBinaryArray) -> pa.BooleanArray | None:
    """Rows that are no UTF-8; None for none."""
    try:
        text.cast(pa.large_string())
    except pa.ArrowInvalid:
        return pa.array([not _is_utf8(raw) for raw in text.to_pylist()], pa.bool_())
    return None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def convert(column: pa.Array, field: Field) -> tuple[pa.Array, pa.BooleanArray | None]:
    """A column of texts, or of the field's own type, as that type; and the rows that the exact reader must judge."""
    kind = arrow_type(field)
    if column.type == kind:
        return column, _beyond(column, field)
    if field.type == "timestamp":
        return _instants(column, field)
    if field.type == "json" or (field.type == "date" and field.format):
        return pa.nulls(len(column), kind), _present(column)  # the exact reader's, value by value
    try:
        converted = column.cast(kind)
    except pa.ArrowInvalid:
        return _one_by_one(column, field, lambda text: from_text(text, field))
    return converted, any_of([_beyond(converted, field), _hexadecimal(column, field)])


def _one_by_one(column: pa.Array, field: Field, parse: Callable[[str], Any]) -> tuple[pa.Array, pa.BooleanArray | None]:
    """Converts a column in which some texts are no values (``parse`` raises ValueError); each distinct one once."""
    distinct = column.dictionary_encode()
    values, bad = [], set()
    for index, text in enumerate(distinct.dictionary.to_pylist()):
        try:
            values.append(parse(text))
        except (ValueError, ArithmeticError):
            values.append(None)
            bad.add(index)
    converted = array_of(values, field).take(distinct.indices)
    if not bad:
        return converted, _beyond(converted, field)
    wrong = pc.fill_null(pc.is_in(distinct.indices, pa.array(sorted(bad), distinct.indices.type)), False)
    return converted, any_of([wrong, _beyond(converted, field)])


def array_of(values: Sequence[Any], field: Field) -> pa.Array:
    """A column of values that were read exactly: times are microseconds, dates days."""
    kind = arrow_type(field)
    if kind == TIMESTAMP:
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int32()).cast(kind)
    return pa.array(values, kind)


def _present(column: pa.Array) -> pa.BooleanArray | None:
    found = pc.is_valid(column)
    return found if pc.any(found).as_py() else None


def _beyond(column: pa.Array, field: Field) -> pa.BooleanArray | None:
    """Values that the type holds and the field does not: no finite number, too many digits, no year from 1 to 9999."""
    if pa.types.is_floating(column.type):
        mask = pc.invert(pc.is_finite(column))
    elif field.decimal:
        precision, scale = field.decimal
        limit = pa.scalar(10 ** (precision - scale), pa.decimal128(38, 0)) if precision - scale < 38 else None
        if limit is None:
            return None
        wide = column.cast(pa.decimal256(76, scale))
        mask = pc.greater_equal(pc.abs(wide), limit.cast(pa.decimal256(76, scale)))
    elif pa.types.is_timestamp(column.type):
        return _outside(column.cast(pa.int64()), timestamps.MIN_INSTANT, timestamps.MAX_INSTANT)
    elif pa.types.is_date(column.type):
        return _outside(column.cast(pa.int32()), timestamps.MIN_DAY, timestamps.MAX_DAY)
    else:
        return None
    mask = pc.fill_null(mask, False)
    return mask if pc.any(mask).as_py() else None


def _outside(numbers: pa.Array, low: int, high: int) -> pa.BooleanArray | None:
    bounds: dict[str, Any] = pc.min_max(numbers).as_py()
    if bounds["min"] is None or (bounds["min"] >= low and bounds["max"] <= high):
        return None
    return pc.fill_null(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), False)


def _hexadecimal(column: pa.Array, field: Field) -> pa.BooleanArray | None:
    """Arrow reads 0x1F as an integer."""
    if field.type != "int64":
        return None
    mask = pc.fill_null(pc.match_substring(column, "x", ignore_case=True), False)
    return mask if pc.any(mask).as_py() else None


def _instants(column: pa.Array, field: Field) -> tuple[pa.Array, pa.BooleanArray | None]:
    if field.unit:
        return _epochs(column, field)
    if field.format:
        return pa.nulls(len(column), TIMESTAMP), _present(column)
    try:
        if not _has_seconds(column):
            raise pa.ArrowInvalid("a text has no seconds")
        converted = column.cast(TIMESTAMP)
    except pa.ArrowInvalid:
        try:
            converted = _zoned(column).cast(TIMESTAMP)
        except pa.ArrowInvalid:
            return _one_by_one(column, field, timestamps.instant)
    return converted, _beyond(converted, field)


def _has_seconds(column: pa.Array) -> bool:
    """Arrow also takes hours or minutes alone, which RFC 3339 does not: in those is no colon where seconds begin."""
    colon = pc.binary_slice(column.cast(pa.binary()), _MINUTES_END, _MINUTES_END + 1)
    return bool(pc.all(pc.equal(colon, b":")).as_py() is not False)


def _zoned(column: pa.Array) -> pa.Array:
    """Dates alone as their midnight, and a Z after what has no zone; raises ArrowInvalid for other lengths."""
    length = pc.binary_length(column)
    day = pc.fill_null(pc.equal(length, len("2024-05-01")), False)
    column = pc.if_else(day, pc.binary_join_element_wise(column, "T00:00:00Z", ""), column)
    if not _has_seconds(column):
        raise pa.ArrowInvalid("a text has no seconds")
    zoned = pc.match_substring_regex(column, r"(?:Z|[+-]\d\d:?\d\d)$")
    return pc.if_else(zoned, column, pc.binary_join_element_wise(column, "Z", ""))


def _epochs(column: pa.Array, field: Field) -> tuple[pa.Array, pa.BooleanArray | None]:
    factor = timestamps.UNITS[field.unit]
    if not pa.types.is_integer(column.type) or factor < 1:
        return pa.nulls(len(column), TIMESTAMP), _present(column)
    low, high = -(-timestamps.MIN_INSTANT // factor), timestamps.MAX_INSTANT // factor
    outside = _outside(column, int(low), int(high))
    if outside is not None:
        column = pc.if_else(outside, pa.scalar(None, column.type), column)
    return pc.multiply(column, int(factor)).cast(TIMESTAMP), outside
