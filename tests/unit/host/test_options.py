"""Every option of every verb has an effect: none is parsed and then ignored; a name that names nothing is an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from sluice import cli
from sluice.console import SluiceError
from sluice.engine import starting
from sluice.pipeline import replay as replaying
from sluice.pipeline.seed import flights
from sluice_pipeline.ledger.listing import LedgerList
from tests.support.fakes import FakeStack

cli.register_verbs()

SHARED = {"target", "env", "json", "wide"}  # each has tests of its own
ONLY_WITH: dict[tuple[str, str], list[list[str]]] = {
    ("status", "interval"): [["--interval", "3"]],
    ("logs", "follow"): [["--follow", "--json"]],
    ("put", "deadline"): [["a", "b", "--deadline", "3"]],
    ("check", "limit"): [["--all", "--limit", "3"]],
    ("check", "dataset"): [["shipments", "--all"]],
    ("check", "files"): [["shipments", "README.md", "--all"]],
    ("seed", "months"): [["shipping", "--months", "1"]],
    ("seed", "seed_"): [["flights", "--seed", "1"]],
    ("runs", "dataset"): [["abcd", "--dataset", "shipments"]],
    ("runs", "state"): [["abcd", "--state", "failed"]],
    ("runs", "since"): [["abcd", "--since", "1d"]],
    ("runs", "limit"): [["abcd", "--limit", "3"]],
    ("replay", "wait"): [["--show", "x", "--no-wait"], ["--dataset", "x", "--dry-run", "--no-wait"]],
    ("replay", "dry_run"): [["--show", "x", "--dry-run"]],
    ("replay", "id_"): [["--show", "x", "--id", "y"]],
    ("bench", "objects"): [["setup", "--objects", "3"], ["bulk", "--objects", "3"]],
    ("bench", "bulk_mb"): [["hop", "--bulk-mb", "3"]],
    ("bench", "peer"): [["--peer", "--docker"], ["--history", "--peer"], ["soak", "--no-peer"]],
    ("bench", "docker"): [["--history", "--docker"], ["soak", "--docker"]],
    ("bench", "objects_per_day"): [
        ["hop", "--objects-per-day", "3"],
        ["--history", "--objects-per-day", "3"],
        ["scale", "--measured", "--objects-per-day", "3"],
    ],
    ("bench", "bytes_per_day"): [["hop", "--bytes-per-day", "3"], ["scale", "--bytes-per-day", "3", "--docker"]],
    ("bench", "warehouse_part"): [["hop", "--warehouse-part", "0.1"], ["--history", "--warehouse-part", "0.1"]],
    ("bench", "measured"): [["hop", "--measured"], ["--history", "--measured"], ["scale", "--measured", "--docker"]],
    ("bench", "messages"): [["scale", "--messages", "300"], ["--history", "--messages", "300"]],
    ("bench", "verify_mb"): [["scale", "--verify-mb", "3"], ["--history", "--verify-mb", "3"]],
    ("bench", "hours"): [["hop", "--hours", "1"], ["--history", "--hours", "1"]],
    ("feedback", "limit"): [["--anomalies", "--limit", "3"]],
    ("feedback", "cursor"): [["--anomalies", "--cursor", "x"]],
    ("feedback", "customer"): [["--anomalies", "--customer", "x"]],
    ("feedback", "date"): [["--anomalies", "--date", "2026-03-01"]],
    ("status", "watch"): [["--watch", "--json"]],
    ("compact", "no_wait"): [["--show", "x", "--no-wait"]],
    ("compact", "dataset"): [["shipments", "--show", "x"]],
    ("compact", "day"): [["--day", "2026-03-01", "--show", "x"]],
    ("quality docs", "limit"): [["docs", "x", "--limit", "3"]],
    ("quality docs", "run"): [["docs", "--run", "3"]],
    ("plan", "adopt"): [["--adopt"]],
    ("taxi status", "limit"): [["status", "2024-09-1", "--limit", "3"]],
}
"""Options that have an effect with others only: the calls that would ignore them, which are wrong use."""
ALWAYS = {
    "up": {"port", "postgres_port", "faults"},
    "down": {"quiet", "discard"},
    "snapshot save": {"name"},
    "snapshot load": {"name", "discard"},
    "snapshot show": {"name"},
    "snapshot rm": {"name"},
    "snapshot export": {"name", "file"},
    "snapshot import": {"name", "file"},
    "logs": {"what", "lines"},
    "build": {"force"},
    "plan": {"var_file", "var", "check", "out", "gradual"},
    "deploy": {"var_file", "var", "function", "plan", "confirm", "untested"},
    "destroy": {"var_file", "var", "yes", "confirm"},
    "bootstrap": {"repository", "var_file", "var"},
    "preflight": {"var_file", "var"},
    "drift": {"var_file", "var"},
    "unlock": {"lock", "var_file", "var"},
    "promote": {"source", "to", "untested"},
    "shift": {"function", "steps", "minutes", "unwatched"},
    "rollback": {"function"},
    "smoke": {"dataset", "minutes", "keep"},
    "put": {"files", "dataset", "force", "wait"},
    "check": {"all_"},
    "demo": {"skip_deploy", "months", "rows"},
    "ls": {"which", "limit"},
    "seed": {"feed", "prefix", "rows"},
    "verify": {"dataset", "prefix"},
    "runs": {"object_"},
    "schema": {"words"},
    "scaffold": {"dataset", "sample", "partition_by", "force"},
    "setup": {"spark"},
    "requeue": {"name"},
    "replay": {"dataset", "prefix", "since", "until", "run", "show"},
    "bench": {"part", "history"},
    "capacity": {
        "objects_per_day",
        "bytes_per_day",
        "branches",
        "warehouse_part",
        "storage_days",
        "var_file",
        "compare",
    },
    "clean": {"force"},
    "psql": {"command", "arguments"},
    "completion": {"shell"},
    "feedback": {"anomalies", "dataset"},
    "dlq ls": {"queue", "limit"},
    "dlq show": {"which", "queue"},
    "dlq redrive": {"which", "all_", "queue", "rate"},
    "dlq purge": {"which", "all_", "queue", "yes"},
    "quarantine ls": {"dataset", "reason", "object_", "limit"},
    "quarantine show": {"which", "dataset", "reason", "object_", "limit"},
    "quarantine retry": {"dataset", "reason", "object_", "all_", "deadline"},
    "checkins ls": {"user", "since", "until", "dataset", "limit", "cursor"},
    "checkins submit": {"day", "id_", "hard"},
    "checkins runs": {"day"},
    "compact": {"show"},
    "quality ls": {"dataset", "failed", "limit"},
    "quality history": {"dataset", "limit"},
    "quality show": {"object_", "run"},
    "quality docs": {"object_", "out", "open_"},
    "quality run": {"object_", "engine"},
    "quality release": {"object_", "reason"},
    "checkins log": {"name", "failed"},
    "api call": {"operation", "parameter", "key"},
    "api query": {"sql", "limit", "key"},
    "api job start": {"operation", "parameter", "idempotency_key", "wait", "key"},
    "api job show": {"job", "wait", "key"},
    "api job ls": {"limit", "cursor", "key"},
    "taxi run": {"month", "source_url", "no_wait"},
    "taxi backfill": {"since", "until", "source_url", "no_wait"},
    "taxi redrive": {"batch", "no_wait"},
    "taxi status": {"attempt"},
    "taxi logs": {"batch"},
    "taxi verify": {"month"},
    "taxi show": {"limit"},
    "taxi generate": {"month", "folder", "rows", "seed"},
    "taxi demo": {"month", "rows"},
    "api job download": {"job", "output", "key"},
}
"""Options that each call of the verb obeys."""
OTHERS = {"query", "api query", "quarantine ls", "quarantine show"}
"""Verbs whose options have tests of their own beside these."""


def parameters() -> Iterator[tuple[str, str]]:
    """Every verb with each of its parameters."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*path, name))
        if not hasattr(command, "commands"):
            yield from ((" ".join(path), str(one.name)) for one in command.params if one.name not in SHARED)

    yield from walk(typer.main.get_command(cli.app), ())


def test_every_option_is_obeyed_always_or_refused_where_it_would_be_ignored() -> None:
    found = {(verb, name) for verb, name in parameters() if verb not in OTHERS}
    listed = {(verb, name) for verb, names in ALWAYS.items() for name in names} | set(ONLY_WITH)
    assert found - listed == set(), "say in ONLY_WITH or ALWAYS when the option has an effect"
    assert {one for one in listed if one[0] not in OTHERS} - found == set()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [(verb, call) for (verb, _), calls in ONLY_WITH.items() for call in calls],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_an_option_that_would_be_ignored_is_wrong_use(
    verb: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*verb.split()[:1], *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("call", [["verify"], ["status"], ["outputs"], ["dlq", "ls"], ["runs"], ["ls"]])
def test_an_environment_is_one_of_an_account(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*call, "--env", "prod"]) == 2
    assert "add --target aws" in capsys.readouterr().err


def test_a_port_that_the_running_engine_has_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Info:
        kind, faults, port, postgres_port, started_at, endpoint_url = "k", True, 4566, 5432, "now", "http://x"

    class Running:
        kind, accepts_foreign = "k", False

        def describe(self, _: Any) -> str:
            return "pid 1"

    class Home:
        def lock(self) -> Any:
            from contextlib import nullcontext

            return nullcontext()

        def claim(self) -> None:
            pass

        def info(self) -> Any:
            return Info()

    monkeypatch.setattr(starting.servers, "both_answer", lambda *_, **__: True)
    given: dict[str, Any] = {"faults": False, "report": lambda _: None}
    assert starting.up(Running(), Home(), port=4566, postgres_port=None, **given)  # type: ignore[arg-type]
    for ports in ({"port": 5000, "postgres_port": None}, {"port": None, "postgres_port": 5000}):
        with pytest.raises(SluiceError, match="port 5000: the engine runs already"):
            starting.up(Running(), Home(), **ports, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "months", "expected"),
    [
        (None, [1], [("2013-01.jsonl", 27_004)]),
        (100, [1, 2], [("2013-01-first-100.jsonl", 100)]),
        (27_004, [1, 2], [("2013-01.jsonl", 27_004)]),
        (27_005, [1, 2, 3], [("2013-01.jsonl", 27_004), ("2013-02-first-1.jsonl", 1)]),
        (0, [1], []),
        (10**9, [1], [("2013-01.jsonl", 27_004)]),
    ],
)
def test_seed_takes_as_many_flights_as_it_is_asked_for(
    rows: int | None, months: list[int], expected: list[tuple[str, int]]
) -> None:
    found = list(flights(months, "", rows))
    assert [(one.key.rsplit("/", 1)[1], one.rows) for one in found] == expected
    assert [one.body().count(b"\n") for one in found] == [count for _, count in expected]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    stack = FakeStack()
    monkeypatch.setattr("sluice.pipeline.stack.choose", lambda _target, _env: stack)
    monkeypatch.setattr("sluice.pipeline.stack.Stack.load", lambda *_, **__: stack)
    stack.ingested("bronze/shipments/a.jsonl", 3, 1)
    stack.deploy_datasets()
    items = [item for item in stack.dynamodb.items if item["sk"] == "object"]
    monkeypatch.setattr(LedgerList, "received", lambda *_: iter(items))
    return stack


@pytest.mark.parametrize(
    ("call", "near"),
    [
        ("verify --dataset shipmnts", "shipments"),
        ("verify --prefix bronze/shipmnts/", "bronze/shipments/"),
        ("runs --dataset shipmnts", "shipments"),
        ("runs a.jsnl", "a.jsonl"),
        ("replay --dataset shipmnts --dry-run", "shipments"),
        ("replay --prefix bronze/shipmnts/ --dry-run", "bronze/shipments/"),
        ("ls shipmnts", "shipments"),
        ("dlq ls --queue chunk", "chunks"),
        ("dlq redrive --all --queue chunk", "chunks"),
        ("dlq purge --all --queue chunk", "chunks"),
        ("logs ingst", "ingest"),
        ("seed flight", "flights"),
        ("feedback --dataset feedbak", "feedback"),
        ("bench hopp", "hop"),
        ("plan --env prd", "prod"),
        ("check shipmnts README.md", "shipments"),
        ("put README.md shipmnts", "shipments"),
    ],
)
def test_a_name_that_names_nothing_is_code_2_and_the_nearest_is_named(
    stack: FakeStack, call: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(call.split()) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"did you mean {near!r}?" in said.err
    assert "accounted for" not in said.err


def test_a_replay_of_nothing_in_a_time_that_names_are_right_for_is_no_wrong_use(stack: FakeStack) -> None:
    wanted = replaying.request(dataset="shipments", since="2030-01-01")
    assert replaying.plan(stack, wanted).groups == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "ends"),
    [(["verfy"], "? See `sluice --help`."), (["runs", "--nosuchoption"], ". See `sluice --help`.")],
)
def test_a_question_has_no_stop(call: list[str], ends: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(call) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith(ends)
    assert "?." not in said
    assert ".." not in said
