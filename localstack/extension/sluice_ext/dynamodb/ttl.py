"""Time to live: expired items are removed within seconds (on AWS within days).

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping

from sluice_ext import settings
from sluice_ext.dynamodb import tables
from sluice_ext.dynamodb.items import decode
from sluice_ext.dynamodb.writes import Change
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
# Items that expired more than five years ago stay: AWS assumes that such a value is a mistake.
_FIVE_YEARS = 5 * 365 * 86400


class Sweeper:
    """Removes expired items of all tables every SLUICE_TTL_SWEEP_SECONDS."""

    def __init__(self, locks: Mapping[tuple[str, str], threading.RLock]) -> None:
        self._locks = locks
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the sweeping thread."""
        threading.Thread(target=self._run, name="dynamodb-ttl", daemon=True).start()

    def stop(self) -> None:
        """Stop it."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(settings.TTL_SWEEP_SECONDS):
            try:
                with GATE.work("removing expired items", source=True):
                    self.sweep(time.time())
            except Exception:
                LOG.warning("DynamoDB time-to-live sweep failed", exc_info=True)

    def sweep(self, now: float) -> int:
        """Remove what expired before ``now`` (Unix time, s); returns how many items."""
        from moto.backends import get_backend

        removed = 0
        for account, regions in list(get_backend("dynamodb").items()):
            for region, backend in list(regions.items()):
                for table in list(backend.tables.values()):
                    attribute = table.ttl.get("AttributeName")
                    if table.ttl.get("TimeToLiveStatus") != "ENABLED" or not attribute:
                        continue
                    with self._locks[(account, region)]:
                        expired = list(_expired(tables.Table(table), attribute, now))
                        for change in expired:
                            change.write(change.current(), None, expired=True)
                        removed += len(expired)
        return removed


def _expired(table: tables.Table, attribute: str, now: float) -> Iterator[Change]:
    for place in table.items.expiring(attribute).due(now - _FIVE_YEARS, now):
        stored = table.items.get(place)
        if stored is not None:
            yield Change(table, place, table.key_attributes(decode(stored)), None, {}, None)
