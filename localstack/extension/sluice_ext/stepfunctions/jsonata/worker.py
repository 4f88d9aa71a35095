"""`python -m sluice_ext.stepfunctions.jsonata.worker`: evaluates expressions, one message a line, in its own process.

The bounds are those of AWS: 100 levels, 6,990,256 bytes in one value (8 for a number, 1 for a character), 5 seconds.
A process of its own, because a regular expression or a function of the library can run for longer than any check
inside sees, and because nothing that an expression takes is missing in the engine.
https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
"""

import json
import resource
import sys
import time
from typing import Any, Final

from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

from sluice_ext.stepfunctions.jsonata import functions

MAX_DEPTH: Final = 100
MAX_BYTES: Final = 6_990_256
MAX_SECONDS: Final = 5.0
_MAX_PROCESS_BYTES: Final = 1 << 30
_TOO_LARGE: Final = "Expression evaluation memory limit exceeded"


class Bounds:
    """Counts the levels, the time and the size of what an evaluation makes, by the library's two callbacks."""

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self._depth, self._until, self._seconds = 0, time.monotonic() + seconds, seconds

    def enter(self, *_what: Any) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refused(
                "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as "
                f"tail-recursive. Depth={self._depth} max={MAX_DEPTH}"
            )
        if time.monotonic() > self._until:
            raise Refused(f"Expression evaluation timeout: {self._seconds:g} seconds. Check for infinite loop")

    def leave(self, _expression: Any, _input: Any, _environment: Any, result: Any) -> None:
        self._depth -= 1
        if isinstance(result, str):
            size = len(result)
        elif isinstance(result, list) and not isinstance(result, Utils.RangeList):
            size = 8 * len(result)
        else:
            return
        if size > MAX_BYTES:
            raise functions.TooLarge


class Refused(Exception):
    """An expression is over a bound."""


def evaluate(expression: str, bindings: dict[str, Any], seconds: float = MAX_SECONDS) -> dict[str, Any]:
    """What an expression gives: {value}, {undefined}, {unsupported} (a function), or {failed: the reason}.

    bindings: the variables, without ``$``.
    """
    try:
        made = Jsonata(expression)
        made.set_output_convert_nulls(False)
        functions.add_to(made)
        bounds = Bounds(seconds)
        made.environment.set_evaluate_entry_callback(bounds.enter)
        made.environment.set_evaluate_exit_callback(bounds.leave)
        known = {name: Utils.NULL_VALUE if value is None else value for name, value in bindings.items()}
        found = made.evaluate(None, known)
        if found is None:
            return {"undefined": True}
        return {"value": _plain(Utils.convert_nulls(found))}
    except TypeError as error:
        # What is left of a function cannot be compared, joined or written.
        return {"unsupported": True} if "JSON" in str(error) else {"failed": str(error)}
    except JException as error:
        return {"failed": f"{error.error}: {error}" if error.error else str(error)}
    except (functions.TooLarge, MemoryError):
        return {"failed": _TOO_LARGE}
    except RecursionError:
        return {"failed": "Stack overflow error"}
    except Exception as error:  # noqa: BLE001 - the state fails with what happened, and the next expression is evaluated
        return {"failed": str(error) or type(error).__name__}


def _plain(value: Any) -> Any:
    """The value as JSON has it. Raises TypeError for a function or regular expression, ValueError for no number."""
    text = json.dumps(value, allow_nan=False)
    if len(text) > 2 * MAX_BYTES:
        raise functions.TooLarge
    return json.loads(text)


def main() -> None:
    """Until the engine closes the pipe."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_PROCESS_BYTES, _MAX_PROCESS_BYTES))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        print(json.dumps(evaluate(message["expression"], message["bindings"])), flush=True)


if __name__ == "__main__":
    main()
