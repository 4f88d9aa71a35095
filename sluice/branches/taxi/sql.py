"""The view of the warehouse of trips, read through Redshift's Data API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

COLUMNS = ("month", "trips", "passengers", "average_distance", "average_fare", "average_tip", "revenue")


def monthly(stack: Stack, limit: int) -> list[list[Any]]:
    """The rows of the view, COLUMNS of each, months in their order, the last ``limit``.

    As the admin, with the secret that Redshift made: the caller needs the right to read it.
    """
    from taxi.warehouse import Warehouse

    client = stack.client("redshift-data")
    warehouse = Warehouse(client, stack["taxi_workgroup"], stack["taxi_database"], stack["taxi_secret_arn"])
    sql = f"SELECT {', '.join(COLUMNS)} FROM yellow_trips_monthly ORDER BY month DESC LIMIT {limit:d}"
    return warehouse.rows(sql)[::-1]
