"""What each role used: each (action, resource), how often, and how often it was refused."""

import threading
from collections import defaultdict
from typing import Any

# More than any test suite uses. Further uses are counted as `dropped`, which shows that the record is incomplete.
_MAX_USES = 300_000


class Record:
    """Uses by role. Thread-safe."""

    def __init__(self, max_uses: int = _MAX_USES) -> None:
        self._max_uses, self._size, self._dropped = max_uses, 0, 0
        self._lock = threading.Lock()
        self._uses: dict[str, dict[tuple[str, str], list[int]]] = defaultdict(dict)

    def add(self, role_arn: str, action: str, resource: str, refused: bool = False) -> None:
        """Record that the role used, or was refused, this action on this resource."""
        with self._lock:
            uses = self._uses[role_arn]
            counts = uses.get((action, resource))
            if counts is None:
                if self._size >= self._max_uses:
                    self._dropped += 1
                    return
                self._size += 1
                counts = uses[(action, resource)] = [0, 0]
            counts[0] += 1
            counts[1] += refused

    def to_json(self) -> dict[str, Any]:
        """{"roles": {role ARN: [{"action", "resource", "count", "refused"}]}, "dropped": uses over the limit}."""
        with self._lock:
            roles = {
                role: [
                    {"action": action, "resource": resource, "count": counts[0], "refused": counts[1]}
                    for (action, resource), counts in sorted(uses.items())
                ]
                for role, uses in sorted(self._uses.items())
            }
            return {"roles": roles, "dropped": self._dropped}

    def dump(self) -> dict[str, Any]:
        """Everything, for a saved state."""
        with self._lock:
            uses = {role: {use: list(counts) for use, counts in uses.items()} for role, uses in self._uses.items()}
            return {"uses": uses, "dropped": self._dropped}

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            self._uses.update(saved["uses"])
            self._size = sum(len(uses) for uses in self._uses.values())
            self._dropped = saved["dropped"]


RECORD = Record()
