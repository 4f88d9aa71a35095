"""Formats of dates: those of Joda, which format_datetime and parse_datetime take, as formats of strftime.

https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html
"""

import re
from typing import Final

from sluice_ext.athena.worker.errors import unsupported

_FIELDS: Final = {
    "yyyy": "%Y", "y": "%Y", "YYYY": "%Y", "yy": "%y", "xxxx": "%G", "MMMM": "%B", "MMM": "%b", "MM": "%m",
    "M": "%-m", "dd": "%d", "d": "%-d", "DDD": "%j", "D": "%-j", "EEEE": "%A", "EEE": "%a", "EE": "%a", "E": "%a",
    "e": "%u", "ww": "%V", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S",
    "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "a": "%p", "Z": "%z",
}  # fmt: skip
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'")


def strftime(pattern: str) -> str:
    """The pattern for strftime and strptime. Raises QueryFailed for a field that has no counterpart."""
    made = ""
    for found in _TOKEN.finditer(pattern):
        token = found[0]
        if found[2]:
            if token not in _FIELDS:
                raise unsupported(f"{token} in the format {pattern!r}")
            made += _FIELDS[token]
        elif found[1] is not None:
            made += (found[1].replace("''", "'") or "'").replace("%", "%%")
        else:
            made += token.replace("%", "%%")
    return made
