"""The keys of buckets in S3's order, sorted once and not for every page of a list."""

import threading
import weakref
from dataclasses import dataclass, field
from typing import Any

_STALE = 1000  # keys that are gone, before the others are sorted again


@dataclass
class _Keys:
    ordered: list[str]
    added: list[str] = field(default_factory=list)


class SortedKeys:
    """The keys of each store, from its first list on.

    ``lock`` is held while a store changes: a key that is set beside the first list would be in none otherwise.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self.lock = lock
        self._stores: weakref.WeakKeyDictionary[Any, _Keys] = weakref.WeakKeyDictionary()

    def adds(self, store: Any, key: str) -> None:
        """A key is about to be set, and the lock is held until it is."""
        keys = self._stores.get(store)
        if keys is not None and key not in store:
            keys.added.append(key)

    def of(self, store: Any) -> list[str]:
        """All keys of a store in the order of their UTF-8 bytes, each once; some may be gone. Not to be changed.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html
        """
        with self.lock:
            keys = self._stores.get(store)
            present = store._store
            if keys is None or len(keys.ordered) > 2 * len(present) + _STALE:
                keys = self._stores[store] = _Keys(sorted(dict(present)))
            elif keys.added:
                # Two sorted runs are merged: https://docs.python.org/3/howto/sorting.html
                added, keys.added = keys.added, []
                keys.ordered = list(dict.fromkeys(sorted(keys.ordered + sorted(added))))
            return keys.ordered
