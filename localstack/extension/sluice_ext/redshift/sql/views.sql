-- System views of Redshift that tools ask for, over PostgreSQL's own catalog.
-- https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_system-tables.html
CREATE TABLE IF NOT EXISTS load_errors (
    owner name NOT NULL DEFAULT session_user, query_id bigint NOT NULL, session_id int NOT NULL DEFAULT pg_backend_pid(),
    start_time timestamp NOT NULL DEFAULT timezone('UTC', clock_timestamp()), table_id oid, table_name text,
    file_name text, line_number bigint, position int, column_name text, column_type text, column_length text,
    error_code int, error_message text, raw_line text, raw_field text
);
CREATE TABLE IF NOT EXISTS loads (
    owner name NOT NULL DEFAULT session_user, query_id bigint NOT NULL, start_time timestamp NOT NULL, end_time timestamp,
    table_name text, data_source text, file_format text, status text, loaded_rows bigint, loaded_bytes bigint,
    source_file_count int, error_count bigint, file_name text
);
CREATE TABLE IF NOT EXISTS statements (
    owner name NOT NULL DEFAULT session_user, query_id bigint, session_id int, status text, query_text text, query_type text,
    start_time timestamp, end_time timestamp, elapsed_time bigint, returned_rows bigint, error_message text,
    query_label text
);
CREATE SEQUENCE IF NOT EXISTS query_ids;
GRANT USAGE ON SEQUENCE query_ids TO PUBLIC;

CREATE OR REPLACE FUNCTION record_load_errors(items jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = redshift_compat, pg_temp AS $body$
    INSERT INTO redshift_compat.load_errors (owner, query_id, session_id, table_id, table_name, file_name, line_number,
        position, column_name, column_type, column_length, error_code, error_message, raw_line, raw_field)
    SELECT session_user, (i ->> 'query_id')::bigint, (i ->> 'session_id')::int, (i ->> 'table_id')::oid,
        i ->> 'table_name', i ->> 'file_name', (i ->> 'line_number')::bigint, (i ->> 'position')::int,
        i ->> 'column_name', i ->> 'column_type', i ->> 'column_length', (i ->> 'error_code')::int,
        i ->> 'error_message', i ->> 'raw_line', i ->> 'raw_field'
    FROM jsonb_array_elements(items) AS i
$body$;
CREATE OR REPLACE FUNCTION record_load(item jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = redshift_compat, pg_temp AS $body$
    INSERT INTO redshift_compat.loads
    SELECT session_user, (item ->> 'query_id')::bigint, (item ->> 'start_time')::timestamp,
        timezone('UTC', clock_timestamp()), item ->> 'table_name', item ->> 'data_source', item ->> 'file_format',
        item ->> 'status', (item ->> 'loaded_rows')::bigint, (item ->> 'loaded_bytes')::bigint,
        (item ->> 'source_file_count')::int, (item ->> 'error_count')::bigint, item ->> 'file_name'
$body$;
CREATE OR REPLACE FUNCTION record_statement(item jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = redshift_compat, pg_temp AS $body$
    INSERT INTO redshift_compat.statements
    SELECT coalesce((item ->> 'user')::name, session_user), (item ->> 'query_id')::bigint,
        (item ->> 'session_id')::int, item ->> 'status',
        item ->> 'query_text', item ->> 'query_type', (item ->> 'start_time')::timestamp,
        (item ->> 'end_time')::timestamp, (item ->> 'elapsed_time')::bigint, (item ->> 'returned_rows')::bigint,
        item ->> 'error_message', item ->> 'query_label'
$body$;

-- A user sees own rows only, an administrator all.
CREATE OR REPLACE FUNCTION visible(owner name) RETURNS boolean STABLE LANGUAGE sql RETURN
    owner = session_user OR pg_has_role(session_user, 'pg_monitor', 'member');

CREATE OR REPLACE FUNCTION shown_type(kind oid, modifier int) RETURNS text STABLE LANGUAGE sql RETURN
    CASE WHEN kind IN ('jsonb'::regtype, 'json'::regtype) THEN 'super' WHEN kind = 'text'::regtype THEN 'character varying(65535)'
    WHEN kind = 'bytea'::regtype THEN 'binary varying(64000)' ELSE format_type(kind, modifier) END;
CREATE OR REPLACE FUNCTION own_schema(name name) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN
    name !~ '^pg_' AND name NOT IN ('information_schema', 'redshift_compat');

CREATE OR REPLACE VIEW svv_tables AS
SELECT current_database()::text AS table_catalog, n.nspname::text AS table_schema, c.relname::text AS table_name,
    CASE WHEN c.relkind IN ('v', 'm') THEN 'VIEW' WHEN c.relpersistence = 't' THEN 'LOCAL TEMPORARY' ELSE 'BASE TABLE' END
        AS table_type, obj_description(c.oid, 'pg_class') AS remarks
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND (redshift_compat.own_schema(n.nspname) OR pg_my_temp_schema() = n.oid)
    AND (pg_has_role(c.relowner, 'usage') OR has_table_privilege(c.oid, 'select, insert, update, delete'));

CREATE OR REPLACE VIEW svv_columns AS
SELECT table_catalog::text, table_schema::text, table_name::text, column_name::text, ordinal_position::int,
    column_default::text, is_nullable::text,
    CASE WHEN data_type::text IN ('jsonb', 'json') THEN 'super' WHEN data_type::text = 'text' THEN 'character varying'
        WHEN data_type::text = 'bytea' THEN 'binary varying' ELSE data_type::text END AS data_type,
    CASE WHEN data_type::text = 'text' THEN 65535 ELSE character_maximum_length::int END AS character_maximum_length,
    numeric_precision::int, numeric_precision_radix::int, numeric_scale::int, datetime_precision::int,
    NULL::text AS interval_type, NULL::text AS interval_precision, NULL::text AS character_set_catalog,
    NULL::text AS character_set_schema, NULL::text AS character_set_name, NULL::text AS collation_catalog,
    NULL::text AS collation_schema, NULL::text AS collation_name, NULL::text AS domain_name,
    col_description(format('%I.%I', table_schema, table_name)::regclass, ordinal_position) AS remarks
FROM information_schema.columns WHERE redshift_compat.own_schema(table_schema::name);

CREATE OR REPLACE VIEW svv_redshift_tables AS
SELECT table_catalog AS database_name, table_schema AS schema_name, table_name,
    CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS table_type, NULL::text AS table_acl, remarks,
    pg_get_userbyid(c.relowner)::text AS table_owner
FROM redshift_compat.svv_tables t JOIN pg_namespace n ON n.nspname = t.table_schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.table_name;
CREATE OR REPLACE VIEW svv_all_tables AS
SELECT database_name, schema_name, table_name, table_type, table_acl, remarks FROM redshift_compat.svv_redshift_tables;
CREATE OR REPLACE VIEW svv_redshift_columns AS
SELECT table_catalog AS database_name, table_schema AS schema_name, table_name, column_name, ordinal_position, data_type,
    column_default, is_nullable, ''::text AS encoding, false AS distkey, 0 AS sortkey, NULL::text AS column_acl, remarks,
    character_maximum_length, numeric_precision, numeric_scale
FROM redshift_compat.svv_columns;
CREATE OR REPLACE VIEW svv_all_columns AS
SELECT database_name, schema_name, table_name, column_name, ordinal_position, column_default, is_nullable, data_type,
    character_maximum_length, numeric_precision, numeric_scale, remarks FROM redshift_compat.svv_redshift_columns;
CREATE OR REPLACE VIEW svv_redshift_schemas AS
SELECT current_database()::text AS database_name, n.nspname::text AS schema_name, n.nspowner::int AS schema_owner,
    'local'::text AS schema_type, n.nspacl::text AS schema_acl, NULL::text AS schema_option
FROM pg_namespace n WHERE redshift_compat.own_schema(n.nspname);
CREATE OR REPLACE VIEW svv_all_schemas AS
SELECT database_name, schema_name, schema_owner, schema_type, schema_acl, NULL::text AS source_database, schema_option
FROM redshift_compat.svv_redshift_schemas;
CREATE OR REPLACE VIEW svv_redshift_databases AS
SELECT current_database()::text AS database_name, d.datdba::int AS database_owner, 'local'::text AS database_type,
    NULL::text AS database_acl, NULL::text AS database_options, 'Snapshot Isolation'::text AS database_isolation_level
FROM pg_database d WHERE d.datname = current_database();
CREATE OR REPLACE VIEW svv_external_schemas AS
SELECT 0::oid AS esoid, 0::smallint AS eskind, ''::text AS schemaname, 0 AS esowner, ''::text AS databasename,
    ''::text AS esoptions WHERE false;
CREATE OR REPLACE VIEW svv_external_tables AS
SELECT ''::text AS schemaname, ''::text AS tablename, ''::text AS tabletype, ''::text AS location WHERE false;
CREATE OR REPLACE VIEW svv_external_columns AS
SELECT ''::text AS schemaname, ''::text AS tablename, ''::text AS columnname, ''::text AS external_type, 0 AS columnnum,
    0 AS part_key WHERE false;
CREATE OR REPLACE VIEW svv_views AS
SELECT schemaname::text AS schema, viewname::text AS view_name, definition AS view_definition
FROM pg_views WHERE redshift_compat.own_schema(schemaname);
CREATE OR REPLACE VIEW svv_mv_info AS
SELECT current_database()::text AS database_name, schemaname::text AS schema_name, viewowner.matviewname::text AS name,
    viewowner.matviewowner::text AS user_name, false AS is_stale, 0 AS state, false AS autorewrite, false AS autorefresh
FROM pg_matviews AS viewowner WHERE redshift_compat.own_schema(schemaname);
CREATE OR REPLACE VIEW stv_mv_info AS
SELECT database_name AS db_name, schema_name AS schema, name, 0::bigint AS updated_upto_xid,
    CASE WHEN is_stale THEN 't' ELSE 'f' END AS is_stale, user_name AS owner_user_name, state,
    'f'::text AS autorewrite, 'f'::text AS autorefresh
FROM redshift_compat.svv_mv_info;
CREATE OR REPLACE VIEW svv_table_info AS
SELECT current_database()::text AS database, n.nspname::text AS schema, c.oid::int AS table_id, c.relname::text AS "table",
    'N'::text AS encoded, 'AUTO(EVEN)'::text AS diststyle, ''::text AS sortkey1, 0 AS max_varchar, ''::text AS sortkey1_enc,
    0 AS sortkey_num, (pg_total_relation_size(c.oid) + 1048575) / 1048576 AS size, 0.0 AS pct_used, 0::numeric AS empty,
    0.0 AS unsorted, 0.0 AS stats_off, greatest(c.reltuples, 0)::bigint AS tbl_rows, NULL::numeric AS skew_sortkey1,
    1.0 AS skew_rows, greatest(c.reltuples, 0)::bigint AS estimated_visible_rows, ''::text AS risk_event,
    0.0 AS vacuum_sort_benefit, NULL::timestamp AS create_time
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND redshift_compat.own_schema(n.nspname);
CREATE OR REPLACE VIEW stv_tbl_perm AS
SELECT 0 AS slice, c.oid::int AS id, c.relname::text AS name, greatest(c.reltuples, 0)::bigint AS rows, 0 AS temp
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND redshift_compat.own_schema(n.nspname);
CREATE OR REPLACE VIEW svv_relation_privileges AS
SELECT table_schema::text AS namespace_name, table_name::text AS relation_name, privilege_type::text, 0 AS identity_id,
    grantee::text AS identity_name, 'user'::text AS identity_type, is_grantable = 'YES' AS admin_option
FROM information_schema.table_privileges WHERE redshift_compat.own_schema(table_schema::name);
CREATE OR REPLACE VIEW svv_user_info AS
SELECT usename::text AS user_name, usesysid::int AS user_id, usecreatedb AS createdb, usesuper AS superuser,
    false AS catalog_update, NULL::text AS connection_limit, 'RESTRICTED'::text AS syslog_access, 0 AS last_ddl_ts,
    0 AS session_timeout, NULL::text AS external_user_id FROM pg_user;
CREATE OR REPLACE VIEW svl_user_info AS SELECT * FROM redshift_compat.svv_user_info;
CREATE OR REPLACE VIEW pg_user_info AS SELECT * FROM pg_user;

-- Views here are bound to their tables: there are none of this kind.
CREATE OR REPLACE FUNCTION pg_get_late_binding_view_cols() RETURNS SETOF record STABLE LANGUAGE plpgsql AS $body$
BEGIN
    RETURN;
END $body$;

-- Only what the search path has: https://docs.aws.amazon.com/redshift/latest/dg/r_PG_TABLE_DEF.html
CREATE OR REPLACE VIEW pg_table_def AS
SELECT n.nspname AS schemaname, c.relname AS tablename, a.attname AS "column",
    redshift_compat.shown_type(a.atttypid, a.atttypmod) AS type, 'none'::text AS encoding, false AS distkey, 0 AS sortkey,
    a.attnotnull AS "notnull"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = ANY (current_schemas(true))
    AND n.nspname NOT IN ('redshift_compat', 'pg_catalog');

CREATE OR REPLACE VIEW sys_query_history AS
SELECT owner::regrole::oid::int AS user_id, query_id, query_label, 0::bigint AS transaction_id, session_id,
    current_database()::text AS database_name, query_type, status, false AS result_cache_hit, start_time, end_time,
    elapsed_time, 0::bigint AS queue_time, elapsed_time AS execution_time, error_message, returned_rows,
    0::bigint AS returned_bytes, query_text, 'Redshift 1.0.77467'::text AS redshift_version, owner::text AS username
FROM (SELECT coalesce(r.rolname, s.owner) AS owner, query_id, query_label, session_id, query_type, status, start_time,
    end_time, elapsed_time, error_message, returned_rows, query_text
    FROM redshift_compat.statements s JOIN pg_roles r ON r.rolname = s.owner WHERE redshift_compat.visible(s.owner)) AS seen;
CREATE OR REPLACE VIEW stl_query AS
SELECT user_id AS userid, query_id::int AS query, query_label AS label, transaction_id AS xid, session_id AS pid,
    database_name AS database, query_text AS querytxt, start_time AS starttime, end_time AS endtime,
    CASE status WHEN 'canceled' THEN 1 ELSE 0 END AS aborted FROM redshift_compat.sys_query_history;
CREATE OR REPLACE VIEW svl_qlog AS
SELECT userid, query, xid, pid, starttime, endtime, 0::bigint AS elapsed, aborted, label, querytxt AS substring,
    NULL::int AS source_query FROM redshift_compat.stl_query;
CREATE OR REPLACE VIEW svl_statementtext AS
SELECT userid, xid, pid, label, starttime, endtime, 0 AS sequence, 'QUERY'::text AS type, querytxt AS text
FROM redshift_compat.stl_query;

CREATE OR REPLACE VIEW sys_load_error_detail AS
SELECT r.oid::int AS user_id, e.query_id, 0::bigint AS transaction_id, e.session_id, current_database()::text AS database_name,
    e.table_id::int AS table_id, e.start_time, e.file_name, e.line_number, e.column_name, e.column_type, e.column_length,
    e.position, e.error_code, e.error_message
FROM redshift_compat.load_errors e LEFT JOIN pg_roles r ON r.rolname = e.owner WHERE redshift_compat.visible(e.owner);
CREATE OR REPLACE VIEW stl_load_errors AS
SELECT r.oid::int AS userid, 0 AS slice, e.table_id::int AS tbl, e.start_time AS starttime, e.session_id AS session,
    e.query_id::int AS query, e.file_name AS filename, e.line_number, e.column_name AS colname, e.column_type AS type,
    e.column_length AS col_length, e.position, e.raw_line, e.raw_field AS raw_field_value, e.error_code AS err_code,
    e.error_message AS err_reason, 0 AS is_partial, 0 AS start_offset, NULL::text AS copy_job_id
FROM redshift_compat.load_errors e LEFT JOIN pg_roles r ON r.rolname = e.owner WHERE redshift_compat.visible(e.owner);
CREATE OR REPLACE VIEW sys_load_history AS
SELECT r.oid::int AS user_id, l.query_id, 0::bigint AS transaction_id, 0 AS session_id,
    current_database()::text AS database_name, l.status, l.table_name, l.start_time, l.end_time,
    (extract(epoch FROM l.end_time - l.start_time) * 1000000)::bigint AS duration, l.data_source, l.file_format,
    l.loaded_rows, l.loaded_bytes, l.source_file_count, l.loaded_bytes AS source_file_bytes, l.file_name, l.error_count
FROM redshift_compat.loads l LEFT JOIN pg_roles r ON r.rolname = l.owner WHERE redshift_compat.visible(l.owner);
CREATE OR REPLACE VIEW sys_load_detail AS
SELECT user_id, query_id, start_time, end_time, data_source AS file_name, loaded_bytes AS bytes_scanned,
    loaded_rows AS lines_scanned, error_count FROM redshift_compat.sys_load_history;
CREATE OR REPLACE VIEW stl_load_commits AS
SELECT user_id AS userid, query_id::int AS query, 0 AS slice, data_source AS name, file_name AS filename,
    loaded_rows AS lines_scanned, error_count AS errors, 1 AS status, start_time AS curtime
FROM redshift_compat.sys_load_history WHERE status = 'completed';

CREATE OR REPLACE VIEW stv_sessions AS
SELECT backend_start AT TIME ZONE 'UTC' AS starttime, pid AS process, usename::text AS user_name,
    datname::text AS db_name, 0 AS timeout_sec
FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend';
CREATE OR REPLACE VIEW stv_recents AS
SELECT usesysid::int AS userid, CASE state WHEN 'active' THEN 'Running' ELSE 'Done' END AS status,
    query_start AT TIME ZONE 'UTC' AS starttime, 0::bigint AS duration, usename::text AS user_name,
    datname::text AS db_name, query, pid
FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend';
CREATE OR REPLACE VIEW stv_inflight AS
SELECT userid, 0 AS slice, 0 AS query, ''::text AS label, 0::bigint AS xid, pid, starttime, query AS text, 0 AS suspended
FROM redshift_compat.stv_recents WHERE status = 'Running';
CREATE OR REPLACE VIEW pg_external_schema AS
SELECT 0::oid AS esoid, 0::smallint AS eskind, ''::text AS esdbname, ''::text AS esoptions WHERE false;

REVOKE ALL ON ALL TABLES IN SCHEMA redshift_compat FROM PUBLIC;
DO $grants$ DECLARE one regclass; BEGIN
    FOR one IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'redshift_compat'::regnamespace AND c.relkind = 'v' LOOP
        EXECUTE format('GRANT SELECT ON %s TO PUBLIC', one);
    END LOOP;
END $grants$;
