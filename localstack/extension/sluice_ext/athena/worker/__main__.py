"""`python -m sluice_ext.athena.worker <scratch folder>`: answers statements from standard input."""

import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import asdict
from pathlib import Path

import duckdb

from sluice_ext.athena.worker import queries, statements
from sluice_ext.athena.worker.channel import Pipe
from sluice_ext.athena.worker.errors import QueryFailed
from sluice_ext.athena.worker.queries import Session, failure


class Place:
    """A folder and a database of one query."""

    def __init__(self, scratch: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=scratch))
        self.connection = queries.connect(self.folder)

    def leave(self) -> None:
        self.connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    """Until the engine closes the pipe. A query's place is made before it comes, and left after it is answered."""
    pipe, scratch = Pipe(), Path(sys.argv[1])
    place = Place(scratch)
    pipe.send(ready=True)
    while True:
        message = pipe.receive()
        if "kind" in message:
            _answer(pipe, lambda m=message: {"kind": statements.kind_of(m["kind"])})
            continue
        _answer(pipe, lambda m=message, p=place: _run(pipe, m, p))
        place.leave()
        place = Place(scratch)


def _run(pipe: Pipe, message: dict[str, object], place: Place) -> dict[str, object]:
    began = time.monotonic()
    parameters = message["parameters"]
    assert isinstance(parameters, list)
    session = Session(pipe, place.connection, str(message["database"]).lower(), place.folder)
    found = statements.run(
        session, str(message["sql"]), parameters, Path(str(message["output"])), str(message["location"])
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
