"""What `sluice down` saves and `sluice up` restores, and snapshots: never a half."""

from __future__ import annotations

import concurrent.futures
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from sluice import engine
from sluice.console import SluiceError
from sluice.engine import snapshots
from sluice.engine.embedded import dumps
from sluice.engine.states import client
from sluice.paths import ROOT
from sluice.polling import wait_until
from sluice.processes import leftovers
from tests.support.core_stack import CoreStack, counts, new_file, replaced
from tests.support.kept import BUCKET, LAST, Kept, everywhere
from tests.support.sweep import FULL, TODAY

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("embedded_only")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One home for all tests, so that PostgreSQL's data is made once; its path has a space, as users' paths may."""
    found = Kept(tmp_path_factory.mktemp("kept state"))
    yield found
    found.remove()


@pytest.fixture
def kept(home: Kept) -> Iterator[Kept]:
    """Nothing runs and nothing is saved, before and after."""
    engine.down(home.instance, empty=True, report=lambda _: None)
    yield home
    engine.down(home.instance, empty=True, report=lambda _: None)
    for name in home.states.names():
        home.states.remove(name)


def processes(kept: Kept) -> list[object]:
    return list(leftovers(str(kept.instance.home), str(kept.instance.localstack_dir)))


def test_up_restores_what_down_saved_on_the_same_ports(kept: Kept) -> None:
    first = kept.up()
    kept.set(1)
    assert kept.down() is True
    assert processes(kept) == []
    assert not kept.instance.terraform_state.exists()
    second = kept.up()
    assert (second.port, second.postgres_port) == (first.port, first.postgres_port)
    assert (second.restored_from, second.moved) == (kept.states.get(LAST).saved_at, False)
    assert kept.seen() == everywhere(1)
    assert not any("PostgreSQL's data goes back" in line for line in kept.said)


@pytest.mark.thorough(
    "tests/e2e/engines/test_kept_state.py::test_up_restores_what_down_saved_on_the_same_ports",
    "tests/e2e/engines/test_kept_state.py::test_a_full_disk_leaves_the_engine_running_and_the_last_state",
    why="a second state replaces the first there, too",
)
def test_a_second_down_replaces_the_state(kept: Kept) -> None:
    kept.up()
    for number in (1, 2):
        kept.set(number)
        kept.down()
        kept.up()
    assert kept.seen() == everywhere(2)
    assert kept.states.names() == [LAST]


@pytest.mark.parametrize(
    "both",
    [
        True,
        pytest.param(
            False,
            marks=pytest.mark.thorough(
                "tests/e2e/engines/test_kept_state.py::test_after_a_crash_everything_goes_back_to_the_last_state",
                "tests/e2e/engines/test_kept_state.py::test_the_engine_killed_while_it_saves_leaves_the_last_state",
                why="the engine alone is killed there, while it saves",
            ),
        ),
    ],
)
def test_after_a_crash_everything_goes_back_to_the_last_state(kept: Kept, both: bool) -> None:
    kept.up()
    kept.set(1)
    kept.down()
    kept.up()
    kept.set(2)
    kept.kill(postgres=both)
    kept.up()
    assert kept.seen() == everywhere(1)
    saved_at = kept.states.get(LAST).saved_at
    assert "engine  ended without `sluice down`: what came after the saved state is lost" in kept.said
    assert f"engine  restored the state of {saved_at}" in kept.said


def test_an_engine_that_ended_by_itself_leaves_the_last_state(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    kept.down()
    kept.up()
    kept.kill()
    kept.down()
    saved_at = kept.states.get(LAST).saved_at
    assert f"engine  ended by itself, so nothing can be saved; the last state is of {saved_at}" in kept.said
    kept.up()
    assert kept.seen() == everywhere(1)


def test_discard_and_persistence_0_begin_empty(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    kept.down(keep=False, empty=True)
    kept.up()
    assert kept.seen() == everywhere(None)
    kept.set(2)
    kept.down()
    kept.up(empty=True)
    assert kept.seen() == everywhere(None)
    assert kept.states.names() == []


def test_other_ports_are_seen_and_queue_urls_of_terraform_follow(kept: Kept) -> None:
    first = kept.up()
    kept.set(1)
    state = {"outputs": {"url": {"value": f"{first.endpoint_url}/000000000000/kept"}, "no": f"127.0.0.1:{first.port}1"}}
    kept.instance.terraform_state.write_text(json.dumps(state))
    kept.down()
    other = Kept(kept.instance.home)
    second = other.up(port=_free(), postgres_port=_free())
    assert second.moved
    moved = json.loads(kept.instance.terraform_state.read_text())["outputs"]
    assert moved == {
        "url": {"value": f"{second.endpoint_url}/000000000000/kept"},
        "no": f"127.0.0.1:{first.port}1",
    }
    assert kept.client("sqs").list_queues()["QueueUrls"] == [f"{second.endpoint_url}/000000000000/kept"]
    with psycopg.connect(second.postgres_dsn) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def _free() -> int:
    from sluice.engine import ports

    return ports.any_free()


def test_a_port_taken_at_the_last_moment_does_not_part_postgres_from_the_state(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sluice.engine import ports

    kept.up()
    kept.set(1)
    kept.save("one")
    kept.set(2)
    kept.down()
    kept.states.copy("one", LAST)  # PostgreSQL's folder is of another moment
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        free, choose = iter([taken]), ports.choose  # as if it had been free when we looked
        monkeypatch.setattr(ports, "choose", lambda preferred: next(free, None) or choose(preferred))
        assert kept.up().port != taken
    assert kept.seen() == everywhere(1)


def _cut(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-7])


def _alter(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)


def _rewrite(kept: Kept, **versions: object) -> None:
    """A manifest with other versions and a right sum."""
    import hashlib

    values = kept.states.get(LAST).values
    values["versions"] |= versions
    checksum = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    kept.states.write(LAST, json.dumps(values | {"checksum": checksum}).encode())


DAMAGES: list[tuple[Callable[[Kept], None], str]] = [
    (lambda kept: _cut(kept.states.path(LAST) / "manifest.json"), "is cut or no manifest"),
    (lambda kept: _alter(kept.states.path(LAST) / "manifest.json"), "is (altered|cut)"),
    (lambda kept: _cut(_stores(kept)), r"the state in .* is damaged: stores \(\w{12}\) has \d+ bytes instead of"),
    (lambda kept: _alter(_stores(kept)), "stores .* is altered: its SHA-256 is another"),
    (lambda kept: _rewrite(kept, localstack="4.13.0"), "LocalStack is 4.14.0, the state's is 4.13.0"),
    (lambda kept: _rewrite(kept, extension="0.9"), "the extension is .*, the state's is 0.9"),
    (lambda kept: _rewrite(kept, schema=0), r"the form of saved states is \d+, the state's is 0"),
    (lambda kept: _rewrite(kept, architecture="s390x"), "the architecture is .*, the state's is s390x"),
]


def test_a_state_that_cannot_be_used_is_refused_and_nothing_is_lost(kept: Kept) -> None:
    """One state, damaged in each way and put back: the engine that starts at the end has all of it."""
    kept.up()
    kept.set(1)
    kept.down()
    good = _files(kept)
    for damage, words in DAMAGES:
        damage(kept)
        damaged = _files(kept)
        with pytest.raises(SluiceError, match=words) as raised:
            kept.up()
        assert "`PERSISTENCE=0 sluice up` begins empty" in str(raised.value)
        assert len(str(raised.value).splitlines()) == 1
        assert processes(kept) == []
        assert _files(kept) == damaged, words
        for path, content in good.items():
            path.write_bytes(content)
    kept.up()
    assert kept.seen() == everywhere(1)


def _files(kept: Kept) -> dict[Path, bytes]:
    """All that is saved."""
    return {path: path.read_bytes() for path in kept.states.folder.rglob("*") if path.is_file()}


def _stores(kept: Kept) -> Path:
    return next(kept.states.content(one) for one in kept.states.get(LAST).contents if one.what == "stores")


def test_a_damaged_copy_of_postgres_changes_nothing(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    kept.down()
    dumps.Data(kept.instance).unmark()
    manifest = kept.states.get(LAST)
    copy = kept.states.content(manifest.attached["postgres"])
    good = copy.read_bytes()
    _alter(copy)
    with pytest.raises(SluiceError, match=r"postgres \(\w{12}\) is altered"):
        kept.up()
    copy.write_bytes(good)
    kept.up()
    assert kept.seen() == everywhere(1)


def test_a_full_disk_leaves_the_engine_running_and_the_last_state(kept: Kept) -> None:
    info = kept.up()
    kept.set(1)
    kept.down()
    info = kept.up()
    kept.set(2)
    kept.client("s3").put_object(Bucket=BUCKET, Key="large", Body=bytes(4 << 20))
    before = (kept.states.path(LAST) / "manifest.json").read_bytes()
    assert isinstance(info.engine.pid, int)  # type: ignore[union-attr]
    limits = resource.prlimit(info.engine.pid, resource.RLIMIT_FSIZE)  # type: ignore[union-attr]
    resource.prlimit(info.engine.pid, resource.RLIMIT_FSIZE, (1 << 20, limits[1]))  # type: ignore[union-attr]
    with pytest.raises(SluiceError, match="the state was not saved, and the engine runs on: .*File too large"):
        kept.down()
    assert (kept.states.path(LAST) / "manifest.json").read_bytes() == before
    assert kept.seen() == everywhere(2)
    resource.prlimit(info.engine.pid, resource.RLIMIT_FSIZE, limits)  # type: ignore[union-attr]
    kept.down()
    kept.up()
    assert kept.seen() == everywhere(2)


def test_a_deployment_that_runs_is_not_cut_in_half(kept: Kept) -> None:
    import fcntl

    kept.up()
    kept.set(1)
    kept.instance.terraform_data_dir.mkdir(parents=True, exist_ok=True)
    with kept.instance.terraform_lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for save in (kept.down, lambda: kept.save("one")):
            with pytest.raises(SluiceError, match="a deployment runs"):
                save()
    assert kept.seen() == everywhere(1)


def test_parallel_ups_restore_one_engine(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    kept.down()
    code = "print(engine.up(instance, kind='embedded').engine.pid)"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: kept.command(code).stdout.splitlines()[0], range(3)))
    assert set(found) == {str(kept.info.engine.pid)}  # type: ignore[union-attr]
    assert kept.seen() == everywhere(1)


def test_a_snapshot_is_loaded_into_the_running_engine_and_back(kept: Kept) -> None:
    first = kept.up()
    kept.set(1)
    name = f"s-{uuid.uuid4().hex[:8]}"
    saved = kept.save(name)
    assert (saved.interrupted, saved.left_out) == ((), ())
    kept.set(2)
    second = kept.load(name)
    assert (second.port, second.postgres_port) == (first.port, first.postgres_port)
    assert kept.seen() == everywhere(1)
    kept.load("before-load", discard=True)
    assert kept.seen() == everywhere(2)
    with pytest.raises(SluiceError, match=f"there is no snapshot 'nope': there are before-load, last, {name}"):
        kept.load("nope")
    assert kept.seen() == everywhere(2)


def test_a_second_snapshot_costs_only_what_is_new(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    kept.client("s3").put_object(Bucket=BUCKET, Key="large", Body=uuid.uuid4().bytes * (1 << 19))
    kept.save("one")
    kept.save("two")
    listed = {one.name: one for one in snapshots.ls(kept.instance)}
    assert listed["one"].bytes > 8 << 20
    assert listed["two"].own_bytes < 4 << 20
    assert snapshots.rm(kept.instance, "one") == listed["one"].own_bytes
    kept.load("two", discard=True)
    assert kept.seen() == everywhere(1)


def test_a_refused_snapshot_leaves_the_running_engine_alone(kept: Kept) -> None:
    info = kept.up()
    kept.set(1)
    kept.save("one")
    kept.states.copy("one", LAST)
    _rewrite(kept, moto="1")
    kept.states.copy(LAST, "one")
    with pytest.raises(SluiceError, match=r"moto is .*, the state's is 1"):
        kept.load("one")
    assert kept.info == info
    assert kept.seen() == everywhere(1)


def test_an_exported_snapshot_works_in_another_home(kept: Kept, tmp_path: Path) -> None:
    kept.up()
    kept.set(1)
    kept.save("one")
    file = tmp_path / "one.tar"
    snapshots.export(kept.instance, "one", file)
    kept.down()
    other = Kept(tmp_path / "other")
    try:
        snapshots.import_(other.instance, "mine", file)
        other.load("mine")
        assert other.seen() == everywhere(1)
    finally:
        other.remove()


def test_a_snapshot_under_load_has_every_write_or_none_of_it(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    s3, stop = kept.client("s3"), threading.Event()
    acknowledged: list[int] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            s3.put_object(Bucket=BUCKET, Key=f"load/{number:06}", Body=str(number).encode())
            acknowledged.append(number)
            number += 1

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while len(acknowledged) < 20 and not writing.done():
            pass
        before = len(acknowledged)
        saved = kept.save("under-load")
        after = len(acknowledged)
        stop.set()
        writing.result()
    assert 0 < saved.paused_seconds < saved.seconds + 1
    kept.load("under-load", discard=True)
    pages = kept.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="load/")
    found = [int(one["Key"].removeprefix("load/")) for page in pages for one in page.get("Contents", [])]
    assert found == list(range(len(found)))
    assert before <= len(found) <= after + 1


STEPS_OF_DOWN = "engine.down(instance, keep=True)"
STEPS_OF_SAVE = "snapshots.save(instance, 'one')"
STEPS_OF_LOAD = "snapshots.load(instance, 'zero')"
STEPS_OF_UP = "engine.up(instance, kind='embedded')"


def _count(kept: Kept, code: str) -> int:
    done = kept.command(code)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def _tried(steps: int) -> list[int]:
    """All steps with SWEEP=full (`make sweep`), else two of them, others each day."""
    if FULL:
        return list(range(1, steps + 1))
    half = steps // 2
    return [1 + TODAY % half, half + 1 + TODAY % (steps - half)]


@pytest.mark.sweep
@pytest.mark.slow
@pytest.mark.parametrize("code", [STEPS_OF_DOWN, STEPS_OF_SAVE, STEPS_OF_LOAD])
def test_a_command_killed_at_any_step_leaves_one_moment(kept: Kept, code: str) -> None:
    kept.up()
    kept.set(0)
    kept.save("zero")
    kept.states.copy("zero", LAST)
    kept.set(1)
    steps = _count(kept, code)
    assert steps >= 4
    for step in _tried(steps):
        kept.load("zero", discard=True)
        kept.set(1)
        assert kept.command(code, kill_at=step).returncode == -9, f"step {step} of {steps}"
        kept.up()
        seen = kept.seen()
        assert seen in (everywhere(0), everywhere(1)), f"step {step} of {steps}"
        assert processes(kept) != []
        for name in kept.states.names():
            assert kept.states.damage(name, kept.states.get(name)) == ""


@pytest.mark.sweep
@pytest.mark.slow
def test_a_start_killed_at_any_step_leaves_one_moment(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    kept.down()
    dumps.Data(kept.instance).unmark()  # so that PostgreSQL is restored, too
    steps = _count(kept, STEPS_OF_UP)
    for step in _tried(steps):
        engine.down(kept.instance, keep=True, report=lambda _: None)
        dumps.Data(kept.instance).unmark()
        assert kept.command(STEPS_OF_UP, kill_at=step).returncode == -9, f"step {step} of {steps}"
        kept.up()
        assert kept.seen() == everywhere(1), f"step {step} of {steps}"


def test_the_engine_killed_while_it_saves_leaves_the_last_state(kept: Kept) -> None:
    kept.up()
    kept.set(1)
    kept.down()
    info = kept.up()
    kept.set(2)
    client.hold(info, client.path(kept.states.objects))
    kept.kill(postgres=False)
    kept.up()
    assert kept.seen() == everywhere(1)


def test_a_hold_that_a_killed_command_left_ends_with_the_next_command(kept: Kept) -> None:
    info = kept.up()
    kept.set(1)
    client.hold(info, client.path(kept.states.objects))
    kept.up()
    assert kept.seen() == everywhere(1)


def _savers(kept: Kept) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "sluice.engine.saver" in words and str(kept.instance.home) in words:
            found.append(process.pid)
    return found


def test_the_automatic_save_bounds_what_a_crash_loses_and_ends_with_the_engine(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_SAVE_MINUTES", "0.02")
    kept.up()
    kept.set(1)
    saved_before = kept.states.read(LAST)

    def saved_again() -> bool:
        now = kept.states.read(LAST)
        return now is not None and now != saved_before

    assert wait_until(saved_again, 60)
    saved_before = kept.states.read(LAST)
    assert wait_until(saved_again, 60)  # the first may have begun before the number was written
    monkeypatch.delenv("SLUICE_SAVE_MINUTES")
    assert len(_savers(kept)) == 1
    kept.kill()
    assert wait_until(lambda: not _savers(kept), 30)
    kept.up()
    assert kept.seen() == everywhere(1)
    assert _savers(kept) == []


def test_the_verbs(kept: Kept, tmp_path: Path) -> None:
    def sluice(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {**os.environ, "SLUICE_HOME": str(kept.instance.home), "ENGINE": "embedded", **environment}
        return subprocess.run(
            [sys.executable, "-m", "sluice.cli", *words], env=own, cwd=ROOT, capture_output=True, text=True, check=False
        )

    assert sluice("up").returncode == 0
    kept.set(1)
    saved = json.loads(sluice("snapshot", "save", "one", "--json").stdout)
    assert saved["name"] == "one"
    assert saved["paused_seconds"] > 0
    kept.set(2)
    assert sluice("snapshot", "load", "one", "--discard").returncode == 0
    assert kept.seen() == everywhere(1)
    assert "engine  saved in " in sluice("down").stderr
    assert "engine  restored the state of " in sluice("up").stderr
    assert [one["name"] for one in json.loads(sluice("snapshot", "ls", "--json").stdout)] == ["last", "one"]
    assert json.loads(sluice("snapshot", "show", "one", "--json").stdout)["damage"] == ""
    file = tmp_path / "one.tar"
    assert sluice("snapshot", "export", "one", str(file)).returncode == 0
    assert sluice("snapshot", "rm", "one").returncode == 0
    assert sluice("snapshot", "import", "one", str(file)).returncode == 0
    assert sluice("down", PERSISTENCE="0").returncode == 0
    assert sluice("up", PERSISTENCE="no").returncode == 2
    assert sluice("up").returncode == 0
    assert kept.seen() == everywhere(None)
    assert sluice("snapshot", "save", "last").returncode == 2
    assert sluice("snapshot", "load", "two").returncode == 1


def test_the_plan_is_empty_after_down_and_up_and_after_a_snapshot_is_loaded(
    core_stack: CoreStack, tmp_path: Path
) -> None:
    name, yaml = f"s-{uuid.uuid4().hex[:8]}", core_stack.root / "datasets/shipments.yaml"
    before = core_stack.put(new_file(tmp_path), "n0")
    core_stack.run("down")
    core_stack.run("up")
    core_stack.no_change_is_planned()
    restored = core_stack.put(new_file(tmp_path), "up")
    # Not the version: an environment that had the same rules of an earlier upload did not read them again.
    assert restored["rules"]["sha256"] == before["rules"]["sha256"]
    core_stack.run("snapshot", "save", name)
    with replaced(yaml, "min: 0, max: 200", "min: 0, max: 100"):
        assert core_stack.deploy()["changed"] == 1
        assert counts(core_stack.put(new_file(tmp_path), "n1")) == (0, 1)
    core_stack.run("snapshot", "load", name, "--discard")
    core_stack.run("snapshot", "rm", name)
    core_stack.no_change_is_planned()
    last = core_stack.put(new_file(tmp_path), "n2")
    assert (counts(last), last["rules"]) == ((1, 0), restored["rules"])
