-- The embedded PostgreSQL comes without contrib. This is the part of pg_trgm that the API uses, in plain SQL, with the same
-- results (tests/contract/warehouse/test_trigrams.py); slower, and without index support. Aurora and the postgres image
-- have the real one: https://www.postgresql.org/docs/current/pgtrgm.html
\echo Use "CREATE EXTENSION pg_trgm" to load this file. \quit

-- Words are letters and digits, in small letters, with two spaces before and one behind.
CREATE FUNCTION show_trgm(text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(gram ORDER BY gram COLLATE "C"), '{}')
    FROM (SELECT DISTINCT substr(word, place, 3) AS gram
          FROM (SELECT '  ' || found[1] || ' ' AS word FROM regexp_matches(lower($1), '[[:alnum:]]+', 'g') AS found) AS words,
               generate_series(1, char_length(word) - 2) AS place) AS grams
$$;

-- Those that both have, of those that either has.
CREATE FUNCTION similarity(text, text) RETURNS real
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN cardinality(a) = 0 OR cardinality(b) = 0 THEN 0
                ELSE (shared::real / (cardinality(a) + cardinality(b) - shared)::real)::real END
    FROM (SELECT @extschema@.show_trgm($1) AS a, @extschema@.show_trgm($2) AS b) AS grams,
         LATERAL (SELECT count(*) AS shared FROM unnest(a) AS one JOIN unnest(b) AS other ON one = other) AS counted
$$;

CREATE FUNCTION show_limit() RETURNS real
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('pg_trgm.similarity_threshold', true), ''), '0.3')::real
$$;

CREATE FUNCTION set_limit(real) RETURNS real
    LANGUAGE sql VOLATILE STRICT AS $$
    SELECT set_config('pg_trgm.similarity_threshold', $1::text, false)::real
$$;

CREATE FUNCTION similarity_op(text, text) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT @extschema@.similarity($1, $2) >= @extschema@.show_limit()
$$;

CREATE FUNCTION similarity_dist(text, text) RETURNS real
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (1 - @extschema@.similarity($1, $2))::real
$$;

CREATE OPERATOR % (LEFTARG = text, RIGHTARG = text, FUNCTION = similarity_op, COMMUTATOR = '%');
CREATE OPERATOR <-> (LEFTARG = text, RIGHTARG = text, FUNCTION = similarity_dist, COMMUTATOR = '<->');
