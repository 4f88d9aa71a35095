"""`python -m sluice_ext.athena.worker <scratch folder>`: answers statements from standard input."""

import shutil
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

import duckdb

from sluice_ext.athena.worker import statements
from sluice_ext.athena.worker.channel import Pipe
from sluice_ext.athena.worker.errors import QueryFailed
from sluice_ext.athena.worker.queries import failure


def main() -> None:
    """Until the engine closes the pipe."""
    pipe, scratch = Pipe(), Path(sys.argv[1])
    pipe.send(ready=True)
    while True:
        message = pipe.receive()
        if "kind" in message:
            _answer(pipe, lambda m=message: {"kind": statements.kind_of(m["kind"])})
            continue
        folder = scratch / message["id"]
        folder.mkdir()
        try:
            _answer(pipe, lambda m=message, f=folder: _run(pipe, m, f))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _run(pipe: Pipe, message: dict[str, object], folder: Path) -> dict[str, object]:
    began = time.monotonic()
    parameters = message["parameters"]
    assert isinstance(parameters, list)
    found = statements.run(
        pipe,
        str(message["sql"]),
        parameters,
        str(message["database"]),
        folder,
        Path(str(message["output"])),
        str(message["location"]),
    )
    return asdict(found) | {"seconds": time.monotonic() - began}


def _answer(pipe: Pipe, work) -> None:  # type: ignore[no-untyped-def]
    try:
        pipe.send(done=work())
    except QueryFailed as error:
        pipe.send(failed=str(error), category=error.category)
    except duckdb.Error as error:
        known = failure(error)
        pipe.send(failed=str(known), category=known.category)
    except Exception as error:  # noqa: BLE001 - the query ends with what happened, and the next one begins
        traceback.print_exc()
        pipe.send(failed=f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {error}", category=1)


if __name__ == "__main__":
    main()
