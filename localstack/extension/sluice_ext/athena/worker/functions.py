"""Trino's functions that DuckDB lacks, or has with another meaning: rewritten, or made as macros of DuckDB.

https://trino.io/docs/current/functions.html
"""

import re
from collections.abc import Callable
from typing import Any, Final

import duckdb
from sqlglot import exp

from sluice_ext.athena.worker import formats
from sluice_ext.athena.worker.errors import unsupported

_UNITS: Final = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")


def _shifts() -> dict[str, str]:
    """date_add for each unit: a date stays a date."""
    made = {}
    for unit in _UNITS:
        shift = f"x + INTERVAL (n) {unit}" if unit != "quarter" else "x + INTERVAL (3 * n) month"
        made[f"__add_{unit}"] = f"(n, x DATE) AS CAST({shift} AS DATE), (n, x TIMESTAMP) AS {shift}, " + (
            f"(n, x TIMESTAMPTZ) AS {shift}"
        )
    return made


_URL: Final = "^[a-zA-Z][a-zA-Z0-9+.-]*://"
# Name -> parameters and body. An overload is chosen by the types of the arguments.
MACROS: Final[dict[str, str]] = _shifts() | {
    "__plus": "(x DATE, i INTERVAL) AS CAST(x + i AS DATE), (x TIMESTAMP, i INTERVAL) AS x + i, "
    "(x TIMESTAMPTZ, i INTERVAL) AS x + i, (x TIME, i INTERVAL) AS x + i, (x INTERVAL, i INTERVAL) AS x + i",
    "__minus": "(x DATE, i INTERVAL) AS CAST(x - i AS DATE), (x TIMESTAMP, i INTERVAL) AS x - i, "
    "(x TIMESTAMPTZ, i INTERVAL) AS x - i, (x TIME, i INTERVAL) AS x - i, (x INTERVAL, i INTERVAL) AS x - i",
    "__between": "(x DATE, y DATE) AS to_days(CAST(x - y AS INTEGER)), (x TIMESTAMP, y TIMESTAMP) AS x - y, "
    "(x TIMESTAMPTZ, y TIMESTAMPTZ) AS x - y",
    "__trunc": "(unit, x DATE) AS CAST(date_trunc(unit, x) AS DATE), (unit, x TIMESTAMP) AS date_trunc(unit, x), "
    "(unit, x TIMESTAMPTZ) AS date_trunc(unit, x)",
    "to_iso8601": "(x DATE) AS strftime(x, '%Y-%m-%d'), (x TIMESTAMP) AS strftime(x, '%Y-%m-%dT%H:%M:%S.%g'), "
    "(x TIMESTAMPTZ) AS strftime(timezone('UTC', x), '%Y-%m-%dT%H:%M:%S.%gZ')",
    "__parse_datetime": "(x, f) AS timezone('UTC', strptime(x, f))",
    "with_timezone": "(x TIMESTAMP, zone) AS timezone(zone, x)",
    "from_unixtime_nanos": "(n) AS timezone('UTC', make_timestamp(CAST(n AS BIGINT) // 1000))",
    "__divide": "(a DOUBLE, b DOUBLE) AS CASE WHEN b <> 0 THEN a / b WHEN a > 0 THEN CAST('Infinity' AS DOUBLE) "
    "WHEN a < 0 THEN CAST('-Infinity' AS DOUBLE) WHEN a = 0 THEN CAST('NaN' AS DOUBLE) END",
    "__split_part": "(s, delimiter, n) AS list_extract(string_split(s, delimiter), n)",
    "__regexp_extract": "(text, pattern, n) AS "
    "CASE WHEN regexp_matches(text, pattern) THEN regexp_extract(text, pattern, n) END",
    "regexp_position": "(text, pattern) AS CASE WHEN regexp_matches(text, pattern) "
    "THEN length(regexp_extract(text, '(?s)^(.*?)(?:' || pattern || ')', 1)) + 1 ELSE -1 END",
    "__json_scalar": "(value) AS "
    "CASE WHEN json_type(value) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE value ->> '$' END",
    "json_array_contains": "(value, wanted) AS list_contains(CAST(value AS JSON[]), to_json(wanted))",
    "json_size": "(value, path) AS CASE json_type(value, path) WHEN 'ARRAY' THEN json_array_length(value, path) "
    "WHEN 'OBJECT' THEN len(json_keys(value, path)) WHEN NULL THEN NULL ELSE 0 END",
    "__sequence": "(a BIGINT, b BIGINT) AS generate_series(a, b, CASE WHEN a <= b THEN 1 ELSE -1 END), "
    "(a DATE, b DATE) AS CAST(generate_series(a, b, CASE WHEN a <= b THEN INTERVAL 1 DAY ELSE INTERVAL (-1) DAY END) "
    "AS DATE[]), (a BIGINT, b BIGINT, step BIGINT) AS generate_series(a, b, step), "
    "(a DATE, b DATE, step INTERVAL) AS CAST(generate_series(a, b, step) AS DATE[]), "
    "(a TIMESTAMP, b TIMESTAMP, step INTERVAL) AS generate_series(a, b, step)",
    "__position": "(l, x) AS CASE WHEN l IS NULL OR x IS NULL THEN NULL ELSE coalesce(list_position(l, x), 0) END",
    "array_union": "(a, b) AS list_distinct(list_concat(a, b))",
    "arrays_overlap": "(a, b) AS list_has_any(a, b)",
    "__slice": "(l, first, n) AS CASE WHEN first < 0 THEN list_slice(l, len(l) + first + 1, len(l) + first + n) "
    "ELSE list_slice(l, first, first + n - 1) END",
    "__any": "(l) AS CASE WHEN l IS NULL THEN NULL WHEN list_contains(l, true) THEN true "
    "WHEN len(l) > list_count(l) THEN NULL ELSE false END",
    "__all": "(l) AS CASE WHEN l IS NULL THEN NULL WHEN list_contains(l, false) THEN false "
    "WHEN len(l) > list_count(l) THEN NULL ELSE true END",
    "map_agg": "(k, v) AS map(list(k), list(v))",
    "codepoint": "(c) AS unicode(c)",
    "url_extract_protocol": "(u) AS nullif(regexp_extract(u, '^([a-zA-Z][a-zA-Z0-9+.-]*):', 1), '')",
    "url_extract_host": f"(u) AS nullif(regexp_extract(u, '{_URL}(?:[^@/?#]*@)?([^:/?#]*)', 1), '')",
    "url_extract_port": f"(u) AS try_cast(regexp_extract(u, '{_URL}(?:[^@/?#]*@)?[^:/?#]*:([0-9]+)', 1) AS BIGINT)",
    "url_extract_path": f"(u) AS regexp_extract(u, '{_URL}[^/?#]*([^?#]*)', 1)",
    "url_extract_query": "(u) AS nullif(regexp_extract(u, '[?]([^#]*)', 1), '')",
    "url_extract_fragment": "(u) AS nullif(regexp_extract(u, '#(.*)', 1), '')",
    "url_extract_parameter": "(u, name) AS CASE WHEN regexp_matches(u, '[?&]' || regexp_escape(name) || '(=|&|#|$)') "
    "THEN url_decode(regexp_extract(u, '[?&]' || regexp_escape(name) || '=([^&#]*)', 1)) END",
    "__url_encode": "(u) AS replace(url_encode(u), '%20', '+')",
    "width_bucket": "(x, low, high, n) AS CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1 "
    "ELSE CAST(floor((x - low) * n / (high - low)) AS BIGINT) + 1 END",
    "nan": "() AS CAST('NaN' AS DOUBLE)",
    "infinity": "() AS CAST('Infinity' AS DOUBLE)",
    "every": "(x) AS bool_and(x)",
}


def define(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Make the macros that a text of SQL may name."""
    lower = sql.lower()
    for name in [name for name in MACROS if f"{name}(" in lower]:
        connection.execute(f"CREATE OR REPLACE TEMP MACRO {name}{MACROS[name]}")


def translate(query: exp.Expression) -> exp.Expression:
    """The query with each such function in DuckDB's form. Raises QueryFailed for what has none."""
    return query.transform(_translated)


def _call(name: str, *arguments: Any) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _translated(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Anonymous):
        change = _BY_NAME.get(str(node.name).lower())
        return change(node) if change else node
    change = _BY_KIND.get(type(node))
    return change(node) if change else node


def _unit(node: exp.Expression) -> str:
    unit = str(node.args["unit"].name).lower()
    if unit not in _UNITS:
        raise unsupported(f"the unit {unit} of a date")
    return unit


def _date_add(node: Any) -> exp.Expression:
    return _call(f"__add_{_unit(node)}", node.expression, node.this)


def _date_diff(node: Any) -> exp.Expression:
    """Whole units between two times, not borders that lie between them."""
    return _call("date_sub", exp.Literal.string(_unit(node)), node.expression, node.this)


def _date_trunc(node: Any) -> exp.Expression:
    return _call("__trunc", exp.Literal.string(_unit(node)), node.this)


def _add(node: Any) -> Any:
    left, right = node.this, node.expression
    if isinstance(left, exp.Interval):
        left, right = right, left
    return _call("__plus", left, right) if isinstance(right, exp.Interval) else node


def _sub(node: Any) -> Any:
    if isinstance(node.expression, exp.Interval):
        return _call("__minus", node.this, node.expression)
    if _is_date(node.this) and not isinstance(node.expression, exp.Literal):
        return _call("__between", node.this, node.expression)
    return node


def _is_date(node: exp.Expression) -> bool:
    return isinstance(node, exp.CurrentDate) or (isinstance(node, exp.Cast) and node.to.is_type("date", "timestamp"))


def _is_double(node: exp.Expression) -> bool:
    if isinstance(node, exp.Paren | exp.Neg):
        return _is_double(node.this)
    if isinstance(node, exp.Literal):
        return not node.is_string and "e" in str(node.this).lower()
    return isinstance(node, exp.Cast) and bool(node.to.is_type("double", "float"))


def _div(node: Any) -> Any:
    """A double by zero is infinite; any other division by zero is an error."""
    return (
        _call("__divide", node.this, node.expression) if _is_double(node.this) or _is_double(node.expression) else node
    )


def _literal(node: exp.Expression | None, what: str) -> str:
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise unsupported(f"{what} that is not a literal")
    return str(node.this)


def _format_datetime(node: Any) -> exp.Expression:
    moment, given = node.expressions
    return _call("strftime", moment, exp.Literal.string(formats.strftime(_literal(given, "a format of a date"))))


def _parse_datetime(node: Any) -> exp.Expression:
    given = formats.strftime(_literal(node.args.get("format"), "a format of a date"))
    return _call("__parse_datetime", node.this, exp.Literal.string(given))


def _split_part(node: Any) -> exp.Expression:
    return _call("__split_part", node.this, node.args["delimiter"], node.args["part_index"])


def _regexp_extract(node: Any) -> exp.Expression:
    return _call("__regexp_extract", node.this, node.expression, node.args.get("group") or exp.Literal.number(0))


def _regexp_replace(node: Any) -> Any:
    """$1 of Java is \\1 here."""
    given = node.args.get("replacement")
    if isinstance(given, exp.Literal) and given.is_string:
        text = str(given.this).replace("\\$", "\0").replace("\\", "\\\\")
        node.set("replacement", exp.Literal.string(re.sub(r"\$(\d)", r"\\\1", text).replace("\0", "$")))
    elif isinstance(given, exp.Lambda):
        raise unsupported("regexp_replace with a function")
    return node


def _json_scalar(node: Any) -> exp.Expression:
    return _call("__json_scalar", exp.JSONExtract(this=node.this, expression=node.expression))


def _sequence(node: Any) -> Any:
    first, last, step = node.args["start"], node.args["end"], node.args.get("step")
    plain = all(isinstance(one, exp.Literal) and not one.is_string for one in (first, last))
    if plain and step is None and int(first.this) <= int(last.this):
        return node  # DuckDB makes these without a list in memory
    return _call("__sequence", first, last, *([step] if step else []))


def _position(node: Any) -> exp.Expression:
    return _call("__position", node.this, node.expression)


def _slice(node: Any) -> exp.Expression:
    return _call("__slice", node.this, node.args["start"], node.args["end"])


def _str_position(node: Any) -> Any:
    if node.args.get("occurrence") is not None:
        raise unsupported("strpos with an instance")
    return node


def _reduce(node: Any) -> Any:
    finish = node.args.get("finish")
    if finish is None:
        return node
    node.set("finish", None)
    return _applied(finish, node)


def _extract(node: Any) -> Any:
    field = str(node.this.name).upper()
    named = {"DOW": "ISODOW", "DAY_OF_WEEK": "ISODOW", "YOW": "ISOYEAR", "YEAR_OF_WEEK": "ISOYEAR"}.get(field)
    return exp.Extract(this=exp.var(named), expression=node.expression) if named else node


def _applied(function: exp.Lambda, *values: exp.Expression) -> exp.Expression:
    """The body of a lambda with values for its parameters."""
    given = {str(one.name).lower(): value for one, value in zip(function.expressions, values, strict=True)}

    def replaced(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in given:
            return given[node.name.lower()].copy()
        if isinstance(node, exp.Identifier) and not isinstance(node.parent, exp.Column | exp.Dot | exp.Lambda):
            found = given.get(str(node.name).lower())
            return found.copy() if found is not None else node
        return node

    body = function.this.copy()
    return exp.Paren(this=body.transform(replaced))


def _entry(field: str) -> exp.Expression:
    return exp.Dot(this=exp.to_identifier("__entry"), expression=exp.to_identifier(field))


def _of_entries(function: exp.Lambda, *fields: str) -> exp.Lambda:
    body = _applied(function, *map(_entry, fields))
    return exp.Lambda(this=body, expressions=[exp.to_identifier("__entry")])


def _matches(name: str) -> Callable[[Any], exp.Expression]:
    def change(node: Any) -> exp.Expression:
        return _call(name, _call("list_transform", *node.expressions))

    return change


def _none_match(node: Any) -> exp.Expression:
    return exp.Paren(this=exp.Not(this=_call("__any", _call("list_transform", *node.expressions))))


def _map_filter(node: Any) -> exp.Expression:
    entries, function = _call("map_entries", node.expressions[0]), node.expressions[1]
    return _call("map_from_entries", _call("list_filter", entries, _of_entries(function, "key", "value")))


def _map_transform(changed: str) -> Callable[[Any], exp.Expression]:
    def change(node: Any) -> exp.Expression:
        entries, function = _call("map_entries", node.expressions[0]), node.expressions[1]
        made = _of_entries(function, "key", "value").this
        pair = [made, _entry("value")] if changed == "key" else [_entry("key"), made]
        body = exp.Lambda(this=_call("row", *pair), expressions=[exp.to_identifier("__entry")])
        return _call("map_from_entries", _call("list_transform", entries, body))

    return change


def _zip_with(node: Any) -> exp.Expression:
    one, other, function = node.expressions
    places = [exp.Bracket(this=exp.to_identifier("__entry"), expressions=[exp.Literal.number(at)]) for at in (0, 1)]
    body = exp.Lambda(this=_applied(function, *places), expressions=[exp.to_identifier("__entry")])
    return _call("list_transform", _call("list_zip", one, other), body)


def _renamed(name: str) -> Callable[[Any], exp.Expression]:
    return lambda node: _call(name, *node.expressions)


_BY_KIND: Final[dict[type[exp.Expression], Callable[[Any], exp.Expression]]] = {
    exp.DateAdd: _date_add,
    exp.DateDiff: _date_diff,
    exp.DateTrunc: _date_trunc,
    exp.TimestampTrunc: _date_trunc,
    exp.Add: _add,
    exp.Sub: _sub,
    exp.Div: _div,
    exp.ParseDatetime: _parse_datetime,
    exp.SplitPart: _split_part,
    exp.RegexpExtract: _regexp_extract,
    exp.RegexpReplace: _regexp_replace,
    exp.JSONExtractScalar: _json_scalar,
    exp.GenerateSeries: _sequence,
    exp.ArrayPosition: _position,
    exp.ArraySlice: _slice,
    exp.StrPosition: _str_position,
    exp.Reduce: _reduce,
    exp.Extract: _extract,
}
_BY_NAME: Final[dict[str, Callable[[Any], exp.Expression]]] = {
    "format_datetime": _format_datetime,
    "any_match": _matches("__any"),
    "all_match": _matches("__all"),
    "none_match": _none_match,
    "map_filter": _map_filter,
    "transform_values": _map_transform("value"),
    "transform_keys": _map_transform("key"),
    "zip_with": _zip_with,
    "url_encode": _renamed("__url_encode"),
    "at_timezone": lambda node: exp.AtTimeZone(this=node.expressions[0], zone=node.expressions[1]),
}
