"""What a service remembers, by account and region."""

import threading
from collections.abc import Callable


class PerRegion[T]:
    """One store for each account and region, made when it is first asked for. ``lock`` guards every change."""

    def __init__(self, make: Callable[[], T]) -> None:
        self.lock = threading.RLock()
        self._make = make
        self._stores: dict[tuple[str, str], T] = {}

    def of(self, account: str, region: str) -> T:
        """The store of an account in a region."""
        with self.lock:
            if (account, region) not in self._stores:
                self._stores[account, region] = self._make()
            return self._stores[account, region]

    def dump(self) -> dict[tuple[str, str], T]:
        """Everything, for a saved state."""
        with self.lock:
            return dict(self._stores)

    def load(self, saved: dict[tuple[str, str], T]) -> None:
        """Restore what `dump` returned."""
        with self.lock:
            self._stores.update(saved)
