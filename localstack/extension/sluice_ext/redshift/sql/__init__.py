"""Redshift's SQL on PostgreSQL: statements translated, functions and system views made, errors and types worded."""

from sluice_ext.redshift.sql.catalog import prepare
from sluice_ext.redshift.sql.errors import Malformed, Refused, Unsupported
from sluice_ext.redshift.sql.statements import Statement, parse

__all__ = ["Malformed", "Refused", "Statement", "Unsupported", "parse", "prepare"]
