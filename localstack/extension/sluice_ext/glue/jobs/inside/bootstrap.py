"""First code of a run's process, in the interpreter of the job. Standard library only.

Runs the script as ``__main__`` with the run's arguments, and writes to a file how it ended:
{"ok": true} or {"type", "message", "line"}. The process ends with the engine, also when that is killed.

Arguments: engine pid, file for the outcome, script, the script's arguments.
"""

import json
import os
import sys
import traceback
from typing import Any

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9


def _describe(error: BaseException, script: str) -> dict[str, Any]:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == script]
    if isinstance(error, SyntaxError) and error.filename == script:
        lines.append(error.lineno)
    message = str(error.code) if isinstance(error, SystemExit) else str(error)
    return {"type": type(error).__name__, "message": message[:4000], "line": lines[-1] if lines else None}


def _run(script: str) -> dict[str, Any]:
    import types

    module = types.ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    try:
        with open(script, "rb") as file:  # noqa: PTH123 - pathlib would cost start-up time
            code = compile(file.read(), script, "exec")
        exec(code, module.__dict__)
    except SystemExit as error:
        if error.code not in (None, 0):
            if not isinstance(error.code, int):
                print(error.code, file=sys.stderr)
            return _describe(error, script)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the run has failed of it
        shown = error.with_traceback(error.__traceback__.tb_next if error.__traceback__ else None)
        traceback.print_exception(shown)
        return _describe(error, script)
    return {"ok": True}


def main() -> None:
    """Run the script and say how it ended."""
    engine, outcome, script, *arguments = sys.argv[1:]
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass
    if os.getppid() != int(engine):
        os._exit(1)
    # The interpreter put this script's folder first; a script finds the modules beside it.
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120
    sys.argv = [script, *arguments]
    found = _run(script)
    with open(outcome + ".part", "w") as file:  # noqa: PTH123
        json.dump(found, file)
    os.replace(outcome + ".part", outcome)  # noqa: PTH105
    sys.stdout.flush()
    sys.stderr.flush()
    if "ok" not in found:
        sys.exit(1)


if __name__ == "__main__":
    main()
