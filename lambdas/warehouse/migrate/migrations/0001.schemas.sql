-- PUBLIC has no privileges on the database or its schemas.
DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); END $$;
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO sluice_loader, sluice_reader', current_database()); END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- Rows are staged in a temporary table.
DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO sluice_loader', current_database()); END $$;

CREATE SCHEMA IF NOT EXISTS silver;
GRANT USAGE ON SCHEMA silver, control TO sluice_loader, sluice_reader;

-- Tables of datasets are made later, by the same owner: what they grant is said once, here.
ALTER DEFAULT PRIVILEGES IN SCHEMA silver GRANT SELECT, INSERT, DELETE ON TABLES TO sluice_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA silver GRANT SELECT ON TABLES TO sluice_reader;
