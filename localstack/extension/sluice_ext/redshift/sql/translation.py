"""A statement of Redshift as one of PostgreSQL, on its tree."""

from collections.abc import Iterator

from sqlglot import exp
from sqlglot.transforms import eliminate_qualify

from sluice_ext.redshift.sql import functions
from sluice_ext.redshift.sql.errors import Malformed, Unsupported
from sluice_ext.redshift.sql.names import SYSTEM_VIEWS

_SUPER = exp.DataType.build("jsonb", dialect="postgres")
_VALUES = (exp.Bracket, exp.Dot, exp.Paren, exp.Anonymous)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_REFUSED: dict[type[exp.Expr], str] = {
    exp.Pivot: "PIVOT",
    exp.Unnest: "a FROM clause that unnests SUPER",
    exp.IgnoreNulls: "IGNORE NULLS",
    exp.RespectNulls: "RESPECT NULLS",
    exp.TryCast: "TRY_CAST",
    exp.Connect: "CONNECT BY",
}
# Redshift sorts out what it has grouped; PostgreSQL has these only without OVER.
_ORDERED_SETS = {"median", "percentile_cont", "percentile_disc", "listagg"}


def translate(query: exp.Expr) -> exp.Expr:
    """The tree in PostgreSQL's meaning. Raises Unsupported and Malformed."""
    for one in query.walk():
        if type(one) in _REFUSED:
            raise Unsupported(_REFUSED[type(one)])
        if isinstance(one, exp.Select):
            _refuse_in_select(one)
        if isinstance(one, exp.Window):
            _refuse_in_window(one)
    _fold(query)
    _navigate(query)
    _name_system_views(query)
    query = _qualify(query)
    for one in reversed(list(query.walk())):  # parts before what they are part of
        new = _node(one)
        if new is not one:
            one.replace(new)
    if isinstance(query, exp.Merge):
        _merge(query)
    return query


def _qualify(query: exp.Expr) -> exp.Expr:
    """QUALIFY is a condition around a query that has the window functions as columns."""
    for one in reversed(list(query.find_all(exp.Select))):
        if one.args.get("qualify"):
            if any(isinstance(shown, exp.Star) for shown in one.expressions):
                raise Unsupported("QUALIFY with SELECT *")
            new = eliminate_qualify(one.copy())
            if one is query:
                return new
            one.replace(new)
    return query


def _refuse_in_select(one: exp.Select) -> None:
    if any(
        isinstance(star, exp.Star) and (star.args.get("except_") or star.args.get("except")) for star in one.expressions
    ):
        raise Unsupported("SELECT * EXCLUDE")
    group = one.args.get("group")
    if group is not None and group.args.get("all"):
        raise Unsupported("GROUP BY ALL")


def _refuse_in_window(one: exp.Window) -> None:
    name = _name(one.this.this if isinstance(one.this, exp.WithinGroup) else one.this)
    if name in _ORDERED_SETS:
        raise Unsupported(f"{name.upper()} as a window function")


def _fold(query: exp.Expr) -> None:
    """Names are lower case, quoted ones too.

    https://docs.aws.amazon.com/redshift/latest/dg/r_enable_case_sensitive_identifier.html
    """
    for name in query.find_all(exp.Identifier):
        name.set("this", name.this.lower())


def _navigate(query: exp.Expr) -> None:
    """``c.a[0].b`` of a SUPER column c: ``c -> 'a' -> 0 -> 'b'``."""
    for one in list(query.find_all(exp.Bracket, exp.Dot, exp.Column)):
        if one.parent and isinstance(one.parent, (exp.Bracket, exp.Dot)) and one.arg_key == "this":
            continue  # part of a longer one
        if isinstance(one, exp.Column):
            if len(one.parts) > 1 and not isinstance(one.this, exp.Star) and one.find_ancestor(exp.Select):
                new = _navigation(one, _sources(one))
                if not isinstance(new, exp.Column):
                    _replace(one, new)
        elif not isinstance(one, exp.Dot) or isinstance(one.this, _VALUES):
            _replace(one, _navigation(one, _sources(one)))


def _sources(one: exp.Expr) -> set[str]:
    """The names of tables that a column there can have."""
    found: set[str] = set()
    at: exp.Expr | None = one
    while at is not None:
        if isinstance(at, (exp.Select, exp.Update, exp.Delete, exp.Merge, exp.Insert)):
            for source in (*at.find_all(exp.Table), *at.find_all(exp.Subquery), *at.find_all(exp.CTE)):
                found.add(source.alias_or_name)
        at = at.parent
    return found


def _replace(one: exp.Expr, new: exp.Expr) -> None:
    parent = one.parent
    if isinstance(parent, _COMPARISONS):  # a value of JSON and one of SQL
        other = parent.expression if one.arg_key == "this" else parent.this
        if isinstance(other, exp.Literal):
            kind = "text" if other.is_string else "numeric"
            other.replace(functions.call("to_jsonb", exp.cast(other.copy(), kind)))
    one.replace(exp.paren(new))


def _navigation(one: exp.Expr, sources: set[str]) -> exp.Expr:
    if isinstance(one, exp.Bracket):
        step: exp.Expr = _navigation(one.this, sources)
        for index in one.expressions:
            if isinstance(index, exp.Slice):
                raise Unsupported("a slice of an array")
            step = _arrow(step, index)
        return step
    if isinstance(one, exp.Dot):
        return _arrow(_navigation(one.this, sources), functions.text_literal(one.expression.name))
    if isinstance(one, exp.Column):
        return _from_column(one, sources)
    return one.copy()


def _from_column(one: exp.Column, sources: set[str]) -> exp.Expr:
    """``table.column.key``, ``column.key`` or, as it is, ``schema.table.column``."""
    parts = [part.name for part in one.parts]
    if len(parts) == 1 or (len(parts) == 2 and parts[0] in sources):
        return one.copy()
    if len(parts) > 2 and parts[0] not in sources and parts[1] in sources:
        if len(parts) > 3:
            raise Unsupported("navigation from schema.table.column: an alias of the table")
        return one.copy()
    known = 2 if parts[0] in sources else 1
    value: exp.Expr = exp.column(parts[known - 1], table=parts[0] if known == 2 else None, quoted=True)
    for key in parts[known:]:
        value = _arrow(value, functions.text_literal(key))
    return value


def _arrow(value: exp.Expr, key: exp.Expr) -> exp.Expr:
    return functions.defined("super_at", value, key)


def _name_system_views(query: exp.Expr) -> None:
    for table in query.find_all(exp.Table):
        if table.name in SYSTEM_VIEWS and table.db in ("", "pg_catalog"):
            if not table.alias and table.parent and not isinstance(table.parent, exp.Drop):
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
            table.set("db", exp.to_identifier(functions.COMPATIBLE))
            table.set("catalog", None)


def _node(one: exp.Expr) -> exp.Expr:
    """One node whose parts are not translated yet."""
    if isinstance(one, exp.Window):
        return _window(one)
    if isinstance(one, exp.WithinGroup) and _name(one.this) == "listagg":
        return functions.listagg(one.this, list(one.this.expressions), one.expression)
    if isinstance(one, exp.CurrentTimestamp) and one.args.get("sysdate"):
        return functions.defined("sysdate")
    if isinstance(one, exp.Extract):
        part = functions.text_literal(one.name.lower())
        return functions.translate(functions.call("date_part", part, one.expression))
    if isinstance(one, exp.Anonymous):
        if _name(one) == "listagg" and isinstance(one.parent, exp.WithinGroup):
            return one
        return functions.translate(one)
    if isinstance(one, exp.DataType):
        return data_type(one)
    return one


def _name(one: exp.Expr | None) -> str:
    return one.this.lower() if isinstance(one, exp.Anonymous) and isinstance(one.this, str) else ""


def _window(one: exp.Window) -> exp.Expr:
    if _name(one.this) != "ratio_to_report":
        return one
    value = exp.cast(one.this.expressions[0].copy(), "double precision")
    total = one.copy()
    total.set("this", functions.call("sum", value.copy()))
    return exp.paren(exp.Div(this=value, expression=functions.call("nullif", total, exp.Literal.number(0))))


def data_type(one: exp.DataType) -> exp.DataType:
    """A type without its arguments has those of Redshift: DECIMAL is (18,0), SUPER is jsonb.

    https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html
    """
    kind = one.this
    if kind in (exp.DataType.Type.SUPER, exp.DataType.Type.VARIANT):
        return _SUPER.copy()
    if kind == exp.DataType.Type.DECIMAL and not one.expressions:
        return exp.DataType.build("decimal(18, 0)", dialect="postgres")
    if kind in (exp.DataType.Type.GEOMETRY, exp.DataType.Type.GEOGRAPHY, exp.DataType.Type.HLLSKETCH):
        raise Unsupported(f"the type {kind.name}")
    if kind == exp.DataType.Type.VARBINARY:
        return exp.DataType.build("bytea", dialect="postgres")
    if one.expressions and one.expressions[0].name.upper() == "MAX":
        return exp.DataType.build("varchar(65535)", dialect="postgres")
    return one


def column_type(one: exp.DataType) -> exp.DataType:
    """Of a column's definition: VARCHAR, TEXT and BPCHAR without a length have 256."""
    texts = (exp.DataType.Type.VARCHAR, exp.DataType.Type.NVARCHAR, exp.DataType.Type.TEXT)
    if one.this in texts and not one.expressions:
        return exp.DataType.build("varchar(256)", dialect="postgres")
    if one.this == exp.DataType.Type.BPCHAR and not one.expressions:
        return exp.DataType.build("char(256)", dialect="postgres")
    return one


def _merge(query: exp.Merge) -> None:
    """``INSERT VALUES (...)`` without columns, which sqlglot takes for a column."""
    for when in query.args["whens"].expressions:
        then = when.args.get("then")
        if isinstance(then, exp.Insert) and not then.expression and isinstance(then.this, exp.Tuple):
            values = then.this.expressions[0]
            then.set("expression", exp.Tuple(expressions=list(values.expressions)))
            then.set("this", None)


def parameters(query: exp.Expr) -> Iterator[str]:
    for one in query.find_all(exp.Placeholder):
        if not one.this:
            raise Malformed('ERROR: syntax error at or near "?"')
        yield one.name
