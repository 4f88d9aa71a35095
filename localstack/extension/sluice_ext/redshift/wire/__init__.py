"""Redshift's endpoint: the drivers of Redshift connect here, and their SQL is translated (SLUICE_REDSHIFT_PORT).

Without that setting work groups have the endpoint of PostgreSQL, which these drivers cannot speak to.
"""

from sluice_ext.redshift.wire.listener import start, stop

__all__ = ["start", "stop"]
