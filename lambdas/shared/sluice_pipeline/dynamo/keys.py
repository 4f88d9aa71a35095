r"""Keys made of several parts: distinct parts make distinct keys.

``#`` stands between the parts, ``\`` before a character of a part that would otherwise mean something else. An empty
part is ``(empty)``, for DynamoDB takes no empty key; a part of more than 512 bytes is cut and made unique by its hash,
and so is a key of more than 1,024 bytes in all. A part without any of that is written as it is, so times still sort.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from sluice_pipeline.dynamo.values import text_of

SEPARATOR: Final = "#"
_ESCAPE: Final = "\\"
_EMPTY: Final = "(empty)"
SORT_KEY_BYTES: Final = 1024  # a partition key holds 2048
_PART_BYTES: Final = 512
_HEAD: Final = 100  # characters of a part that was cut
# What an empty or a cut part looks like, and what such a text looks like once it is escaped.
_LOOKS_EMPTY: Final = re.compile(r"\\*\(empty\)")
_LOOKS_CUT: Final = re.compile(rf"(?s).{{{_HEAD}}}\\*~[0-9a-f]{{64}}")


def join_key(*parts: Any) -> str:
    """The key of these parts, at most SORT_KEY_BYTES; times are written in UTC, see values.text_of."""
    return fitting(SEPARATOR.join(map(key_part, parts)))


def fitting(key: str) -> str:
    """A key that DynamoDB takes: one that is too long is its beginning and the hash of the whole.

    In between is what no other key has, a backslash before a plus: in a part, a backslash stands before another one.
    """
    if len(key.encode()) <= SORT_KEY_BYTES:
        return key
    head = key[:_HEAD]
    if (len(head) - len(head.rstrip(_ESCAPE))) % 2:  # half of an escaped character
        head = head[:-1]
    return f"{head}{_ESCAPE}+{hashlib.sha256(key.encode()).hexdigest()}"


def split_key(key: str) -> tuple[str, ...]:
    """The parts of a key that join_key has made, as text; of a part that was cut, what is left of it.

    A key that was too long as a whole is one part or several, and no longer says which.
    """
    if not key:
        return ()
    parts, begin, escaped = [], 0, False
    for position, character in enumerate(key):
        if escaped:
            escaped = False
        elif character == _ESCAPE:
            escaped = True
        elif character == SEPARATOR:
            parts.append(key[begin:position])
            begin = position + 1
    parts.append(key[begin:])
    return tuple("" if part == _EMPTY else re.sub(r"(?s)\\(.)", r"\1", part) for part in parts)


def key_part(value: Any) -> str:
    """A value as one part of a key of several."""
    return _part(text_of(value), _escaped)


def index_key(name: str, value: Any) -> str:
    """The partition of an index: a name without separators, such as a dataset's, and one value.

    The value is the last part, so its separators need no escape, and items that are stored already are found.
    """
    return f"{name}{SEPARATOR}{_part(text_of(value), str)}"


def is_plain(value: Any) -> bool:
    """Whether the value is its own part of a key: nothing in it is escaped, cut or empty."""
    return key_part(value) == text_of(value)


def former_key(*parts: Any) -> str:
    """What join_key was before it escaped: other parts may have made the same key, and no length was too much."""
    return SEPARATOR.join(_former_part(text_of(part)) for part in parts)


def _part(text: str, escape: Callable[[str], str]) -> str:
    if not text:
        return _EMPTY
    for reserved, length in ((_LOOKS_EMPTY, len(_EMPTY)), (_LOOKS_CUT, 65)):
        if reserved.fullmatch(text):
            part = f"{escape(text[:-length])}{_ESCAPE}{text[-length:]}"
            break
    else:
        part = escape(text)
    return part if len(part.encode()) <= _PART_BYTES else _cut(text, escape)


def _escaped(text: str) -> str:
    return text.replace(_ESCAPE, 2 * _ESCAPE).replace(SEPARATOR, _ESCAPE + SEPARATOR)


def _cut(text: str, escape: Callable[[str], str]) -> str:
    return f"{escape(text[:_HEAD])}~{hashlib.sha256(text.encode()).hexdigest()}"


def _former_part(text: str) -> str:
    return (text or _EMPTY) if len(text.encode()) <= _PART_BYTES else _cut(text, str)
