"""What a request that does not fit its model is answered: the place and the reason, each once and whole."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from api.models import MODELS

_MAX_NAME: Final = 64  # of an operation that is compared with those that there are
_SHOWN: Final = 10  # errors
_MAX_LINE: Final = 1_000  # characters of an error, in which a parameter's name is the caller's
_WHERE_IT_IS_WRITTEN: Final = "GET /openapi.json"
OPERATIONS: Final = tuple(str(get_args(model.model_fields["operation"].annotation)[0]) for model in MODELS)
"""The names of the operations, in the order of the document."""


def explain(errors: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Message and suggestions for pydantic's errors. The caller's values are not sent back."""
    for error in errors:
        if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
            return _no_operation(str((error.get("ctx") or {}).get("tag", "")))
    found = list(dict.fromkeys(_line(error) for error in errors))[:_SHOWN]
    return found[0], [*found[1:], _WHERE_IT_IS_WRITTEN]


def _no_operation(given: str) -> tuple[str, list[str]]:
    """No operation is named, or one that there is not; ``given`` is compared only."""
    close = get_close_matches(given, OPERATIONS, n=1) if len(given) <= _MAX_NAME else []
    near = f", did you mean {close[0]}?" if close else ""
    message = f"there is no such operation{near}" if given else "the request names no operation"
    return message, [f"the operations are {', '.join(OPERATIONS)}", _WHERE_IT_IS_WRITTEN]


def _line(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    why = str(error.get("msg", error["type"]))
    line = f"{where}: {why}" if where else why
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…"
