"""Pages of S3's lists: what is on one, and how a key is encoded there.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-prefixes.html
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")
_BEYOND = chr(0x10FFFF) * 256
"""After every key with a common prefix: a key has at most 1,024 bytes, and this character has four."""


@dataclass
class Page:
    """What one page shows. ``last``: its last key or common prefix; ``following``: the first key that is not on it."""

    entries: list[Any] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    following: str | None = None

    @property
    def count(self) -> int:
        """Keys and common prefixes."""
        return len(self.entries) + len(self.prefixes)


def page(
    keys: list[str],
    entries_of: Callable[[str], list[Any]],
    *,
    prefix: str,
    delimiter: str,
    start: str,
    limit: int,
    shown: str = "",
) -> Page:
    """The page that begins with the first key not less than ``start``.

    keys: sorted; entries_of: what is shown of a key, nothing where it has no current version; shown: the marker, whose
    common prefix was on the page before.
    """
    found = Page()
    at = bisect_left(keys, max(prefix, start))
    while at < len(keys) and keys[at].startswith(prefix):
        key = keys[at]
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end >= 0:
            common = key[: end + len(delimiter)]
            after = bisect_left(keys, common + _BEYOND, at)
            visible = not shown.startswith(common) and any(entries_of(keys[one]) for one in range(at, after))
            if visible and found.count >= limit:
                found.following = key
                return found
            if visible:
                found.prefixes.append(common)
                found.last = common
            at = max(after, at + 1)
            continue
        for entry in entries_of(key):
            if found.count >= limit:
                found.following = key
                return found
            found.entries.append(entry)
            found.last = key
        at += 1
    return found


def encoded(text: str, encoding: str | None) -> str:
    """A key as the answer has it."""
    return text if encoding is None or _PLAIN.fullmatch(text) else quote(text)
