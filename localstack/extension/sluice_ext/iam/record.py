"""What each role used: each (action, resource, condition keys), how often, and how often it was refused."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

# More than any test suite uses. Further uses are counted as `dropped`, which shows that the record is incomplete.
_MAX_USES = 300_000
# Action, resource, and (key, value) of the condition keys that only this action has, sorted.
Use = tuple[str, str, tuple[tuple[str, str], ...]]


class Record:
    """Uses by role. Thread-safe."""

    def __init__(self, max_uses: int = _MAX_USES) -> None:
        self._max_uses, self._size, self._dropped = max_uses, 0, 0
        self._lock = threading.Lock()
        self._uses: dict[str, dict[Use, list[int]]] = defaultdict(dict)

    def add(
        self, role_arn: str, action: str, resource: str, keys: Mapping[str, str] | None = None, refused: bool = False
    ) -> None:
        """Record that the role used, or was refused, this action on this resource with these condition keys."""
        use = (action, resource, tuple(sorted((keys or {}).items())))
        with self._lock:
            uses = self._uses[role_arn]
            counts = uses.get(use)
            if counts is None:
                if self._size >= self._max_uses:
                    self._dropped += 1
                    return
                self._size += 1
                counts = uses[use] = [0, 0]
            counts[0] += 1
            counts[1] += refused

    def to_json(self) -> dict[str, Any]:
        """{"roles": {role ARN: [{"action", "resource", "keys", "count", "refused"}]}, "dropped": over the limit}."""
        with self._lock:
            roles = {
                role: [
                    {
                        "action": action,
                        "resource": resource,
                        "keys": dict(keys),
                        "count": counts[0],
                        "refused": counts[1],
                    }
                    for (action, resource, keys), counts in sorted(uses.items())
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
            for role, uses in saved["uses"].items():
                # A state that was saved before condition keys were recorded has none.
                self._uses[role] = {use if len(use) == 3 else (*use, ()): counts for use, counts in uses.items()}
            self._size = sum(len(uses) for uses in self._uses.values())
            self._dropped = saved["dropped"]


RECORD = Record()
