"""Requests that start a workflow: strings under known names, one canonical form, one name for its execution."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final

_OBJECT_ID: Final = re.compile(r"[0-9a-f]{32}")


class InvalidRequest(ValueError):
    """The request is wrong, so no retry can help: says which field, and why. State machines match this name."""


@dataclass(frozen=True, slots=True)
class NamedRequest:
    """The base of a request: a frozen dataclass whose fields are strings. ``id`` tells apart equal requests."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def given(cls, raw: Mapping[str, Any]) -> dict[str, str]:
        """The fields of a request as they were given.

        Raises:
            InvalidRequest: a field is unknown, no string, or required and missing or empty.
        """
        known = {field.name for field in fields(cls)}
        for name, value in raw.items():
            if name not in known:
                raise InvalidRequest(f"{name} is unknown; known are {', '.join(sorted(known))}")
            if not isinstance(value, str):
                raise InvalidRequest(f"{name} is not a string")
        for name in cls.REQUIRED:
            if not raw.get(name):
                raise InvalidRequest(f"{name} is missing")
        return {name: str(value) for name, value in raw.items()}

    @property
    def canonical(self) -> str:
        """The same text for the same request: the input of its execution."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def object_id_of(text: str) -> str:
    """An object id as it was given; raises InvalidRequest."""
    if not _OBJECT_ID.fullmatch(text):
        raise InvalidRequest(f"object_id {text!r} is not 32 hexadecimal digits")
    return text


def digest(text: str, length: int) -> str:
    """The first hexadecimal digits of the text's hash: a part of an execution's name, which has 80 characters at most.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    return hashlib.sha256(text.encode()).hexdigest()[:length]
