"""The warehouse by hand: `sluice psql` and the DSN of `sluice env` reach it as its reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psycopg
import pytest

from sluice.engine.instance import Instance
from sluice.paths import ROOT
from sluice.pipeline.stack import Stack
from tests.support.warehouse import Warehouse

pytestmark = pytest.mark.engine


def sluice(instance: Instance, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "sluice.cli", *words],
        cwd=ROOT, env=environment | {"SLUICE_HOME": str(instance.home)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_psql_asks_as_the_reader(instance: Instance, stack: Stack) -> None:
    del stack  # deployed
    said = sluice(instance, "psql", "-c", "SELECT current_user AS me, current_database() AS base, 1 AS n", "--json")
    assert json.loads(said) == [{"me": "sluice_reader", "base": "warehouse", "n": 1}]


def test_env_has_the_readers_dsn_which_cannot_write(instance: Instance, stack: Stack, warehouse: Warehouse) -> None:
    del stack
    variables = json.loads(sluice(instance, "env", "--json"))
    dsn = variables["SLUICE_WAREHOUSE_DSN"]
    assert warehouse.login("reader").password in dsn
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == (
            "sluice_reader",
            "warehouse",
        )
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE silver.mine (x int)")
    for words in (["outputs", "--json"], ["status"], ["outputs"]):
        assert warehouse.login("reader").password not in sluice(instance, *words)
