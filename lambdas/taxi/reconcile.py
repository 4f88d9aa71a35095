"""raw = loaded + rejected: what the jobs reported of an attempt, held against the rows that are in the table."""

from collections.abc import Mapping
from typing import Any, Final

from taxi.month import Month, batch_of
from taxi.warehouse import Warehouse

# One row always: the trips of a month, those of them that began in another one, and what its load recorded.
COUNTS: Final = """
SELECT trips.counted, trips.elsewhere,
    loads.attempt, loads.raw_rows, loads.loaded_rows, loads.rejected_rows, loads.source
FROM (
    SELECT
        COUNT(*) AS counted,
        COALESCE(SUM(CASE WHEN pickup_datetime >= CAST(:first_day AS TIMESTAMP)
            AND pickup_datetime < CAST(:next_day AS TIMESTAMP) THEN 0 ELSE 1 END), 0) AS elsewhere
    FROM yellow_trips WHERE load_batch = :month
) AS trips
LEFT JOIN (SELECT * FROM yellow_loads WHERE load_batch = :month) AS loads ON 1 = 1
"""


class NotReconciled(RuntimeError):
    """Names the numbers that differ."""


def counts(warehouse: Warehouse, month: Month) -> dict[str, Any]:
    """``counted``, ``elsewhere``, and of the month's load ``attempt``, ``raw``, ``loaded``, ``rejected``, ``source``
    (None where it was never loaded)."""
    bound = {"month": str(month), "first_day": month.first_day, "next_day": month.plus(1).first_day}
    [row] = warehouse.rows(COUNTS, bound)
    names = ("counted", "elsewhere", "attempt", "raw", "loaded", "rejected", "source")
    return {
        name: value if name == "source" or value is None else int(value) for name, value in zip(names, row, strict=True)
    }


def loaded_batch(month: Month, counted: Mapping[str, Any]) -> str:
    """The attempt whose rows the table has. Raises NotReconciled when it has none."""
    if counted["attempt"] is None:
        raise NotReconciled(f"{month} was never loaded; the table has {counted['counted']} rows of it")
    return batch_of(month, int(counted["attempt"]))


def differences(
    ingest: Mapping[str, Any], transform: Mapping[str, Any], load: Mapping[str, Any], counted: Mapping[str, Any]
) -> list[str]:
    """Each two numbers that should be one and are not, with both; [] when every row is accounted for."""
    rejected = sum(transform["rejected"].values())
    pairs = (
        ("rows of the raw file", ingest["rows"], "rows that transform read", transform["raw"]),
        ("rows that transform read", transform["raw"], "its clean and rejected rows", transform["clean"] + rejected),
        ("clean rows", transform["clean"], "rows of their files", sum(file["rows"] for file in transform["files"])),
        ("clean rows", transform["clean"], "rows that load reported", load["loaded"]),
        ("rejected rows", rejected, "rejected rows that load reported", load["rejected"]),
        ("rows that load reported", load["loaded"], "rows in the table", counted["counted"]),
        ("raw rows", ingest["rows"], "rows in the table and rejected ones", counted["counted"] + rejected),
        ("raw rows", ingest["rows"], "raw rows that the load recorded", counted["raw"]),
        ("rows in the table", counted["counted"], "rows that the load recorded", counted["loaded"]),
        ("rejected rows", rejected, "rejected rows that the load recorded", counted["rejected"]),
        ("rows of another month in the table", counted["elsewhere"], "as many as may be there", 0),
    )
    found = [f"{one} {a}, {other} {b}" for one, a, other, b in pairs if a != b]
    if ingest["key"] != counted["source"]:
        found.append(f"raw file {ingest['key']}, loaded from {counted['source']}")
    return found
