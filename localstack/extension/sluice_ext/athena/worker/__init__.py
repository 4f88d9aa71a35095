"""Runs one Athena query at a time, in a process of its own: Athena SQL is translated to DuckDB's and run over files.

Nothing here knows the engine: what a query needs from the catalog and from S3 it asks for through `channel`.
"""
