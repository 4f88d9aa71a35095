"""Objects that the ledger may have known before: their entries have expired, what they wrote is still there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sluice_pipeline.runtime import clock

LEAST_DAYS: Final = 30
"""The shortest time for which the ledger knows a finished object (ledger_retention_days is no less)."""


@dataclass(frozen=True, slots=True)
class Returning:
    """The number of the first run of such an object, and when its version came into the bucket.

    The number is greater than that of any run before, so that the files and rows of those are replaced.
    """

    run: int
    received_at: str


def returning(modified: datetime | None, *, copied: bool = False) -> Returning | None:
    """None for an object that cannot have expired, because its version is younger than LEAST_DAYS.

    ``copied``: it is a copy, which is younger than the object itself.
    """
    moment = clock.present()
    if not copied and (modified is None or moment - modified < timedelta(days=LEAST_DAYS)):
        return None
    # Minutes: an object has fewer runs than minutes of age, and the warehouse's run is a number of 32 bits.
    return Returning(int(moment.timestamp() // 60), clock.written(modified or moment))
