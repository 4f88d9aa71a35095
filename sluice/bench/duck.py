"""DuckDB beside the bulk measurement: the same files to Parquet by date, on this machine's disk, by one command.

It checks no row, writes no ledger, and has no queue or S3 between. So it is what the machine can do, not a rival.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sluice.console import fail

COPY = """
COPY (SELECT *, strftime(event_time::TIMESTAMP, '%Y-%m-%d') AS dt FROM read_json({files}, format='newline_delimited'))
TO {folder} (FORMAT parquet, PARTITION_BY (dt), COMPRESSION zstd)
"""


def installed() -> bool:
    """Whether DuckDB can be asked."""
    import importlib.util

    return importlib.util.find_spec("duckdb") is not None


def measure(files: Sequence[Path], rows: int) -> float:
    """Seconds from the call to the last file written, after a warm-up on the first file.

    Raises SluiceError when other rows come out than went in.
    """
    import duckdb

    target = Path(tempfile.mkdtemp(prefix="sluice-bench-duckdb-"))
    try:
        with duckdb.connect() as connection:
            for number, some in enumerate((files[:1], files)):
                folder = target / str(number)
                command = COPY.format(files=_list(some), folder=_text(str(folder)))
                began = time.monotonic()
                connection.execute(command)
                seconds = time.monotonic() - began
            parquet = _text(f"{folder}/*/*.parquet")
            found = connection.execute(f"SELECT count(*) FROM read_parquet({parquet})").fetchone()
    finally:
        shutil.rmtree(target, ignore_errors=True)
    if found != (rows,):
        fail(f"DuckDB wrote {found and found[0]} of {rows} rows", 1)
    return seconds


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _list(files: Sequence[Path]) -> str:
    return "[" + ", ".join(_text(str(file)) for file in files) + "]"
