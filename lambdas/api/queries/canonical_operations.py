"""Operations on canonical entities, their relationships and their time series."""

from typing import Any, Final
from uuid import UUID

from psycopg import sql

from api.models import CustomerParameters, IntegrityParameters, NetworkParameters, PatternParameters
from api.queries.questions import Question

# Duplicates are looked for among so many entities, the newest; a trigram that more than so many have says little.
_CANDIDATES: Final = 5_000
_COMMON: Final = 200
_GROUPS: Final = {name: sql.Identifier(name) for name in ("tier", "status", "source_system")}


def customer_analysis(asked: CustomerParameters) -> Question:
    """Entities of a type by tier, status or source: how many, and how good they are."""
    where: list[sql.Composable] = [sql.SQL("entity_type = %s")]
    values: list[Any] = [asked.entity_type]
    if asked.min_quality is not None:
        where.append(sql.SQL("quality_score >= %s"))
        values.append(asked.min_quality)
    text = sql.SQL(
        """
        SELECT {group} AS "group", count(*) AS customers, round(avg(quality_score), 2) AS average_quality,
               min(quality_score) AS lowest_quality, max(quality_score) AS highest_quality,
               count(*) FILTER (WHERE version > 1) AS changed, max(updated_at) AS last_change
        FROM canonical.entities WHERE {where} GROUP BY 1 ORDER BY customers DESC, 1
        """
    ).format(group=_GROUPS[asked.group_by], where=sql.SQL(" AND ").join(where))
    return Question(text, tuple(values), asked.limit)


def relationship_network(asked: NetworkParameters) -> Question:
    """What hangs below an entity, now or at a time; a way never passes an entity twice."""
    root = "entity_id = %s::uuid" if _is_uuid(asked.root) else "canonical_id = %s"
    # nothing is formatted into these texts but the two words above
    text = sql.SQL(
        """
        WITH RECURSIVE given AS (SELECT coalesce(%s::timestamptz, now()) AS at),
        valid AS (
            SELECT r.* FROM canonical.relationships r, given
            WHERE r.effective_from <= given.at AND (r.effective_to IS NULL OR r.effective_to > given.at)
        ),
        walk AS (
            SELECT 1 AS depth, v.parent_id, v.child_id, v.relationship_type, v.effective_from, v.effective_to,
                   ARRAY[v.parent_id, v.child_id] AS way
            FROM valid v JOIN canonical.entities e ON e.entity_id = v.parent_id WHERE e.{root}
            UNION ALL
            SELECT w.depth + 1, v.parent_id, v.child_id, v.relationship_type, v.effective_from, v.effective_to,
                   w.way || v.child_id
            FROM walk w JOIN valid v ON v.parent_id = w.child_id
            WHERE w.depth < %s AND v.child_id <> ALL (w.way)
        )
        SELECT w.depth, p.canonical_id AS parent, c.canonical_id AS child, c.entity_type AS child_type,
               w.relationship_type, w.effective_from, w.effective_to
        FROM walk w
        JOIN canonical.entities p ON p.entity_id = w.parent_id
        JOIN canonical.entities c ON c.entity_id = w.child_id
        ORDER BY w.depth, parent, child, w.relationship_type
        """
    ).format(root=sql.SQL(root))
    return Question(text, (asked.at, asked.root, asked.depth if asked.recursive else 1), asked.limit)


def time_series_patterns(asked: PatternParameters) -> Question:
    """A metric by period: its values, how it changed since the period before, and the mean of three periods."""
    where = [sql.SQL("metric = %s")]
    values: list[Any] = [asked.metric]
    for clause, value in (
        (sql.SQL("at >= %s::timestamptz"), asked.since),
        (sql.SQL("at < %s::timestamptz"), asked.until),
        (sql.SQL("entity_id = (SELECT entity_id FROM canonical.entities WHERE canonical_id = %s)"), asked.entity),
    ):
        if value is not None:
            where.append(clause)
            values.append(value)
    text = sql.SQL(
        """
        SELECT date_trunc({period}, at AT TIME ZONE 'UTC') AS period, count(*) AS points,
               count(DISTINCT entity_id) AS entities, avg(value) AS average, min(value) AS lowest,
               max(value) AS highest, stddev_samp(value) AS deviation,
               avg(value) - lag(avg(value)) OVER periods AS change,
               avg(avg(value)) OVER (periods ROWS 2 PRECEDING) AS moving_average
        FROM canonical.time_series WHERE {where} GROUP BY 1
        WINDOW periods AS (ORDER BY date_trunc({period}, at AT TIME ZONE 'UTC')) ORDER BY 1
        """
    ).format(period=sql.Literal(asked.period), where=sql.SQL(" AND ").join(where))
    return Question(text, tuple(values), asked.limit)


def data_integrity_analysis(asked: IntegrityParameters) -> Question:
    """Quality scores by type, or entities of one type whose texts are so similar that they may be one."""
    if asked.check == "scores":
        text = sql.SQL(
            """
            SELECT entity_type, count(*) AS entities, count(quality_score) AS scored,
                   round(avg(quality_score), 2) AS average, min(quality_score) AS lowest,
                   count(*) FILTER (WHERE quality_score < 50) AS below_50,
                   count(*) FILTER (WHERE quality_score >= 90) AS from_90
            FROM canonical.entities WHERE %s::text IS NULL OR entity_type = %s GROUP BY 1 ORDER BY 1
            """
        )
        return Question(text, (asked.entity_type, asked.entity_type), asked.limit)
    pairs = sql.SQL(
        """
        WITH named AS MATERIALIZED (
            SELECT entity_id, entity_type, canonical_id, attributes ->> %s AS text FROM canonical.entities
            WHERE (%s::text IS NULL OR entity_type = %s) AND attributes ->> %s IS NOT NULL
            ORDER BY updated_at DESC, entity_id LIMIT {candidates}
        ),
        grams AS MATERIALIZED (
            SELECT entity_id, entity_type, gram FROM named, unnest(extensions.show_trgm(left(text, 200))) AS gram
        ),
        rare AS MATERIALIZED (
            SELECT * FROM (
                SELECT grams.*, count(*) OVER (PARTITION BY entity_type, gram) AS entities FROM grams
            ) AS counted WHERE entities BETWEEN 2 AND {common}
        ),
        pairs AS MATERIALIZED (
            SELECT one.entity_id AS one, other.entity_id AS other FROM rare one
            JOIN rare other USING (entity_type, gram) WHERE one.entity_id < other.entity_id
            GROUP BY 1, 2 HAVING count(*) >= 2
        )
        SELECT one.entity_type, one.canonical_id AS entity, other.canonical_id AS other, one.text,
               other.text AS other_text, round(score::numeric, 3) AS score
        FROM pairs
        JOIN named one ON one.entity_id = pairs.one
        JOIN named other ON other.entity_id = pairs.other,
        LATERAL extensions.similarity(left(one.text, 200), left(other.text, 200)) AS score
        WHERE score >= %s
        ORDER BY score DESC, entity, other
        """
    ).format(candidates=sql.Literal(_CANDIDATES), common=sql.Literal(_COMMON))
    values = (asked.attribute, asked.entity_type, asked.entity_type, asked.attribute, asked.threshold)
    return Question(pairs, values, asked.limit)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
