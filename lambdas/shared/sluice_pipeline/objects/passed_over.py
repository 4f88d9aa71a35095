"""Objects under bronze/ that are no data: markers and working files of the tools that write there.

Patterns are shell patterns of whole keys, in which ``*`` also stands for slashes; case matters. A pattern that ends in
a slash is a folder marker and applies to empty objects only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property


@dataclass(frozen=True)
class PassedOver:
    """Which objects are not ingested."""

    patterns: Sequence[str]

    @cached_property
    def _compiled(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(pattern, re.compile(translate(pattern))) for pattern in self.patterns]

    def by(self, key: str, size: int) -> str | None:
        """The pattern that applies to the object, None when it is to be ingested."""
        for pattern, expression in self._compiled:
            if expression.match(key) and (size == 0 or not pattern.endswith("/")):
                return pattern
        return None
