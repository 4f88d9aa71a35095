"""The warehouse of trips: SQL that may run again and again, in the order in which it has to run.

The names of users are our own roles', checked before they become part of a statement: a name cannot be a parameter.
"""

import re
from typing import Final

# https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
# A month is read and replaced as a whole, so it comes first in the order of the rows.
TRIPS: Final = """
CREATE TABLE IF NOT EXISTS yellow_trips (
    vendor_id INTEGER,
    pickup_datetime TIMESTAMP,
    dropoff_datetime TIMESTAMP,
    passenger_count INTEGER,
    trip_distance DOUBLE PRECISION,
    pickup_location_id INTEGER,
    dropoff_location_id INTEGER,
    payment_type INTEGER,
    fare_amount DOUBLE PRECISION,
    tip_amount DOUBLE PRECISION,
    total_amount DOUBLE PRECISION,
    load_batch VARCHAR(7) NOT NULL,
    source VARCHAR(512) NOT NULL,
    loaded_at TIMESTAMP NOT NULL
)
DISTKEY (pickup_location_id)
COMPOUND SORTKEY (load_batch, pickup_datetime)
"""

# The load of each month that the table has. A load locks this table first, so that two of them follow each other while
# yellow_trips can be read all the time.
LOADS: Final = """
CREATE TABLE IF NOT EXISTS yellow_loads (
    load_batch VARCHAR(7) NOT NULL,
    attempt INTEGER NOT NULL,
    source VARCHAR(512) NOT NULL,
    raw_rows BIGINT NOT NULL,
    loaded_rows BIGINT NOT NULL,
    rejected_rows BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL
"""

MONTHLY: Final = """
CREATE OR REPLACE VIEW yellow_trips_monthly AS
SELECT
    CAST(DATE_TRUNC('month', pickup_datetime) AS DATE) AS month,
    COUNT(*) AS trips,
    SUM(passenger_count) AS passengers,
    ROUND(CAST(AVG(trip_distance) AS NUMERIC(18, 4)), 2) AS average_distance,
    ROUND(CAST(AVG(fare_amount) AS NUMERIC(18, 4)), 2) AS average_fare,
    ROUND(CAST(AVG(tip_amount) AS NUMERIC(18, 4)), 2) AS average_tip,
    ROUND(CAST(SUM(total_amount) AS NUMERIC(20, 4)), 2) AS revenue
FROM yellow_trips
GROUP BY 1
"""
TABLES: Final = (TRIPS, LOADS, MONTHLY)

USERS: Final = "SELECT usename FROM pg_user WHERE usename = :name"
_ROLE: Final = re.compile(r"[A-Za-z0-9+=,.@_-]{1,64}")


def user_of(role: str) -> str:
    """The database user of an IAM role: https://docs.aws.amazon.com/redshift/latest/mgmt/redshift-iam-access-control-native-idp.html"""
    if not _ROLE.fullmatch(role):
        raise ValueError(f"{role!r} is not the name of an IAM role")
    return f"IAMR:{role}"


def create_user(user: str) -> str:
    return f'CREATE USER "{user}" PASSWORD DISABLE'


def grants(loader: str, readers: list[str]) -> list[str]:
    """What the load and those who read may do, and nothing more."""
    statements = [
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO "{loader}"' for table in ("yellow_trips", "yellow_loads")
    ]
    tables = ("yellow_trips", "yellow_loads", "yellow_trips_monthly")
    return statements + [f'GRANT SELECT ON {table} TO "{reader}"' for reader in readers for table in tables]
