-- depends: 0002.loads

-- Similarity of texts: https://www.postgresql.org/docs/current/pgtrgm.html. It is a trusted extension, so the owner of the
-- database may make it.
CREATE SCHEMA IF NOT EXISTS extensions;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extensions;
GRANT USAGE ON SCHEMA extensions TO sluice_reader;
