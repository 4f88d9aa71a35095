"""The statements of ``canonical``, in the order in which they run. %(object_id)s and %(received_at)s are of the object.

A record's place among the versions of its source's record is (recorded_at, received_at, object_id, source_offset): what
is written does not depend on the order in which objects come, nor on how often.
"""

from typing import Final, LiteralString

TABLES: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TEMPORARY TABLE incoming (
        canonical_id text, entity_type text, source_system text, source_id text, recorded_at timestamptz,
        source_offset bigint, owned text[], given jsonb, required text[], status text, tier text, metadata jsonb,
        entity_id uuid
    ) ON COMMIT DROP
    """,
    """
    CREATE TEMPORARY TABLE incoming_links (
        parent text, child text, name text, begins timestamptz, ends timestamptz, exclusive boolean, stated boolean,
        other text, other_type text, source_system text, recorded_at timestamptz, source_offset bigint,
        parent_id uuid, child_id uuid
    ) ON COMMIT DROP
    """,
    """
    CREATE TEMPORARY TABLE incoming_points (
        canonical_id text, metric text, at timestamptz, value double precision, source_offset bigint, entity_id uuid
    ) ON COMMIT DROP
    """,
    """
    CREATE TEMPORARY TABLE states (
        entity_id uuid, n bigint, state jsonb, changed boolean, version bigint, valid_from timestamptz, status text,
        tier text, required text[], metadata jsonb, source_system text
    ) ON COMMIT DROP
    """,
    "CREATE TEMPORARY TABLE left_behind (entity_id uuid) ON COMMIT DROP",
    "CREATE TEMPORARY TABLE touched (child_id uuid, relationship_type text) ON COMMIT DROP",
)

# A temporary table is never analysed by itself, and plans for a table of unknown size are bad ones.
ANALYZE: Final = (
    "ANALYZE incoming (canonical_id, entity_id, source_id), incoming_links (parent_id, child_id), incoming_points (at)"
)

# An entity that a relationship names before it is known is a placeholder: version 0, no attributes.
MAKE: Final = """
    INSERT INTO canonical.entities (entity_id, entity_type, source_system, canonical_id)
    SELECT canonical.entity_id(canonical_id), entity_type, source_system, canonical_id FROM (
        SELECT DISTINCT ON (canonical_id) canonical_id, entity_type, source_system FROM (
            SELECT canonical_id, entity_type, source_system, 0 AS rank FROM incoming
            UNION ALL SELECT other, other_type, source_system, 1 FROM incoming_links
        ) AS named ORDER BY canonical_id, rank, source_system
    ) AS new
    ORDER BY canonical_id
    ON CONFLICT (canonical_id) DO NOTHING
"""

# Not FOR UPDATE, for which others' relationships to these entities would have to wait.
LOCK: Final = """
    SELECT count(*) FROM (
        SELECT FROM canonical.entities AS e JOIN (
            SELECT entity_id FROM incoming
            UNION SELECT m.entity_id FROM canonical.mappings AS m
                JOIN incoming USING (source_system, entity_type, source_id)
            UNION SELECT entity_id FROM canonical.mappings WHERE object_id = %(object_id)s
        ) AS mine USING (entity_id)
        ORDER BY e.canonical_id FOR NO KEY UPDATE OF e
    ) AS locked
"""

# What an earlier run of the object has left. Its relationships and points are made again from the rows that it has now.
SWEEP: Final[tuple[LiteralString, ...]] = (
    """
    WITH gone AS (
        DELETE FROM canonical.relationships WHERE object_id = %(object_id)s
        RETURNING child_id, relationship_type, metadata
    )
    INSERT INTO touched SELECT DISTINCT child_id, relationship_type FROM gone WHERE (metadata ->> 'exclusive')::boolean
    """,
    "DELETE FROM canonical.time_series WHERE object_id = %(object_id)s",
    """
    WITH gone AS (
        DELETE FROM canonical.mappings AS m WHERE object_id = %(object_id)s AND NOT EXISTS (
            SELECT FROM incoming AS i
            WHERE (i.source_system, i.entity_type, i.source_id) = (m.source_system, m.entity_type, m.source_id)
        ) RETURNING entity_id
    )
    INSERT INTO left_behind SELECT entity_id FROM gone
    """,
)

# Each record that is newer than what its system was last heard to say of the entity is a step; of an object that is
# loaded again, the last one stands for all. The state before the first step is step 0.
STATES: Final = """
    INSERT INTO states
    WITH heard AS (
        SELECT DISTINCT ON (entity_id, source_system)
            entity_id, source_system, recorded_at, received_at, object_id, source_offset
        FROM canonical.mappings WHERE entity_id IN (SELECT entity_id FROM incoming)
        ORDER BY entity_id, source_system, recorded_at DESC, received_at DESC, object_id DESC, source_offset DESC
    ), ranked AS (
        SELECT *, row_number() OVER (
            PARTITION BY entity_id, source_system ORDER BY recorded_at DESC, source_offset DESC
        ) AS from_last FROM incoming
    ), fresh AS (
        SELECT i.* FROM ranked AS i
        LEFT JOIN heard AS h USING (entity_id, source_system)
        LEFT JOIN canonical.mappings AS own USING (source_system, entity_type, source_id)
        WHERE (
            h.object_id IS NULL OR (h.object_id = %(object_id)s AND i.from_last = 1)
            OR (i.recorded_at, %(received_at)s::timestamptz, %(object_id)s::uuid, i.source_offset)
                > (h.recorded_at, h.received_at, h.object_id, h.source_offset)
        ) AND (
            own.object_id IS NULL OR own.object_id = %(object_id)s
            OR (i.recorded_at, %(received_at)s::timestamptz, %(object_id)s::uuid, i.source_offset)
                > (own.recorded_at, own.received_at, own.object_id, own.source_offset)
        )
    ), steps AS (
        SELECT e.entity_id, 0 AS n, '{}'::text[] AS owned, e.attributes AS given, h.valid_from AS recorded_at,
            e.version AS base, NULL AS status, NULL AS tier, NULL::text[] AS required, NULL::jsonb AS metadata,
            NULL AS source_system
        FROM canonical.entities AS e LEFT JOIN canonical.entity_history AS h USING (entity_id, version)
        WHERE e.entity_id IN (SELECT entity_id FROM fresh)
        UNION ALL
        SELECT entity_id, row_number() OVER (PARTITION BY entity_id ORDER BY recorded_at, source_offset), owned, given,
            recorded_at, NULL, status, tier, required, metadata, source_system
        FROM fresh
    ), folded AS (
        SELECT *, canonical.exchanged(owned, given) OVER so_far AS state, max(base) OVER so_far AS base_version,
            max(recorded_at) OVER so_far AS valid_from
        FROM steps WINDOW so_far AS (PARTITION BY entity_id ORDER BY n)
    ), compared AS (
        SELECT *, n > 0 AND ((n = 1 AND base_version = 0) OR state IS DISTINCT FROM lag(state) OVER so_far) AS changed
        FROM folded WINDOW so_far AS (PARTITION BY entity_id ORDER BY n)
    )
    SELECT entity_id, n, state, changed, base_version + count(*) FILTER (WHERE changed) OVER so_far, valid_from, status,
        tier, required, metadata, source_system
    FROM compared WINDOW so_far AS (PARTITION BY entity_id ORDER BY n)
"""

COUNT: Final = "SELECT count(*) FROM states WHERE changed"

HISTORY: Final[tuple[LiteralString, ...]] = (
    """
    UPDATE canonical.entity_history AS h SET valid_to = s.valid_from
    FROM (
        SELECT DISTINCT ON (entity_id) entity_id, version, valid_from FROM states WHERE changed
        ORDER BY entity_id, version
    ) AS s
    WHERE h.entity_id = s.entity_id AND h.version = s.version - 1
    """,
    """
    INSERT INTO canonical.entity_history
        (entity_id, version, attributes, metadata, status, valid_from, valid_to, object_id)
    SELECT entity_id, version, state, metadata, status, valid_from,
        lead(valid_from) OVER (PARTITION BY entity_id ORDER BY version), %(object_id)s
    FROM states WHERE changed
    """,
)

ENTITIES: Final = """
    UPDATE canonical.entities AS e
    SET attributes = s.state, version = s.version, status = s.status, tier = coalesce(s.tier, e.tier),
        quality_score = s.quality, metadata = s.metadata, updated_at = now(),
        source_system = CASE WHEN e.version = 0 THEN s.source_system ELSE e.source_system END
    FROM (
        SELECT DISTINCT ON (entity_id) entity_id, state, version, status, metadata, source_system,
            (
                SELECT round(100.0 * count(*) FILTER (WHERE btrim(state ->> name) <> '') / nullif(count(*), 0), 2)
                FROM unnest(required) AS name
            ) AS quality,
            (array_agg(tier) FILTER (WHERE tier IS NOT NULL) OVER (
                PARTITION BY entity_id ORDER BY n DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            ))[1] AS tier
        FROM states WHERE n > 0 ORDER BY entity_id, n DESC
    ) AS s
    WHERE e.entity_id = s.entity_id
        AND (e.attributes, e.version, e.status, e.tier, e.quality_score)
            IS DISTINCT FROM (s.state, s.version, s.status, coalesce(s.tier, e.tier), s.quality)
"""

MAPPINGS: Final[tuple[LiteralString, ...]] = (
    """
    INSERT INTO left_behind SELECT m.entity_id FROM canonical.mappings AS m
    JOIN incoming AS i USING (source_system, entity_type, source_id) WHERE m.entity_id <> i.entity_id
    """,
    """
    INSERT INTO canonical.mappings AS m
        (source_system, entity_type, source_id, entity_id, recorded_at, received_at, object_id, source_offset)
    SELECT DISTINCT ON (source_system, entity_type, source_id)
        source_system, entity_type, source_id, entity_id, recorded_at, %(received_at)s, %(object_id)s, source_offset
    FROM incoming
    ORDER BY source_system, entity_type, source_id, recorded_at DESC, source_offset DESC
    ON CONFLICT (source_system, entity_type, source_id) DO UPDATE
    SET entity_id = excluded.entity_id, recorded_at = excluded.recorded_at, received_at = excluded.received_at,
        object_id = excluded.object_id, source_offset = excluded.source_offset
    WHERE m.object_id = excluded.object_id
        OR (m.recorded_at, m.received_at, m.object_id, m.source_offset)
            < (excluded.recorded_at, excluded.received_at, excluded.object_id, excluded.source_offset)
    """,
)

# No record speaks for them any more.
WITHDRAW: Final = """
    UPDATE canonical.entities AS e SET status = 'withdrawn', updated_at = now()
    WHERE e.entity_id IN (SELECT entity_id FROM left_behind) AND e.version > 0 AND e.status <> 'withdrawn'
        AND NOT EXISTS (SELECT FROM canonical.mappings AS m WHERE m.entity_id = e.entity_id)
"""

# A relationship whose begin the source does not state is in every record again: it is stored once.
LINKS: Final[tuple[LiteralString, ...]] = (
    """
    INSERT INTO canonical.relationships AS r (
        parent_id, child_id, relationship_type, effective_from, effective_to, stated_to, metadata, recorded_at,
        received_at, object_id, source_offset
    )
    SELECT parent_id, child_id, name, begins, ends, ends,
        jsonb_build_object('source_system', source_system, 'exclusive', exclusive), recorded_at, %(received_at)s,
        %(object_id)s, source_offset
    FROM (
        SELECT *, lag(parent_id) OVER (
            PARTITION BY child_id, name, CASE WHEN exclusive THEN child_id ELSE parent_id END ORDER BY begins, parent_id
        ) AS before
        FROM (
            SELECT DISTINCT ON (parent_id, child_id, name, begins) * FROM incoming_links
            ORDER BY parent_id, child_id, name, begins, recorded_at DESC, source_offset DESC
        ) AS newest
    ) AS s
    WHERE stated OR (before IS DISTINCT FROM parent_id AND NOT EXISTS (
        SELECT FROM canonical.relationships AS known
        WHERE (known.parent_id, known.child_id, known.relationship_type) = (s.parent_id, s.child_id, s.name)
            AND known.effective_from <= s.begins AND (known.effective_to IS NULL OR known.effective_to > s.begins)
    ))
    ORDER BY parent_id, child_id, name, begins
    ON CONFLICT (parent_id, child_id, relationship_type, effective_from) DO UPDATE
    SET effective_to = excluded.effective_to, stated_to = excluded.stated_to, metadata = excluded.metadata,
        recorded_at = excluded.recorded_at, received_at = excluded.received_at, object_id = excluded.object_id,
        source_offset = excluded.source_offset
    WHERE r.object_id IS NULL OR (r.recorded_at, r.received_at, r.object_id, r.source_offset)
        < (excluded.recorded_at, excluded.received_at, excluded.object_id, excluded.source_offset)
    """,
    "INSERT INTO touched SELECT DISTINCT child_id, name FROM incoming_links WHERE exclusive",
    """
    UPDATE canonical.relationships AS r SET effective_to = now_known.ends
    FROM (
        SELECT parent_id, child_id, relationship_type, effective_from, least(stated_to, lead(effective_from) OVER (
            PARTITION BY child_id, relationship_type ORDER BY effective_from, parent_id
        )) AS ends
        FROM canonical.relationships
        WHERE (child_id, relationship_type) IN (SELECT child_id, relationship_type FROM touched)
    ) AS now_known
    WHERE (r.parent_id, r.child_id, r.relationship_type, r.effective_from)
            = (now_known.parent_id, now_known.child_id, now_known.relationship_type, now_known.effective_from)
        AND r.effective_to IS DISTINCT FROM now_known.ends
    """,
)

POINTS: Final[tuple[LiteralString, ...]] = (
    """
    SELECT count(*) FILTER (WHERE canonical.ensure_month(month))
    FROM (SELECT DISTINCT date_trunc('month', at)::date AS month FROM incoming_points ORDER BY month) AS months
    """,
    """
    INSERT INTO canonical.time_series AS t (entity_id, metric, at, value, object_id, received_at, source_offset)
    SELECT DISTINCT ON (entity_id, metric, at) entity_id, metric, at, value, %(object_id)s::uuid,
        %(received_at)s::timestamptz, source_offset
    FROM incoming_points ORDER BY entity_id, metric, at, source_offset DESC
    ON CONFLICT (entity_id, metric, at) DO UPDATE
    SET value = excluded.value, object_id = excluded.object_id, received_at = excluded.received_at,
        source_offset = excluded.source_offset
    WHERE t.object_id IS NULL
        OR (t.received_at, t.object_id, t.source_offset)
            < (excluded.received_at, excluded.object_id, excluded.source_offset)
    """,
)
