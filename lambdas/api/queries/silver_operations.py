"""Operations on what `load` brings in: silver, a table for each dataset, and control.loads."""

from typing import Final

from psycopg import sql

from api.answers import refused
from api.models import (  # fmt: skip
    CountParameters,
    DatabaseInfoParameters,
    MultiDimensionalParameters,
    RevenueParameters,
    SimpleDemoParameters,
)
from api.queries.questions import Question, dataset, from_silver, group_column, measure_column
from sluice_pipeline.catalog.deployed import load_catalog
from warehouse.database import OBJECT_ID, silver_table

_COMPARISONS: Final = {sign: sql.SQL(sign) for sign in (">=", "<=", "=", ">", "<")}
_AGGREGATES: Final = {name: sql.SQL(f"{name}({{}})") for name in ("sum", "avg", "min", "max")}
_PERIODS: Final = ("date", "week", "month")


def simple_demo(asked: SimpleDemoParameters) -> Question:
    text = sql.SQL("SELECT n, n * n AS square FROM generate_series(1, %s) AS n ORDER BY n")
    return Question(text, (asked.rows,), asked.rows)


def database_info(asked: DatabaseInfoParameters) -> Question:
    """A row for each table that the reader may see."""
    counts: sql.Composable = sql.SQL(
        "SELECT c.oid, CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS rows FROM pg_class c"
    )  # NULL: PostgreSQL has no estimate yet
    if asked.exact:
        counts = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT to_regclass({})::oid AS oid, count(*) AS rows FROM {}").format(
                sql.Literal(silver_table(name).as_string()), silver_table(name)
            )
            for name in load_catalog().datasets
        )
    text = sql.SQL(
        """
        WITH counts AS ({counts}),
             newest AS (SELECT t.key AS name, max(l.loaded_at) AS at
                        FROM control.loads l, jsonb_each(l.rows_by_table) t GROUP BY t.key)
        SELECT n.nspname AS schema, c.relname AS "table", counts.rows, pg_total_relation_size(c.oid) AS bytes,
               CASE WHEN n.nspname = 'silver' THEN newest.at END AS last_load
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN counts ON counts.oid = c.oid
        LEFT JOIN newest ON newest.name = c.relname
        WHERE n.nspname IN ('silver', 'canonical', 'control') AND c.relkind IN ('r', 'p', 'v')
          AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
        ORDER BY 1, 2
        """
    ).format(counts=counts)
    return Question(text, (), asked.limit)


def count_analysis(asked: CountParameters) -> Question:
    of = dataset(asked.dataset)
    values: tuple[object, ...]
    source, values = from_silver(of, asked.since, asked.until)
    metric = {
        "rows": sql.SQL("count(*)"),
        "objects": sql.SQL("count(DISTINCT {})").format(sql.Identifier(OBJECT_ID)),
        "days": sql.SQL("count(DISTINCT {})").format(group_column(of, "date")),
    }[asked.metric]
    having: sql.Composable = sql.SQL("")
    if asked.having:
        sign = asked.having.rstrip("0123456789")
        having = sql.SQL("HAVING {} {} %s").format(metric, _COMPARISONS[sign])
        values += (int(asked.having.removeprefix(sign)),)
    if asked.group_by is None:
        return Question(sql.SQL("SELECT {} AS value {} {}").format(metric, source, having), values, asked.limit)
    text = sql.SQL('SELECT {} AS "group", {} AS value {} GROUP BY 1 {} ORDER BY value DESC, 1').format(
        group_column(of, asked.group_by), metric, source, having
    )
    return Question(text, values, asked.limit)


def revenue_analysis(asked: RevenueParameters) -> Question:
    """Revenue is what the lines say (line_total); periods in their order, everything else by revenue."""
    of = dataset("invoice_lines")
    source, values = from_silver(of, asked.since, asked.until)
    day = group_column(of, "date")
    group: sql.Composable = sql.Identifier(asked.group_by)
    if asked.group_by in _PERIODS:
        period = sql.Literal("day" if asked.group_by == "date" else asked.group_by)
        group = sql.SQL("date_trunc({}, {}::timestamp)::date").format(period, day)
    text = sql.SQL(
        """
        SELECT {group} AS "group", sum(line_total) AS revenue, sum(quantity)::bigint AS units,
               count(DISTINCT invoice_id) AS invoices, count(*) AS lines,
               round(sum(line_total) / count(DISTINCT invoice_id), 2) AS revenue_per_invoice
        {source} GROUP BY 1 ORDER BY {order}
        """
    ).format(group=group, source=source, order=sql.SQL("1" if asked.group_by in _PERIODS else "revenue DESC, 1"))
    return Question(text, values, asked.limit)


def multi_dimensional_analytics(asked: MultiDimensionalParameters) -> Question:
    """Every combination of dimensions (CUBE) by period; ``totals`` names the dimensions that a row adds up."""
    of = dataset(asked.dataset)
    if len(set(asked.dimensions)) != len(asked.dimensions):
        raise refused("a dimension is given twice", "name each once")
    source, values = from_silver(of, asked.since, asked.until)
    columns = [group_column(of, name) for name in asked.dimensions]
    names = [sql.Identifier(f"by_{name}") for name in asked.dimensions]
    value: sql.Composable = sql.SQL("count(*)")
    if asked.measure:
        value = _AGGREGATES[asked.aggregate].format(measure_column(of, asked.measure))
    period: sql.Composable = sql.SQL("NULL::date")
    if asked.timeframe != "all":
        day = group_column(of, "date")
        period = sql.SQL("date_trunc({}, {}::timestamp)::date").format(sql.Literal(asked.timeframe), day)
    rows = sql.SQL("SELECT {} AS period, {}, {} {}").format(
        period,
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column, name) for column, name in zip(columns, names, strict=True)
        ),
        sql.Identifier(asked.measure) if asked.measure else sql.SQL("1 AS one"),
        source,
    )
    if asked.measure:
        value = _AGGREGATES[asked.aggregate].format(sql.Identifier(asked.measure))
    text = sql.SQL(
        """
        SELECT period, {names}, count(*) AS rows, {value} AS value,
               array_remove(ARRAY[{totals}]::text[], NULL) AS totals
        FROM ({rows}) AS rows GROUP BY period, CUBE ({names}) ORDER BY period, GROUPING({names}), {names}
        """
    ).format(
        names=sql.SQL(", ").join(names),
        value=value,
        totals=sql.SQL(", ").join(
            sql.SQL("CASE WHEN GROUPING({}) = 1 THEN {} END").format(name, sql.Literal(asked_name))
            for name, asked_name in zip(names, asked.dimensions, strict=True)
        ),
        rows=rows,
    )
    return Question(text, values, asked.limit)
