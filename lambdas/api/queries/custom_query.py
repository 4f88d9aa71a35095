"""A caller's own SELECT: read into a tree of which every node is on a list, and rewritten from that tree.

What PostgreSQL gets is the tree's text and never the caller's, so comments, odd quoting and what a parser may read
differently do not reach it. The reader role, a read-only transaction and DECLARE CURSOR, which takes a single SELECT
only, stand behind this list and not instead of it.
"""

import logging
from typing import Final

from psycopg import sql
from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from api.answers import query_refused
from api.models import CustomQueryParameters
from api.queries.questions import Question

SCHEMAS: Final = frozenset({"silver", "canonical", "control"})
_DATASETS: Final = "silver"  # the schema of a table that is written without one
_DIALECT: Final = "postgres"
_ROOTS: Final = (exp.Select, exp.SetOperation, exp.Subquery)

# Strings with escapes (E'', U&'', $$) are not here: rewritten, their text could end elsewhere.
_NODES: Final[tuple[type[exp.Expr], ...]] = (
    exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Subquery, exp.With, exp.CTE, exp.Table, exp.TableAlias,
    exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Literal, exp.Boolean, exp.Null, exp.From, exp.Join, exp.Where,
    exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct, exp.Window, exp.WindowSpec,
    exp.Filter, exp.WithinGroup, exp.Paren, exp.Tuple, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod,
    exp.DPipe, exp.Neg, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is,
    exp.Not, exp.Between, exp.In, exp.Like, exp.ILike, exp.SimilarTo, exp.Escape, exp.Any, exp.All, exp.Interval,
    exp.Var, exp.DataType, exp.DataTypeParam, exp.AtTimeZone, exp.Bracket, exp.Lateral, exp.Cube, exp.Rollup,
    exp.GroupingSets, exp.JSONPath, exp.JSONPathKey, exp.JSONPathRoot, exp.JSONPathSubscript,
)  # fmt: skip

# Functions that sqlglot knows, by its names for them; they read their arguments and nothing else.
_KNOWN: Final = frozenset(
    """
    and or xor case if coalesce nullif greatest least cast exists array collate
    count sum avg min max stddev stddevpop stddevsamp variance variancepop corr covarpop covarsamp logicaland logicalor
    arrayagg groupconcat percentilecont percentiledisc mode grouping
    rownumber rank denserank percentrank cumedist ntile lag lead firstvalue lastvalue nthvalue
    lower upper length trim substring concat concatws replace splitpart left right initcap strposition
    regexpreplace regexplike regexpilike
    abs ceil floor round ln log exp pow sqrt sign trunc widthbucket
    timestamptrunc datetrunc extract currentdate currenttimestamp timetostr strtotime unixtotime date makeinterval
    jsonextract jsonextractscalar jsonbextract jsonbextractscalar jsonbcontains arraycontainsall arraysize unnest
    """.split()  # noqa: SIM905
)
# And those that it does not know, by PostgreSQL's.
_OTHERS: Final = frozenset(
    """
    age date_bin justify_days justify_hours justify_interval btrim ltrim rtrim
    jsonb_typeof jsonb_array_length jsonb_array_elements jsonb_array_elements_text jsonb_object_keys jsonb_each
    jsonb_each_text regr_slope regr_intercept regr_r2 regr_count cardinality isfinite
    """.split()  # noqa: SIM905
)


class _Silent(logging.Filter):
    """sqlglot warns of statements that it cannot read; they are rejected, and the answer says so."""

    def filter(self, _record: logging.LogRecord) -> bool:
        return False


logging.getLogger("sqlglot").addFilter(_Silent())


def custom_query(asked: CustomQueryParameters) -> Question:
    """Raises ApiError (400) and says what is not allowed."""
    # The text is the tree's; no part of it is a placeholder, for nothing is bound.
    return Question(sql.SQL(checked(asked.sql)), (), asked.limit, foreign=True)


def checked(text: str) -> str:
    """The query as PostgreSQL gets it. Raises ApiError (400) for anything but one SELECT of the lists above."""
    try:
        tree = _parsed(text)
        _check(tree)
        written = tree.sql(dialect=_DIALECT, comments=False)
        again = parse(written, read=_DIALECT)
    except SqlglotError as error:
        raise query_refused(f"the query is no SQL: {' '.join(str(error).split())[:200]}") from error
    except RecursionError as error:
        raise query_refused("the query is nested too deeply") from error
    if len(again) != 1 or again[0] != tree:
        raise query_refused("the query cannot be read without doubt", "write it with plain strings and names")
    return written


def _parsed(text: str) -> exp.Expr:
    if "\0" in text:
        raise query_refused("the query holds a character that SQL does not know")
    trees = [tree for tree in parse(text, read=_DIALECT) if tree is not None]
    if len(trees) != 1:
        raise query_refused(f"there are {len(trees)} statements, not one")
    tree = trees[0]
    if not isinstance(tree, _ROOTS):
        raise query_refused(f"{_word(tree)} is not allowed: a query begins with SELECT or WITH")
    _drop_comments(tree)
    return tree


def _drop_comments(tree: exp.Expr) -> None:
    for node in tree.walk():
        node.comments = None


def _check(tree: exp.Expr) -> None:
    ctes = {_folded(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}
    if any(name.startswith("pg_") for name in ctes):
        raise query_refused("a name in WITH must not begin with pg_")
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in _OTHERS:
                raise query_refused(f"the function {node.name[:60]} is not allowed")
        elif isinstance(node, exp.Func):
            if node.key not in _KNOWN:
                raise query_refused(f"the function {_word(node)} is not allowed")
        elif type(node) not in _NODES:
            raise query_refused(f"{_word(node)} is not allowed")
        if isinstance(node, exp.Table):
            _check_table(node, ctes)


def _check_table(table: exp.Table, ctes: set[str]) -> None:
    """A table without a schema is a dataset, and gets that schema in the tree."""
    if not isinstance(table.this, exp.Identifier):
        return  # a function, which has its own list
    schema = table.args.get("db")
    if schema is None and table.args.get("catalog") is None and not _folded(table.this).startswith("pg_"):
        if _folded(table.this) not in ctes:
            table.set("db", exp.to_identifier(_DATASETS))
        return
    if schema is None or table.args.get("catalog") is not None or _folded(schema) not in SCHEMAS:
        raise query_refused(
            f"the table {table.name[:60]} is not allowed",
            "tables are datasets (shipments, or silver.shipments), canonical.<table> and control.<table>",
        )


def _folded(name: exp.Expr) -> str:
    """A name as PostgreSQL understands it: small letters unless it is quoted."""
    text = str(name.this)
    return text if name.args.get("quoted") else text.lower()


def _word(node: exp.Expr) -> str:
    return node.key.upper()
