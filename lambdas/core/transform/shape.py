"""JSON rows of one shape, read as columns between their quotes: faster than a JSON parser, and as strict.

Rows that a program writes have the same members in the same order. Split at their quotes they are columns, and each
value of a member is one of them. A row is that JSON when its values, put between the names, colons and commas of the
shape, make the row again, byte for byte. The JSON reader reads all other rows. Rows with a backslash or a control
character are among those, because a quote in them may be part of a string.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from core.transform import columns
from core.transform.columns import JSON, arrow_type
from core.transform.lines import Lines, concat, without_skipped
from core.transform.unnamed import Unnamed, UnnamedColumn, filtered
from sluice_pipeline.catalog.fields import Field

MAX_SHAPES: Final = 3  # of one set of rows that are tried
MIN_ROWS: Final = 64  # fewer are not worth it
_FEW: Final = 1024  # rows of another shape, which cost less than grouping all
_BLOCK: Final = 512 * 1024
_COLON: Final = re.compile(" ?: ?")
_COMMA: Final = re.compile(" ?, ?")
_INTEGER: Final = r"-?(?:0|[1-9][0-9]{0,17})"
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_LITERAL: Final = rf"(?:{_NUMBER}|true|false|null)"
_SPACE: Final = 32


class _ManyUnlike(ValueError):
    """Many rows have another number of quotes than the shape."""


class Member(NamedTuple):
    """``before``: the text between the value before it and its own; ``part``: the number of the part with its value."""

    name: str
    before: str
    part: int
    is_string: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What rows have in common: ``parts`` of them between quotes, their members, and ``after`` the last value."""

    parts: int
    members: tuple[Member, ...]
    after: str
    colon: str
    comma: str


def learn(raw: bytes, fields: Sequence[Field]) -> Shape | None:
    """The shape of a row; None when it has none that can be read so, or values of other types than the fields."""
    try:
        row = json.loads(raw, object_pairs_hook=list)
        parts = raw.decode().rstrip("\n").split('"')
    except (ValueError, RecursionError):
        return None
    kinds = {name: field for field in fields for name in field.names}
    if not isinstance(row, list) or not row or parts[0] != "{":
        return None
    row = [(kinds[name].name if name in kinds else name, value) for name, value in row]  # for an alias its field
    if len({name for name, _ in row}) < len(row):
        return None
    members: list[Member] = []
    colons, commas = set(), set()
    at, seen = 1, 0
    for name, value in row:
        if isinstance(value, list) or (name in kinds and not _fits(value, kinds[name])):
            return None
        is_string = isinstance(value, str)
        part = at + 2 if is_string else at + 1
        before = "".join(one + '"' for one in parts[seen:part])
        members.append(Member(name, '"' + before if seen else before, part, is_string))
        seen = part + 1
        if is_string:
            colons.add(parts[at + 1])
            after = parts[at + 3]
        else:
            match = re.fullmatch(rf"( ?: ?){_LITERAL}(.*)", parts[at + 1])
            if match is None:
                return None
            colons.add(match[1])
            after = match[2]
        if len(members) < len(row):
            commas.add(after)
        elif after != "}":
            return None
        at += 4 if is_string else 2
    colon, comma = colons.pop(), commas.pop() if commas else ","
    if colons or commas or not _COLON.fullmatch(colon) or not _COMMA.fullmatch(comma):
        return None
    end = '"}' if members[-1].is_string else ""
    return Shape(len(parts), tuple(members), f"{end}\n", colon, comma)


def _fits(value: Any, field: Field) -> bool:
    """Whether values such as this one are read here for the field; null tells nothing."""
    if value is None:
        return field.type != "json"
    if isinstance(value, str):
        return field.type in ("string", "timestamp", "date") or bool(field.decimal)
    if isinstance(value, bool):
        return field.type == "bool"
    return field.is_number or bool(field.unit)


def plain(lines: Lines) -> pa.BooleanArray | None:
    """Rows with a backslash, which have no shape; None for none.

    Raises:
        ValueError: rows have control characters (beside their line feeds), or many have a backslash.
    """
    data = lines.joined()
    octets = pa.UInt8Array.from_buffers(pa.uint8(), data.size, [None, data])
    line_feeds = len(lines) - (data.slice(max(0, data.size - 1)).to_pybytes() != b"\n")
    if pc.less(octets, pa.scalar(_SPACE, pa.uint8())).true_count != line_feeds:
        raise ValueError("rows have control characters")
    # in blocks, because a copy of all rows is memory that is not needed otherwise
    blocks = (data.slice(at, min(_BLOCK, data.size - at)) for at in range(0, data.size, _BLOCK))
    escapes = sum(block.to_pybytes().count(b"\\") for block in blocks)
    if not escapes:
        return None
    if escapes > len(lines):
        raise ValueError("rows have many escapes")
    return pc.match_substring(lines.text, "\\")


class Part(NamedTuple):
    """Rows of one shape, with their typed columns, and those that no field names."""

    lines: Lines
    table: pa.Table
    unnamed: Unnamed = ()


def read_shapes(lines: Lines, fields: Sequence[Field]) -> tuple[list[Part], Lines]:
    """The rows that are read here, and those that are left."""
    left: list[Lines] = []
    try:
        if len(lines) < MIN_ROWS or nested(fields) or columns.broken_utf8(lines.text) is not None:
            return [], lines
        if (odd := plain(lines)) is not None:
            left.append(lines.filter(odd))
            lines = lines.filter(pc.invert(odd))
    except ValueError:
        return [], lines
    parts, others = _read_alike(lines, fields) or _read_groups(_by_quotes(lines), fields, len(lines))
    return parts, concat([*left, *others])


def _read_alike(lines: Lines, fields: Sequence[Field]) -> tuple[list[Part], list[Lines]] | None:
    """All rows as one group, when some rows have as many quotes: counting them in all takes longer than trying it."""
    if len({lines.raw(at).count(b'"') for at in _samples(lines)}) > 1:
        return None
    try:
        return _read_groups([lines], fields, most_unlike=_FEW)
    except _ManyUnlike:
        return None


def _read_groups(groups: Sequence[Lines], fields: Sequence[Field], most_unlike: int) -> tuple[list[Part], list[Lines]]:
    parts: list[Part] = []
    left: list[Lines] = []
    for group in groups:
        shape = _learn_one(group, fields) if len(parts) < MAX_SHAPES else None
        if shape is None:
            left.append(group)
            continue
        part, others = read(group, shape, fields, most_unlike)
        parts.append(part)
        left.append(others)
    return parts, left


def _by_quotes(lines: Lines) -> list[Lines]:
    """The rows by their number of quotes, which rows of one shape have in common; the largest group first."""
    counts = [raw.count(b'"') for raw in lines.text.to_pylist()]
    common = Counter(counts).most_common(MAX_SHAPES)
    numbers = pa.array(counts, pa.int32())
    groups = [lines.filter(pc.equal(numbers, count)) for count, rows in common if rows >= MIN_ROWS]
    known = pa.array([count for count, rows in common if rows >= MIN_ROWS], pa.int32())
    rest = lines.filter(pc.invert(pc.is_in(numbers, known)))
    return [*groups, rest] if len(rest) else groups


def _samples(lines: Lines) -> tuple[int, ...]:
    return (0, len(lines) // 2, len(lines) - 1) if len(lines) else ()


def _learn_one(lines: Lines, fields: Sequence[Field]) -> Shape | None:
    """The shape of one of the rows, for some may be broken."""
    if len(lines) < MIN_ROWS:
        return None
    candidates = (learn(lines.raw(index), fields) for index in _samples(lines))
    return next((shape for shape in candidates if shape is not None), None)


def read(lines: Lines, shape: Shape, fields: Sequence[Field], most_unlike: int) -> tuple[Part, Lines]:
    """The rows of this shape among plain ones with typed columns, and the others.

    Raises:
        _ManyUnlike: more than ``most_unlike`` rows have another number of quotes; each takes as long as ten others.
    """
    skipped: list[int] = []

    def skip(row: Any) -> str:
        skipped.append(row.number)
        return "skip" if len(skipped) <= most_unlike else "error"

    names = [str(number) for number in range(shape.parts)]
    values = [names[member.part] for member in shape.members]
    try:
        table = _between_quotes(lines, names, values, skip)
    except pa.ArrowInvalid as error:
        if len(skipped) > most_unlike:
            raise _ManyUnlike from error
        raise
    lines, others = without_skipped(lines, skipped)
    if table.num_rows != len(lines):
        raise ValueError(f"{len(lines)} rows gave {table.num_rows}")
    typed, unnamed, doubt = _checked(table, lines, shape, fields)
    if doubt is not None:
        others = concat([others, lines.filter(doubt)])
        sure = pc.invert(doubt)
        typed, lines, unnamed = typed.filter(sure), lines.filter(sure), filtered(unnamed, sure)
    return Part(lines, typed, unnamed), others


def _between_quotes(lines: Lines, names: Sequence[str], values: Sequence[str], skip: Callable[[Any], str]) -> pa.Table:
    """The parts of rows with so many names, those in ``values`` as columns; ``skip`` is asked about all other rows."""
    return pacsv.read_csv(
        pa.BufferReader(lines.joined()),
        read_options=pacsv.ReadOptions(
            use_threads=False, column_names=names, block_size=max(_BLOCK, lines.longest() + 1)
        ),
        parse_options=pacsv.ParseOptions(
            delimiter='"', quote_char=False, escape_char=False, invalid_row_handler=skip, ignore_empty_lines=False
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(values, pa.string()),
            include_columns=values,
            strings_can_be_null=False,
            check_utf8=False,  # the rows were checked
        ),
    )


def _checked(
    table: pa.Table, lines: Lines, shape: Shape, fields: Sequence[Field]
) -> tuple[pa.Table, Unnamed, pa.BooleanArray | None]:
    """Typed columns, those of no field, and the rows that are not of the shape or that the exact reader must judge."""
    parts = [table.column(str(member.part)).combine_chunks() for member in shape.members]
    doubt = [_unlike(lines, shape, parts)]
    values: dict[str, pa.Array] = {}
    for member, column in zip(shape.members, parts, strict=True):
        if member.is_string:
            values[member.name] = column
        else:
            values[member.name], wrong = _literal(column, shape, member, fields)
            doubt.append(wrong)
    arrays = []
    for field in fields:
        if field.name in values:
            array, wrong = columns.convert(values[field.name], field)
            doubt.append(wrong)
        else:
            array = pa.nulls(table.num_rows, arrow_type(field))
        arrays.append(array)
    names = [field.name for field in fields]
    unnamed = [
        UnnamedColumn(member.name, values[member.name], member.is_string)
        for member in shape.members
        if member.name and member.name not in names
    ]
    return pa.Table.from_arrays(arrays, names=names), unnamed, columns.any_of(doubt)


def _unlike(lines: Lines, shape: Shape, parts: Sequence[pa.Array]) -> pa.BooleanArray | None:
    """Rows that are not what the shape and their values make, byte for byte; None for none."""
    pieces: list[Any] = []
    for member, column in zip(shape.members, parts, strict=True):
        pieces += [pa.scalar(member.before), column]
    made = pc.binary_join_element_wise(*pieces, pa.scalar(shape.after), "")
    if _bytes_of(made).equals(lines.joined()):
        return None
    same = pc.equal(made.cast(pa.large_binary()), lines.text)
    return None if pc.all(same).as_py() else pc.invert(same)


def _bytes_of(texts: pa.StringArray) -> pa.Buffer:
    _, offsets, data = texts.buffers()
    view = memoryview(offsets).cast("i")
    begin, end = view[texts.offset], view[texts.offset + len(texts)]
    return data.slice(begin, end - begin)


def _where_not(mask: pa.BooleanArray) -> pa.BooleanArray | None:
    return None if pc.all(mask).as_py() else pc.invert(mask)


def _literal(
    column: pa.Array, shape: Shape, member: Member, fields: Sequence[Field]
) -> tuple[pa.Array, pa.BooleanArray | None]:
    """The literals in a part ``:12.5,`` as text, null is null; and the rows in which it is none."""
    field = next((one for one in fields if one.name == member.name), None)
    end = "}" if member is shape.members[-1] else shape.comma
    pattern = _LITERAL
    if field is not None:
        value = _INTEGER if field.type == "int64" or field.unit else "true|false" if field.type == "bool" else _NUMBER
        pattern = f"(?:{value}|null)"
    shaped = pc.match_substring_regex(column, rf"\A{re.escape(shape.colon)}{pattern}{re.escape(end)}\z")
    text = pc.binary_slice(column.cast(pa.binary()), len(shape.colon), -len(end)).cast(pa.string())
    wrong = _where_not(shaped)
    null = pc.equal(text, "null")
    if wrong is not None:
        null = pc.or_(null, wrong)
    if pc.any(null).as_py():
        text = pc.if_else(null, pa.scalar(None, pa.string()), text)
    if field is not None and field.unit:
        text = text.cast(pa.int64())
    return text, wrong


def nested(fields: Sequence[Field]) -> bool:
    """Whether a field may hold objects, which have no shape."""
    return any(arrow_type(field) == JSON for field in fields)
