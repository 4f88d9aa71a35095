"""The rules of composite alarms: ALARM("a") AND (NOT OK("b") OR INSUFFICIENT_DATA("c")), TRUE and FALSE.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html (AlarmRule)
"""

import re
from collections.abc import Callable

States = Callable[[str], str | None]
"""The state of an alarm by its name or ARN; None when there is none."""
_TOKEN = re.compile(
    r"\s*(\(|\)|AND\b|OR\b|NOT\b|TRUE\b|FALSE\b|(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"[^\"]+\"|[^\s\")]+)\s*\))"
)
_STATE = re.compile(r"(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*\"?([^\"]+?)\"?\s*\)")


class InvalidRule(ValueError):
    """The text is no rule, or one with functions that this engine does not have."""


class Rule:
    """A parsed rule; ``names`` are the alarms that it names."""

    def __init__(self, text: str) -> None:
        self._tokens, self._at = _tokens(text), 0
        self.names: list[str] = []
        self._holds = self._either()
        if self._at < len(self._tokens):
            raise InvalidRule(f"the alarm rule has {self._tokens[self._at]!r} after its end")

    def holds(self, states: States) -> bool:
        """Whether the rule is true, which makes the state ALARM."""
        return self._holds(states)

    def _take(self, *wanted: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in wanted:
            self._at += 1
            return True
        return False

    def _either(self) -> Callable[[States], bool]:
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())
        return lambda states: any(part(states) for part in parts)

    def _both(self) -> Callable[[States], bool]:
        parts = [self._one()]
        while self._take("AND"):
            parts.append(self._one())
        return lambda states: all(part(states) for part in parts)

    def _one(self) -> Callable[[States], bool]:
        if self._take("NOT"):
            inner = self._one()
            return lambda states: not inner(states)
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise InvalidRule("the alarm rule lacks a )")
            return inner
        if self._at >= len(self._tokens):
            raise InvalidRule("the alarm rule ends too early")
        token = self._tokens[self._at]
        self._at += 1
        if token in ("TRUE", "FALSE"):
            return lambda _states: token == "TRUE"
        if not (found := _STATE.fullmatch(token)):
            raise InvalidRule(f"the alarm rule has {token!r} in the wrong place")
        state, name = found.groups()
        self.names.append(name)
        return lambda states: states(name) == state


def _tokens(text: str) -> list[str]:
    tokens, at, whole = [], 0, text.strip()
    while at < len(whole):
        found = _TOKEN.match(whole, at)
        if not found:
            raise InvalidRule(f"the alarm rule is not understood from {whole[at:].strip()!r}")
        tokens.append(found[1])
        at = found.end()
    return tokens
