"""What each role used: (action, resource) and how often, and how often it was refused."""

import threading
from collections import defaultdict
from typing import Any

# More than any suite uses; what comes after is counted as `dropped`, so that nobody takes the record for whole.
_MOST = 300_000


class Record:
    """Uses by role. Thread-safe."""

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._size, self._dropped = most, 0, 0
        self._lock = threading.Lock()
        self._uses: dict[str, dict[tuple[str, str], list[int]]] = defaultdict(dict)

    def add(self, role_arn: str, action: str, resource: str, refused: bool = False) -> None:
        """The role used (or was refused) this action on this resource."""
        with self._lock:
            uses = self._uses[role_arn]
            counts = uses.get((action, resource))
            if counts is None:
                if self._size >= self._most:
                    self._dropped += 1
                    return
                self._size += 1
                counts = uses[(action, resource)] = [0, 0]
            counts[0] += 1
            counts[1] += refused

    def to_json(self) -> dict[str, Any]:
        """{"roles": {role ARN: [{"action", "resource", "count", "refused"}]}, "dropped": uses that found no room}."""
        with self._lock:
            roles = {
                role: [
                    {"action": action, "resource": resource, "count": counts[0], "refused": counts[1]}
                    for (action, resource), counts in sorted(uses.items())
                ]
                for role, uses in sorted(self._uses.items())
            }
            return {"roles": roles, "dropped": self._dropped}


RECORD = Record()
