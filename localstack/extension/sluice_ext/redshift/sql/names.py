"""The system views that `views.sql` defines, by their names in Redshift."""

_NAMES = (
    "svv_tables svv_columns svv_all_tables svv_all_columns svv_all_schemas svv_redshift_tables svv_redshift_columns "
    "svv_redshift_schemas svv_redshift_databases svv_external_tables svv_external_schemas svv_external_columns "
    "svv_table_info svv_views svv_relation_privileges svv_user_info svl_user_info svv_mv_info stv_mv_info "
    "sys_query_history sys_load_error_detail sys_load_history sys_load_detail stl_load_errors stl_load_commits "
    "stl_query stv_recents stv_sessions stv_inflight stv_tbl_perm svl_qlog svl_statementtext pg_table_def "
    "pg_user_info pg_external_schema"
)
SYSTEM_VIEWS = frozenset(_NAMES.split())
