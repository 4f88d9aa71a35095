"""One raw row, read exactly: its typed values, or every error that it has. docs/rows.md says the rules.

This is the definition of what a row is. The columnar readers (``readers``) are faster and accept only what is read here
to the same values; they leave everything else to this one. One row costs about 10 microseconds.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from core.transform import json_values
from core.transform.values import (
    MAX_DEPTH,
    SURROGATE,
    TOO_DEEP,
    Constant,
    Number,
    WrongValue,
    decode,
    from_json,
    from_text,
)
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.objects import csv_text, json_text
from sluice_pipeline.objects.failures import Reason

WHOLE_ROW: Final = ""  # stands for a field where the row itself is malformed
_SHOWN: Final = 200  # characters of a value that an error shows
_HALF_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)


class RowError(NamedTuple):
    """One error of a row.

    ``field`` is empty for the whole row. ``value`` is the value as JSON or text, cut to 200 characters; ``expected`` is
    the type or rule that it breaks.
    """

    field: str
    reason: Reason
    value: str = ""
    expected: str = ""


class Outcome(NamedTuple):
    """``values`` has every field (None: no value) when ``errors`` is empty; times are microseconds, dates days.

    ``show`` gives the value of a field as an error shows it.
    ``given``: the values of the row as they stand in it, by column (a field's own name for its aliases), null left out;
    none of a malformed row.
    """

    values: dict[str, Any]
    errors: tuple[RowError, ...]
    show: Callable[[str], str] = str
    given: Mapping[str, Any] = {}


def read_json(raw: bytes, fields: Sequence[Field], *, routing: bool = False) -> Outcome:
    """Reads a row that is one JSON object. With ``routing``, members that are no field are not checked."""
    try:
        text, clean = raw.decode("utf-8"), True
    except UnicodeDecodeError:
        text, clean = raw.decode("utf-8", "surrogateescape"), False
    text = text.strip(json_text.BLANK)
    try:
        row = _decoded(text)
    except json.JSONDecodeError as error:
        # a position counts the row's characters from 0
        return _malformed(raw, Reason.MALFORMED_JSON, f"one JSON object; {error.msg} at character {error.pos}")
    if not isinstance(row, dict):
        return _malformed(raw, Reason.MALFORMED_JSON, "one JSON object")
    if clean and _HALF_ESCAPE.search(raw) and SURROGATE.search(json.dumps(row, ensure_ascii=False, default=repr)):
        return _malformed(raw, Reason.MALFORMED_JSON, "no half of a surrogate pair")
    errors: list[RowError] = []
    named = {name for field in fields for name in field.names}
    if not routing:
        errors += _faults_elsewhere(row, named, clean)
    values: dict[str, Any] = {}
    given: dict[str, Any] = {}
    twice = row.twice if isinstance(row, json_values.Members) else frozenset()
    for field in fields:
        held = [name for name in field.names if row.get(name) is not None]
        value = given[field.name] = row[held[0]] if held else None
        if len(held) > 1 or not twice.isdisjoint(field.names):
            expected = "one value; the row has " + (f"it as {', '.join(held)}" if len(held) > 1 else "several")
            errors.append(RowError(field.name, Reason.WRONG_TYPE, _shown_json(value), expected))
            continue
        _judge(field, value, None if value is None else _shown_json, from_json, values, errors)
    others = {name: value for name, value in row.items() if name not in named}
    return Outcome(values, tuple(errors), lambda name: _shown_json(given[name]), _given(given | others, errors))


def read_csv(raw: bytes, fields: Sequence[Field], header: Sequence[str], dialect: csv_text.Dialect) -> Outcome:
    """A row that is one CSV record under a header."""
    malformed = Reason.MALFORMED_CSV
    if b"\0" in raw:
        return _malformed(raw, malformed, "no NUL byte")
    try:
        record, end = csv_text.parse_record(raw, 0, dialect)
    except csv_text.MalformedCsv as error:
        return _malformed(raw, malformed, f"a record of RFC 4180; {error}")
    last_is_empty = not record[-1].text and not record[-1].quoted
    if end < len(raw) or not csv_text.fits(
        len(record), len(header), unnamed=not header[-1:] or not header[-1], last_is_empty=last_is_empty
    ):
        return _malformed(raw, malformed, f"{len(header)} fields, as the header has; there are {len(record)}")
    errors: list[RowError] = []
    texts: dict[str, str | None] = {}
    header = own_names(header, fields)
    names = {field.name for field in fields}
    twice = {name for name in names if header.count(name) > 1}
    for name, value in zip(header, record, strict=False):
        try:
            text = value.text.decode("utf-8")
        except UnicodeDecodeError:
            where, reason = (name, Reason.WRONG_TYPE) if name in names else (WHOLE_ROW, malformed)
            errors.append(RowError(where, reason, cut_value(value.text.decode("utf-8", "replace")), "text in UTF-8"))
            names.discard(name)
            continue
        texts[name] = None if not value.quoted and text in dialect.null else text
    values: dict[str, Any] = {}
    for field in fields:
        if field.name in twice:  # the header of a file that mixes datasets
            expected = "one value; the header has several columns of it"
            errors.append(RowError(field.name, Reason.WRONG_TYPE, cut_value(texts.get(field.name) or ""), expected))
        elif field.name in names or field.name not in header:
            _judge(field, texts.get(field.name), cut_value, from_text, values, errors)

    def show(name: str) -> str:
        return "null" if texts.get(name) is None else cut_value(str(texts[name]))

    return Outcome(values, tuple(errors), show, _given(texts, errors))


def own_names(names: Sequence[str], fields: Sequence[Field]) -> Sequence[str]:
    """Names of a file with the fields' own ones for their aliases."""
    own = {alias: field.name for field in fields for alias in field.checks.aliases}
    return [own.get(name, name) for name in names] if own else names


def _given(row: Mapping[str, Any], errors: Sequence[RowError]) -> Mapping[str, Any]:
    if any(error.field == WHOLE_ROW for error in errors):
        return {}
    return {name: value for name, value in row.items() if name and value is not None}


def given_in_json(raw: bytes) -> Mapping[str, Any]:
    """The values of a row that is known to be one JSON object, by the names that it has for them."""
    return _given(_decoded(raw.decode("utf-8").strip(json_text.BLANK)), ())


def _decoded(text: str) -> Any:
    """The value of a JSON text; a mark replaces each member of the object that has too many levels."""
    try:
        row = decode(text)
    except RecursionError:
        row = decode(_without_depth(text))
    if isinstance(row, dict) and text.count("[") + text.count("{") > MAX_DEPTH:
        for name, value in row.items():
            if json_values.depth(value) > MAX_DEPTH:
                row[name] = TOO_DEEP
    return row


def _malformed(raw: bytes, reason: Reason, expected: str) -> Outcome:
    return Outcome({}, (RowError(WHOLE_ROW, reason, cut_value(raw.decode("utf-8", "replace")), expected),))


def _judge(field: Field, value: Any, show: Any, convert: Any, values: dict[str, Any], errors: list[RowError]) -> None:
    """Puts the field's typed value into ``values``, and what is wrong with it to ``errors``."""
    values[field.name] = None
    if value is None:
        if field.required:
            errors.append(RowError(field.name, Reason.MISSING_REQUIRED, "null", f"a {field.type}"))
        return
    try:
        typed = convert(value, field)
    except WrongValue as wrong:
        errors.append(RowError(field.name, wrong.reason, show(value), str(wrong)))
        return
    if typed is None:
        if field.required:
            errors.append(RowError(field.name, Reason.MISSING_REQUIRED, show(value), f"a {field.type}"))
        return
    values[field.name] = typed
    if field.minimum is not None and _compared(typed, field.minimum) < field.minimum:
        errors.append(RowError(field.name, Reason.OUT_OF_RANGE, show(value), f"at least {field.minimum}"))
    if field.maximum is not None and _compared(typed, field.maximum) > field.maximum:
        errors.append(RowError(field.name, Reason.OUT_OF_RANGE, show(value), f"at most {field.maximum}"))
    if field.allowed and typed not in field.allowed:
        allowed = ", ".join(map(str, field.allowed))
        errors.append(RowError(field.name, Reason.NOT_ALLOWED, show(value), f"one of {allowed}"))


def _compared(value: Any, bound: float) -> Any:
    """A decimal is compared with a bound that is written with a point as what both are in binary."""
    return float(value) if isinstance(bound, float) else value


def _faults_elsewhere(row: dict[str, Any], names: set[str], clean: bool) -> list[RowError]:
    """Faults of members that are no field: they make the row malformed, for its text is no JSON in UTF-8."""
    found = []
    for name, value in row.items():
        if name in names:
            continue
        shown = cut_value(name) + ": " + _shown_json(value)
        if _has(value, lambda one: isinstance(one, Constant)):
            found.append(RowError(WHOLE_ROW, Reason.MALFORMED_JSON, shown, "JSON; NaN and Infinity are none"))
        elif value is TOO_DEEP:
            found.append(RowError(WHOLE_ROW, Reason.MALFORMED_JSON, shown, f"JSON of at most {MAX_DEPTH} levels"))
        elif not clean and (SURROGATE.search(name) or _has(value, _is_broken_text)):
            found.append(RowError(WHOLE_ROW, Reason.MALFORMED_JSON, shown, "text in UTF-8"))
    return found


def _is_broken_text(value: Any) -> bool:
    return isinstance(value, str) and bool(SURROGATE.search(value))


def _has(value: Any, test: Any) -> bool:
    """Whether a value, one in it, or a name in it passes the test; it has few levels."""
    if test(value):
        return True
    if isinstance(value, dict):
        return any(test(name) or _has(inner, test) for name, inner in value.items())
    return isinstance(value, list) and any(_has(inner, test) for inner in value)


def _without_depth(text: str) -> str:
    """The text without what is below MAX_DEPTH + 1 levels of a member, for a decoder whose stack has no room for it."""
    depth, kept, parts = 0, 0, []
    limit = MAX_DEPTH + 2  # the row itself is a level
    for token in _TOKEN.finditer(text):
        if token[0] in ("{", "["):
            depth += 1
            if depth == limit:
                parts.append(text[kept : token.end()])
        elif token[0] in ("}", "]"):
            if depth == limit:
                kept = token.start()
            depth -= 1
    return "".join(parts) + (text[kept:] if depth < limit else "")


def shown(value: Any, *, csv: bool = True) -> str:
    """A value, or a text, as an error shows it."""
    return cut_value(value) if csv else _shown_json(value)


def _shown_json(value: Any) -> str:
    if value is TOO_DEEP:
        return "(nested)"
    if isinstance(value, Number | Constant):
        return cut_value(value)
    if isinstance(value, dict | list):
        return cut_value(_nested_text(value))
    return cut_value(json.dumps(value, ensure_ascii=False))


def _nested_text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "(nested)"


def cut_value(text: str) -> str:
    """As an error shows it."""
    text = SURROGATE.sub("\ufffd", text)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def as_arrays(rows: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> dict[str, list[Any]]:
    """Columns of rows that were read."""
    return {field.name: [row[field.name] for row in rows] for field in fields}
