"""Redshift Serverless and its Data API: the SQL runs on the engine's PostgreSQL.

| module | what it does |
|---|---|
| serverless, namespaces, workgroups, limits, tags | the API `redshift-serverless` |
| database | a namespace's database and its users on PostgreSQL |
| credentials | who a caller is in the database, and with which password |
| data | the API `redshift-data`: statements, sessions, results |
| sql, copying | Redshift's SQL for PostgreSQL; COPY and UNLOAD |
| wire | the endpoint for drivers of Redshift, where there is one |
"""

import sys


def shutdown() -> None:
    """End every statement and session."""
    if wire := sys.modules.get("sluice_ext.redshift.wire"):
        wire.stop()
    if runner := sys.modules.get("sluice_ext.redshift.data.runner"):
        runner.RUNNER.shutdown()
