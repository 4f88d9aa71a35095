"""Keys in S3's event notifications: how they are encoded, and which of them a filter lets through. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
# S3's "safe characters" that the encoding escapes all the same; a filter may have them either way.
_SAFE = "!*'()"


def encoded(key: str) -> str:
    """A key as notifications to SQS, SNS and Lambda carry it: encoded like a form's value, `/` stays."""
    return quote_plus(key, safe="/*", encoding="utf-8", errors="surrogatepass")


def passes(rules: Iterable[dict[str, str]], key: str) -> bool:
    """Whether a key (not encoded) has the prefix and suffix of a filter, which are encoded, as AWS wants them."""
    whole = _comparable(encoded(key))
    for rule in rules:
        name, value = rule.get("Name", "").lower(), _comparable(rule.get("Value", ""))
        if (name == "prefix" and not whole.startswith(value)) or (name == "suffix" and not whole.endswith(value)):
            return False
    return True


def overlapping(configurations: list[dict[str, Any]]) -> bool:
    """Whether two of these configurations could both be notified of one event, which S3 refuses."""
    return any(
        _events_meet(one["Events"], other["Events"]) and _filters_meet(_rules(one), _rules(other))
        for number, one in enumerate(configurations)
        for other in configurations[:number]
    )


def _rules(configuration: dict[str, Any]) -> dict[str, str]:
    found = ((configuration.get("Filter") or {}).get("Key") or {}).get("FilterRules") or []
    return {rule.get("Name", "").lower(): _comparable(rule.get("Value", "")) for rule in found}


def _events_meet(one: list[str], other: list[str]) -> bool:
    def holds(pattern: str, event: str) -> bool:
        return pattern == event or (pattern.endswith("*") and event.startswith(pattern[:-1]))

    return any(holds(a, b) or holds(b, a) for a in one for b in other)


def _filters_meet(one: dict[str, str], other: dict[str, str]) -> bool:
    first, second = one.get("prefix", ""), other.get("prefix", "")
    prefixes = first.startswith(second) or second.startswith(first)
    first, second = one.get("suffix", ""), other.get("suffix", "")
    return prefixes and (first.endswith(second) or second.endswith(first))


def _comparable(text: str) -> str:
    return _ESCAPE.sub(_one_way, text)


def _one_way(escape: re.Match[str]) -> str:
    character = unquote_to_bytes(escape[0]).decode("latin-1")
    return character if character in _SAFE else escape[0].upper()
