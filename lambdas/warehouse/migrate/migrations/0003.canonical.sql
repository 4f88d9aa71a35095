-- depends: 0002.loads

-- Canonical entities: what several records of several systems say about one thing. Described in docs/entities.md.
CREATE SCHEMA IF NOT EXISTS canonical;
GRANT USAGE ON SCHEMA canonical TO sluice_loader, sluice_reader;

CREATE TABLE IF NOT EXISTS canonical.entities (
    entity_id uuid PRIMARY KEY,
    entity_type text NOT NULL,
    source_system text NOT NULL,
    canonical_id text NOT NULL UNIQUE,
    attributes jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL DEFAULT 0 CHECK (version >= 0),
    status text NOT NULL DEFAULT 'placeholder',
    tier text,
    quality_score numeric(5, 2) CHECK (quality_score BETWEEN 0 AND 100)
);
CREATE INDEX IF NOT EXISTS entities_attributes ON canonical.entities USING gin (attributes jsonb_path_ops);
CREATE INDEX IF NOT EXISTS entities_type_tier ON canonical.entities (entity_type, tier);
CREATE INDEX IF NOT EXISTS entities_updated_at ON canonical.entities (updated_at);

CREATE TABLE IF NOT EXISTS canonical.entity_history (
    entity_id uuid NOT NULL REFERENCES canonical.entities,
    version integer NOT NULL CHECK (version >= 1),
    attributes jsonb NOT NULL,
    metadata jsonb NOT NULL,
    status text NOT NULL,
    valid_from timestamp with time zone NOT NULL,
    valid_to timestamp with time zone,
    object_id uuid NOT NULL,
    PRIMARY KEY (entity_id, version)
);

-- Which record of which system is which entity, and which version of the record was taken last: by its own time, then by
-- when its object came, then by its place in it. All three survive redelivery and replay.
CREATE TABLE IF NOT EXISTS canonical.mappings (
    source_system text NOT NULL,
    entity_type text NOT NULL,
    source_id text NOT NULL,
    entity_id uuid NOT NULL REFERENCES canonical.entities,
    recorded_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    object_id uuid NOT NULL,
    source_offset bigint NOT NULL,
    PRIMARY KEY (source_system, entity_type, source_id)
);
CREATE INDEX IF NOT EXISTS mappings_entity_id ON canonical.mappings (entity_id);
CREATE INDEX IF NOT EXISTS mappings_object_id ON canonical.mappings (object_id);

-- stated_to is the end that the source gave; effective_to is it, or the begin of what follows, whichever is earlier.
CREATE TABLE IF NOT EXISTS canonical.relationships (
    parent_id uuid NOT NULL REFERENCES canonical.entities,
    child_id uuid NOT NULL REFERENCES canonical.entities,
    relationship_type text NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    effective_to timestamp with time zone,
    metadata jsonb NOT NULL DEFAULT '{}',
    stated_to timestamp with time zone,
    recorded_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    received_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    object_id uuid,
    source_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (parent_id, child_id, relationship_type, effective_from)
);
CREATE INDEX IF NOT EXISTS relationships_child_id
    ON canonical.relationships (child_id, relationship_type, effective_from);
CREATE INDEX IF NOT EXISTS relationships_object_id ON canonical.relationships (object_id);

-- No foreign key: attaching a partition would then wait for everybody who writes entities.
CREATE TABLE IF NOT EXISTS canonical.time_series (
    entity_id uuid NOT NULL,
    metric text NOT NULL,
    at timestamp with time zone NOT NULL,
    value double precision NOT NULL,
    object_id uuid,
    received_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    source_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (entity_id, metric, at)
) PARTITION BY RANGE (at);
CREATE INDEX IF NOT EXISTS time_series_metric_at ON canonical.time_series (metric, at);
CREATE INDEX IF NOT EXISTS time_series_object_id ON canonical.time_series (object_id);

-- A month gets its partition when it is needed. A feed with absurd times makes no more than 1,560 of them: what lies
-- before 1970 or after 2099 has one partition each.
CREATE TABLE IF NOT EXISTS canonical.time_series_before_1970
    PARTITION OF canonical.time_series FOR VALUES FROM (MINVALUE) TO ('1970-01-01 00:00:00+00');
CREATE TABLE IF NOT EXISTS canonical.time_series_from_2100
    PARTITION OF canonical.time_series FOR VALUES FROM ('2100-01-01 00:00:00+00') TO (MAXVALUE);

-- STABLE, as what they call is: only so are their bodies taken into the statements that call them.
-- An id as it is, unless it is too long for an index: then its beginning and its hash.
CREATE OR REPLACE FUNCTION canonical.key_part(value text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(value) <= 512 THEN value
                ELSE left(value, 100) || '~' || encode(sha256(convert_to(value, 'UTF8')), 'hex') END
$$;

-- Named by a value that systems share, or, without one, by its system's own.
CREATE OR REPLACE FUNCTION canonical.canonical_id(system text, type text, source_id text, shared text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN shared IS NULL THEN system || ':' || type || ':' || canonical.key_part(source_id)
                ELSE type || ':' || canonical.key_part(shared) END
$$;

-- The same canonical id has the same entity id, wherever and whenever it is made: a UUID of version 8 (RFC 9562).
CREATE OR REPLACE FUNCTION canonical.entity_id(canonical_id text) RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT overlay(overlay(left(encode(sha256(convert_to(canonical_id, 'UTF8')), 'hex'), 32)
        PLACING '8' FROM 13) PLACING '8' FROM 17)::uuid
$$;

-- Attributes after a record: those that its source owns are exchanged, the others stay.
CREATE OR REPLACE FUNCTION canonical.exchange(state jsonb, owned text[], given jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN RETURN (state - owned) || given; END $$;
CREATE OR REPLACE AGGREGATE canonical.exchanged(text[], jsonb) (
    SFUNC = canonical.exchange, STYPE = jsonb, INITCOND = '{}'
);

-- Makes the partition of a month, once. Runs as the owner, so that the loader needs no right to make tables. The table
-- is made first and attached then, which, unlike making it as a partition, disturbs nobody who reads or writes the others.
CREATE OR REPLACE FUNCTION canonical.ensure_month(month date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    begins date := date_trunc('month', month)::date;
    name text := 'time_series_' || to_char(month, 'YYYY_MM');
BEGIN
    IF begins < date '1970-01-01' OR begins >= date '2100-01-01'
        OR to_regclass(format('canonical.%I', name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('canonical.time_series', 0));
    -- Asked of the table, not of the cache, which waiting for such a lock does not bring up to date.
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'canonical'::regnamespace AND relname = name) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE canonical.%I (LIKE canonical.time_series INCLUDING ALL)', name);
    EXECUTE format(
        'ALTER TABLE canonical.time_series ATTACH PARTITION canonical.%I FOR VALUES FROM (%L) TO (%L)',
        name, begins || ' 00:00:00+00', (begins + interval '1 month')::date || ' 00:00:00+00'
    );
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION canonical.ensure_month(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION canonical.ensure_month(date) TO sluice_loader;

-- Control totals: what the summary of an object's run said, held against what was loaded of it.
CREATE TABLE IF NOT EXISTS control.totals (
    object_id uuid NOT NULL,
    run integer NOT NULL CHECK (run >= 1),
    dataset text NOT NULL,
    summaries integer NOT NULL CHECK (summaries >= 0),
    differences jsonb NOT NULL,
    told_at timestamp with time zone,
    PRIMARY KEY (object_id, run)
);

GRANT SELECT ON ALL TABLES IN SCHEMA canonical TO sluice_loader, sluice_reader;
GRANT INSERT, UPDATE ON canonical.entities, canonical.entity_history TO sluice_loader;
GRANT INSERT, UPDATE, DELETE ON canonical.mappings, canonical.relationships, canonical.time_series TO sluice_loader;
GRANT SELECT, INSERT, UPDATE ON control.totals TO sluice_loader;
GRANT SELECT ON control.totals TO sluice_reader;
