"""The order of changes to S3's objects: each write and delete has a sequencer, which its notifications carry.

Sequencers are hexadecimal texts of one length; of two for one key the greater is the later change.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import threading
import time
from typing import Any

from localstack.services.s3.models import KeyStore, VersionedKeyStore

from sluice_ext.patching import replace
from sluice_ext.s3.sorted_keys import SortedKeys

_BILLION = 1_000_000_000


class Sequence:
    """Rising numbers from the machine's clock, so that they go on rising in the next engine. Thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._last = 0
        self._of_thread = threading.local()

    def step(self) -> None:
        """The calling thread has changed an object."""
        with self.lock:
            seconds, nanoseconds = divmod(time.time_ns(), _BILLION)
            self._last = max(self._last + 1, seconds << 32 | (nanoseconds << 32) // _BILLION)
            self._of_thread.number = self._last

    def latest(self) -> str:
        """Sequencer of the calling thread's last change."""
        if not hasattr(self._of_thread, "number"):
            self.step()
        return f"{self._of_thread.number:018X}"

    def dump(self) -> int:
        """The last number, for a saved state: the clock may be set back before it is restored."""
        return self._last

    def load(self, saved: int) -> None:
        """Go on after what `dump` returned."""
        with self.lock:
            self._last = max(self._last, saved)


SEQUENCE = Sequence()
SORTED_KEYS = SortedKeys(SEQUENCE.lock)


def install() -> None:
    """Take a number with each change of a bucket's keys; raises UnexpectedEngine when LocalStack is another."""
    _count(KeyStore, "set", "(self, object_key, s3_object)")
    _count(KeyStore, "pop", "(self, object_key, default)")
    _count(VersionedKeyStore, "set", "(self, object_key, s3_object)")
    _count(VersionedKeyStore, "pop", "(self, object_key, version_id, default)")


def _count(store: Any, name: str, expect: str) -> None:
    def change(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Under one lock: the change with the greater number is the later one.
        with SEQUENCE.lock:
            if name == "set":
                SORTED_KEYS.adds(self, args[0] if args else kwargs["object_key"])
            changed = original(self, *args, **kwargs)
            SEQUENCE.step()
        return changed

    original = replace(store, name, change, expect=expect)
