-- depends: 0001.schemas

-- What was loaded: one row for each run of an object. The newest run is what the tables hold.
CREATE TABLE IF NOT EXISTS control.loads (
    object_id uuid NOT NULL,
    run integer NOT NULL CHECK (run >= 1),
    batch_id uuid NOT NULL UNIQUE,
    dataset text NOT NULL,
    source_key text NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0),
    rows_by_table jsonb NOT NULL,
    rows_replaced bigint NOT NULL CHECK (rows_replaced >= 0),
    files integer NOT NULL CHECK (files >= 0),
    seconds double precision NOT NULL,
    loaded_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (object_id, run)
);
CREATE INDEX IF NOT EXISTS loads_loaded_at ON control.loads (loaded_at);

GRANT SELECT, INSERT ON control.loads TO sluice_loader;
GRANT SELECT ON control.loads TO sluice_reader;
