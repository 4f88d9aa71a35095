"""PostgreSQL's roles and databases as SQL: written by the programs of the server's version, and read by them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sluice.console import SluiceError, fail
from sluice.engine.instance import EngineInfo
from sluice.environment import without_libpq

SUPERUSER = "postgres"
# The superuser is the server's own, with the instance's password. Names of locales are the machine's.
_OWN_ROLE = re.compile(rf"(CREATE|ALTER) ROLE {SUPERUSER}\b".encode())
_LOCALE = re.compile(rb" (LOCALE_PROVIDER|LOCALE|LC_COLLATE) = .*;$")
_VERSION = re.compile(rb"-- Dumped from database version (\d+)")


@dataclass(frozen=True)
class Client:
    """How PostgreSQL's programs are run for a server. `folder`: theirs, with its slash, where they are not on the
    path; `prefix`: a command that runs them elsewhere; `server`: options that name the server."""

    prefix: Sequence[str]
    folder: str
    server: Sequence[str]
    environment: Mapping[str, str]

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.prefix, f"{self.folder}{program}", *self.server, f"--username={SUPERUSER}", *arguments]


def dump(client: Client, info: EngineInfo, target: Path) -> None:
    """Writes roles and all databases of a running server into a file. Raises SluiceError when it cannot."""
    with target.open("wb") as file:
        for line in _run(client, ["pg_dumpall", "--globals-only"]).splitlines(keepends=True):
            if not _OWN_ROLE.match(line):
                file.write(line)
        for name in _databases(info):
            file.write(b"\n\\connect postgres\n")
            _dump_database(client, name, file)


def restore(client: Client, source: Path) -> None:
    """Runs a dump on a server that has nothing yet. Raises SluiceError at its first error."""
    try:
        with source.open("rb") as file:
            _run(client, ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"], file)
    except SluiceError as error:
        here = _run(client, ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command=SHOW server_version"])
        of, mine = _version_of(source), here.decode().split(".")[0].strip()
        if of and of != mine:
            fail(f"{error} (PostgreSQL {of} dumped it, and this one is {mine})", 1)
        raise


def _version_of(source: Path) -> str:
    """The major version of the server that was dumped; empty when the file does not say it."""
    with source.open("rb") as file:
        found = next(filter(None, map(_VERSION.match, file)), None)
    return found[1].decode() if found else ""


def _databases(info: EngineInfo) -> list[str]:
    import psycopg

    with without_libpq(), psycopg.connect(info.postgres_dsn, connect_timeout=10) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname").fetchall()
    return [str(name) for (name,) in rows]


def _dump_database(client: Client, name: str, file: BinaryIO) -> None:
    create = [] if name == SUPERUSER else ["--create"]  # the database `postgres` is there already
    with subprocess.Popen(
        client.command("pg_dump", *create, f"--dbname={_quoted(name)}"),
        env=client.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if not create or line.startswith(b"\\connect"):
                file.write(line)
                break
            is_create = line.startswith(b"CREATE DATABASE ")
            file.write(_LOCALE.sub(b";", line.rstrip(b"\n")) + b"\n" if is_create else line)
        shutil.copyfileobj(process.stdout, file, 1 << 20)
        said = process.stderr.read()
    if process.returncode:
        fail(f"PostgreSQL's data cannot be saved: {_last_line(said)}", 1)


def _run(client: Client, words: Iterable[str], given: BinaryIO | None = None) -> bytes:
    done = subprocess.run(
        client.command(*words),
        env=client.environment,
        stdin=given or subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise SluiceError(f"PostgreSQL's data cannot be {'restored' if given else 'saved'}: {_last_line(done.stderr)}")
    return done.stdout


def _quoted(name: str) -> str:
    """A database's name as a connection string, so that one with `=` in it is a name all the same."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def _last_line(text: bytes) -> str:
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "ERROR" in line or "error:" in line), lines[-1] if lines else "no output")
