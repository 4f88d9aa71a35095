"""Redshift's functions in PostgreSQL's: some by name, some by their meaning, the rest unchanged.

A function that neither has stays as it is: PostgreSQL then says that it does not exist.
https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html
"""

import re
from collections.abc import Callable

from sqlglot import exp

from sluice_ext.redshift.sql.errors import Malformed, Unsupported

COMPATIBLE = "redshift_compat"  # the schema that `prepare` makes

# What `functions.sql` defines: functions that PostgreSQL does not have, or has with another meaning.
_DEFINED = (
    "getdate sysdate version timeofday dateadd date_add datediff date_diff date_part date_part_year date_trunc trunc "
    "add_months last_day months_between next_day date_cmp timestamp_cmp convert_timezone round avg sum sign cbrt "
    "strtol to_hex dlog10 dlog1 dexp sha2 textlen regexp_substr json_parse json_serialize json_extract_path_text "
    "json_extract_array_element_text is_valid_json is_valid_json_array can_json_parse "
    "pg_get_late_binding_view_cols"
)
DEFINED = frozenset(_DEFINED.split())
_RENAMED = {
    "nvl": "coalesce", "isnull": "coalesce", "len": "length", "replicate": "repeat", "dpow": "power", "pow": "power",
    "json_typeof": "jsonb_typeof", "get_array_length": "jsonb_array_length", "json_size": "length",
    "object": "jsonb_build_object", "array": "jsonb_build_array", "variance": "var_samp",
    "func_sha2": "sha2",
}  # fmt: skip
_DATE_PARTS_FIRST = {"dateadd", "datediff", "date_part", "date_trunc", "date_add", "date_diff"}
# Their arguments that are literals or parameters are timestamps, as Redshift takes them.
_TIMESTAMPS = {
    "dateadd": (2,), "date_add": (2,), "datediff": (1, 2), "date_diff": (1, 2), "date_part": (1,), "date_trunc": (1,),
    "add_months": (0,), "last_day": (0,), "months_between": (0, 1), "next_day": (0,),
}  # fmt: skip


def call(name: str, *arguments: exp.Expr | str) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def defined(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return call(f"{COMPATIBLE}.{name}", *arguments)


def text_literal(text: str) -> exp.Literal:
    return exp.Literal.string(text)


def translate(one: exp.Anonymous) -> exp.Expr:
    """A call whose arguments are translated already."""
    if not isinstance(one.this, str):
        return one
    name, arguments = one.this.lower(), list(one.expressions)
    if name in _MEANT:
        return _MEANT[name](one, arguments)
    if name in _DATE_PARTS_FIRST and arguments:
        arguments[0] = _part(name, arguments[0])
    for place in _TIMESTAMPS.get(name, ()):
        if place < len(arguments):
            arguments[place] = _as_timestamp(arguments[place])
    if name in _RENAMED:
        name = _RENAMED[name]
    if name in DEFINED:
        return defined(name, *arguments)
    one.set("this", name)
    one.set("expressions", arguments)
    return one


def _part(name: str, part: exp.Expr) -> exp.Expr:
    """Parts are words or strings."""
    if isinstance(part, exp.Column) and not part.table:
        return text_literal(part.name.lower())
    if isinstance(part, exp.Var):
        return text_literal(part.name.lower())
    if isinstance(part, exp.Literal) and part.is_string:
        return text_literal(part.name.lower())
    raise Malformed(f"ERROR: function {name} needs the name of a date part")


def _as_timestamp(value: exp.Expr) -> exp.Expr:
    if isinstance(value, exp.Placeholder) or (isinstance(value, exp.Literal) and value.is_string):
        return exp.cast(value, "timestamp")
    return value


def _need(one: exp.Anonymous, arguments: list[exp.Expr], minimum: int, maximum: int | None = None) -> None:
    if len(arguments) < minimum or (maximum is not None and len(arguments) > maximum):
        raise Malformed(f"ERROR: function {one.this.lower()} has the wrong number of arguments: {len(arguments)}")


def _nvl2(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    _need(one, arguments, 3, 3)
    value, given, missing = arguments
    return exp.Case().when(value.is_(exp.null()).not_(), given).else_(missing)


def _decode(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    """Two nulls are equal: https://docs.aws.amazon.com/redshift/latest/dg/r_DECODE_expression.html"""
    _need(one, arguments, 3)
    value, rest = arguments[0], arguments[1:]
    case = exp.Case()
    for at in range(0, len(rest) - 1, 2):
        case = case.when(exp.NullSafeEQ(this=value.copy(), expression=rest[at]), rest[at + 1])
    return case.else_(rest[-1]) if len(rest) % 2 else case


def _concat(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    """Null when one is null, which PostgreSQL's CONCAT is not."""
    _need(one, arguments, 2, 2)
    first, second = (exp.cast(argument, "text") for argument in arguments)
    return exp.paren(exp.DPipe(this=first, expression=second))


def _charindex(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    _need(one, arguments, 2, 2)
    return call("strpos", arguments[1], arguments[0])


def _regexp_replace(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    """All matches are replaced; PostgreSQL's replaces the first. Groups are $1, not \\1."""
    _need(one, arguments, 2, 5)
    source, pattern = arguments[:2]
    replacement = arguments[2] if len(arguments) > 2 else text_literal("")
    if isinstance(replacement, exp.Literal):
        replacement = text_literal(re.sub(r"\$(\d)", r"\\\1", replacement.name))
    start = arguments[3] if len(arguments) > 3 else exp.Literal.number(1)
    flags = arguments[4:] or [text_literal("")]
    if isinstance(flags[0], exp.Literal) and "p" in flags[0].name:
        raise Unsupported("REGEXP_REPLACE with PCRE ('p')")
    return call("regexp_replace", source, pattern, replacement, start, exp.Literal.number(0), flags[0])


def _median(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    _need(one, arguments, 1, 1)
    order = exp.Order(expressions=[exp.Ordered(this=arguments[0], nulls_first=False)])
    return exp.WithinGroup(this=call("percentile_cont", exp.Literal.number("0.5")), expression=order)


def _listagg(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    return listagg(one, arguments, None)


def listagg(one: exp.Anonymous, arguments: list[exp.Expr], order: exp.Order | None) -> exp.Expr:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_LISTAGG.html"""
    _need(one, arguments, 1, 2)
    value = arguments[0]
    distinct = isinstance(value, exp.Distinct)
    separator = arguments[1] if len(arguments) > 1 else text_literal("")
    if isinstance(value, exp.Distinct):
        if len(value.expressions) > 1:
            separator = value.expressions[1]
        value = value.expressions[0]
    shown: exp.Expr = exp.cast(value, "text")
    if order is not None:
        if distinct:  # PostgreSQL sorts what it has made distinct
            for item in order.expressions:
                if isinstance(item, exp.Ordered) and item.this == value:
                    item.set("this", shown.copy())
        separator = exp.Order(this=separator, expressions=order.expressions)
    if distinct:
        shown = exp.Distinct(expressions=[shown])
    return call("string_agg", shown, separator)


def _json_text(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    """JSON in a text, and the path as the rest; a last TRUE is null_if_invalid."""
    _need(one, arguments, 2)
    flag: exp.Expr = exp.false()
    if isinstance(arguments[-1], exp.Boolean):
        flag = arguments.pop()
    path = exp.Array(expressions=[exp.cast(argument, "text") for argument in arguments[1:]])
    return defined(one.this.lower(), exp.cast(arguments[0], "text"), path, flag)


def _json_length(one: exp.Anonymous, arguments: list[exp.Expr]) -> exp.Expr:
    _need(one, arguments, 1, 2)
    return call("json_array_length", exp.cast(arguments[0], "json"))


_MEANT: dict[str, Callable[[exp.Anonymous, list[exp.Expr]], exp.Expr]] = {
    "nvl2": _nvl2,
    "decode": _decode,
    "concat": _concat,
    "charindex": _charindex,
    "regexp_replace": _regexp_replace,
    "median": _median,
    "listagg": _listagg,
    "json_extract_path_text": _json_text,
    "json_extract_array_element_text": _json_text,
    "json_array_length": _json_length,
}
