"""What the containers save and restore, and snapshots that go from one kind of engine to the other."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sluice import engine
from sluice.console import SluiceError
from sluice.engine import containers, snapshots
from sluice.engine.docker import compose
from sluice.polling import wait_until
from tests.support.kept import LAST, Kept, everywhere

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("docker_only")]
_numbers = iter(range(1, 1 << 20))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One home for all tests, in which the engine runs on from test to test."""
    found = Kept(tmp_path_factory.mktemp("docker kept"), engine.DOCKER)
    yield found
    found.remove()


@pytest.fixture
def kept(home: Kept) -> Kept:
    home.up()
    return home


@pytest.fixture
def number(kept: Kept) -> int:
    """A number that no test had, which the engine holds everywhere."""
    found = next(_numbers)
    kept.set(found)
    return found


def volumes(kept: Kept) -> list[str]:
    name = compose.Project(kept.instance).name
    return [one for one in ("localstack", "postgres") if containers.inspect("volume", f"{name}_{one}")]


def postgres_was_replaced(kept: Kept) -> bool:
    return any("PostgreSQL's data goes back to " in line for line in kept.said)


def _alter(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)


def test_the_automatic_save_bounds_what_a_kill_loses(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.down(keep=False)
    monkeypatch.setenv("SLUICE_SAVE_MINUTES", "0.02")
    kept.up()
    monkeypatch.delenv("SLUICE_SAVE_MINUTES")
    number = next(_numbers)
    kept.set(number)
    for _ in range(2):  # the first may have begun before the number was written
        before = kept.states.read(LAST)
        assert wait_until(lambda before=before: kept.states.read(LAST) != before, 60)  # type: ignore[misc]
    kept.kill(postgres=False)
    kept.up()
    assert kept.seen() == everywhere(number)
    assert "engine  ended without `sluice down`: what came after the saved state is lost" in kept.said
    assert postgres_was_replaced(kept)


def test_a_state_that_is_refused_leaves_everything_and_comes_back_on_the_same_ports(kept: Kept, number: int) -> None:
    first = kept.info
    kept.down()
    assert volumes(kept) == ["postgres"]
    stores = next(kept.states.content(one) for one in kept.states.get(LAST).contents if one.what == "stores")
    good = stores.read_bytes()
    _alter(stores)
    with pytest.raises(
        SluiceError, match=r"stores \(\w{12}\) is altered: its SHA-256 is another; `PERSISTENCE=0"
    ) as said:
        kept.up()
    assert len(str(said.value).splitlines()) == 1
    assert compose.Project(kept.instance).found() == {}
    assert volumes(kept) == ["postgres"]
    stores.write_bytes(good)
    second = kept.up()
    assert kept.seen() == everywhere(number)
    assert (second.port, second.postgres_port) == (first.port, first.postgres_port)
    assert (second.restored_from, second.moved) == (kept.states.get(LAST).saved_at, False)


def test_snapshots_go_from_one_kind_of_engine_to_the_other_or_are_refused(
    kept: Kept, number: int, tmp_path: Path
) -> None:
    name, file = f"s-{uuid.uuid4().hex[:8]}", tmp_path / "s.tar"
    saved = kept.save(name)
    assert (saved.interrupted, saved.left_out) == ((), ())
    snapshots.export(kept.instance, name, file)
    other = Kept(tmp_path / "embedded", engine.EMBEDDED)
    try:
        snapshots.import_(other.instance, name, file)
        other.states.copy(name, LAST)
        assert other.up().moved
        assert other.seen() == everywhere(number)
        other.set(number + 1000)
        other.save("newer")
        with psycopg.connect(other.info.postgres_dsn) as connection:  # a feature of its PostgreSQL, 18
            connection.execute("CREATE TABLE only_18 (one int, two int GENERATED ALWAYS AS (one * 2) VIRTUAL)")
        other.save("refused")
        for one in ("newer", "refused"):
            snapshots.export(other.instance, one, tmp_path / one)
            snapshots.import_(kept.instance, one, tmp_path / one)
    finally:
        other.remove()
    kept.down()
    last = (kept.states.path(LAST) / "manifest.json").read_bytes()
    kept.states.copy("refused", LAST)
    with pytest.raises(SluiceError, match=r"ERROR: .*syntax error.* \(PostgreSQL 18 dumped it, and this one is 17\)"):
        kept.up()
    kept.states.write(LAST, last)
    kept.up()
    assert kept.seen() == everywhere(number)
    assert not postgres_was_replaced(kept)
    kept.load("newer", discard=True)
    assert kept.seen() == everywhere(number + 1000)


def test_a_snapshot_of_another_architecture_is_refused_and_the_engine_runs_on(kept: Kept, number: int) -> None:
    info = kept.info
    kept.save("here")
    values = kept.states.get("here").values
    values["versions"] |= {"architecture": "s390x"}
    checksum = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    kept.states.write("elsewhere", json.dumps(values | {"checksum": checksum}).encode())
    with pytest.raises(SluiceError, match=r"the architecture is \S+, the state's is s390x"):
        kept.load("elsewhere")
    assert kept.info == info
    assert kept.seen() == everywhere(number)


def test_persistence_0_begins_empty_and_volumes_go(kept: Kept, number: int) -> None:
    kept.down()
    kept.up(empty=True)
    assert kept.seen() == everywhere(None)
    assert kept.states.read(LAST) is None
    kept.set(number)
    kept.down()
    assert volumes(kept) == ["postgres"]
    engine.down(kept.instance, empty=True)  # PERSISTENCE=0 make down, after `make down`
    assert volumes(kept) == []
    assert kept.states.read(LAST) is None
