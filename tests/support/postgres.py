"""A PostgreSQL server of a test's own: the engine's, without the engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.engine import ports, servers
from sluice.engine.embedded import postgres
from sluice.engine.instance import Instance
from tests.support.engine_harness import eventually


@contextmanager
def own_server() -> Iterator[str]:
    """The administrator's DSN without a database; the server ends with the context."""
    instance = Instance(Path(tempfile.mkdtemp(prefix="sluice-pg-")))
    instance.logs_dir.mkdir(parents=True)
    password, port = postgres.ensure_password(instance), ports.any_free()
    postgres.ensure_data(instance)
    server = postgres.start(instance, port, dict(os.environ))
    try:
        eventually(lambda: servers.postgres_version(port, password) is not None, 60, "PostgreSQL")
        yield f"host=127.0.0.1 port={port} user=postgres password={password}"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(instance.home, ignore_errors=True)
