"""The files of saved states as the host reads them: manifests, exported snapshots, what the host attaches."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.console import SluiceError
from sluice.engine import keeping, snapshots
from sluice.engine.embedded import dumps
from sluice.engine.instance import Instance
from sluice.engine.states import archive, files, hostfiles
from sluice.engine.states.files import Damaged, Manifest, States
from sluice.options import persists_state
from sluice.terraform import ahead
from sluice_ext.state import files as engine_files
from tests.support.thorough import examples


def _stored(objects: engine_files.Objects, content: bytes) -> dict[str, Any]:
    digest, size = objects.add([content])
    return {"sha256": digest, "size": size}


def manifest_of(states: States, contents: dict[str, bytes], **values: Any) -> dict[str, Any]:
    """What the engine would write about these contents, which are stored."""
    objects = engine_files.Objects(states.objects)
    parts = {
        name: dict(zip(("sha256", "size"), objects.add([content]), strict=True)) for name, content in contents.items()
    }
    empty = {"saved_at": "2026-01-02T03:04:05.678+00:00", "attached": {}, "objects": [], "services": []}
    return empty | {"parts": parts} | values


def make(states: States, name: str, contents: dict[str, bytes], **values: Any) -> Manifest:
    engine_files.write_manifest(states.path(name), manifest_of(states, contents, **values))
    return states.get(name)


@pytest.fixture
def states(tmp_path: Path) -> States:
    return States(tmp_path / "states")


def test_the_host_reads_what_the_engine_writes(states: States) -> None:
    made = make(states, "one", {"stores": b"abc", "extension": b"de"})
    assert states.names() == ["one"]
    assert made.saved_at == "2026-01-02 03:04:05 UTC"
    assert (made.size, states.damage("one", made)) == (5, "")
    assert made.checksum == json.loads((states.path("one") / "manifest.json").read_text())["checksum"]


def test_a_copy_is_the_same_state_and_a_removal_leaves_what_others_need(states: States) -> None:
    make(states, "one", {"stores": b"shared", "extension": b"one"})
    make(states, "two", {"stores": b"shared", "extension": b"other"})
    states.copy("one", "last")
    states.remove("one")
    assert states.names() == ["last", "two"]
    assert states.damage("last", states.get("last")) == ""
    states.remove("last")
    assert [path.read_bytes() for path in sorted(states.objects.glob("*/*"), key=lambda path: path.stat().st_size)] == [
        b"other",
        b"shared",
    ]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "../x", "-x", "x" * 65, "a b", "ä", "x\n", "last",
                                  "objects", "before-load"])  # fmt: skip
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SluiceError) as raised:
        files.check_name(name)
    assert raised.value.code == 2


@pytest.mark.parametrize("name", ["../outside", "..", ".", "objects", "/", "none"])
def test_only_what_is_listed_is_read_or_removed(states: States, tmp_path: Path, name: str) -> None:
    outside = States(tmp_path)
    make(outside, "outside", {"stores": b"x"})
    make(states, "one", {"stores": b"x"})
    with pytest.raises(SluiceError, match="there is no snapshot"):
        states.get(name)
    with pytest.raises(SluiceError, match="there is no snapshot"):
        snapshots.rm(Instance(tmp_path), name)
    assert (outside.path("outside") / "manifest.json").exists()


@given(cut=st.integers(min_value=0), data=st.data())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_manifest_that_is_cut_or_altered_is_refused(states: States, cut: int, data: st.DataObject) -> None:
    text = json.dumps(
        (values := manifest_of(states, {"stores": b"abc"}))
        | {"checksum": hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()}
    ).encode()
    assert Manifest.parse(text, "x").size == 3
    with pytest.raises(Damaged):
        Manifest.parse(text[: cut % len(text)], "x")
    place = data.draw(st.integers(0, len(text) - 1))
    other = bytearray(text)
    other[place] ^= 1 << data.draw(st.integers(0, 6))
    try:
        found = Manifest.parse(bytes(other), "x")
    except Damaged:
        return
    assert found.values == values  # white space, or the case of an escape


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": {"stores": {"sha256": "../../etc/passwd", "size": 1}}},
        {"parts": {"stores": {"sha256": "a" * 64, "size": -1}}},
        {"parts": {"stores": {"sha256": "a" * 64, "size": "x"}}},
        {"parts": {"stores": {"sha256": ["a"], "size": 1}}},
        {"parts": []},
        {"objects": [["a" * 63, 1]]},
        {"objects": {"a": 1}},
        {"attached": {"postgres": None}},
    ],
)
def test_a_hostile_manifest_names_no_file_of_ours(states: States, wrong: dict[str, Any]) -> None:
    values = manifest_of(states, {"stores": b"x"}) | wrong
    checksum = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    with pytest.raises(Damaged):
        Manifest.parse(json.dumps(values | {"checksum": checksum}), "x")


def test_an_export_is_the_same_file_every_time_and_comes_back_whole(states: States, tmp_path: Path) -> None:
    made = make(states, "one", {"stores": b"abc" * 1000, "extension": b""}, objects=[])
    archive.export(states, "one", tmp_path / "a.tar")
    archive.export(states, "one", tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert (tmp_path / "a.tar").stat().st_mode & 0o777 == 0o600
    other = States(tmp_path / "elsewhere")
    assert archive.load(other, "mine", tmp_path / "a.tar") == made
    assert other.damage("mine", made) == ""


def _file(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, content


NAME = "(the content)"
GOOD = [_file("manifest.json", b"(the manifest)"), _file(NAME, b"abc")]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([*GOOD, _file("../evil", b"x")], "holds '../evil', which does not belong"),
        ([*GOOD, _file("/tmp/evil", b"x")], "which does not belong"),
        ([GOOD[0], _file(NAME, b"", tarfile.SYMTYPE, "/etc/passwd")], "which does not belong"),
        ([GOOD[0], _file(NAME, b"", tarfile.LNKTYPE, "manifest.json")], "which does not belong"),
        ([GOOD[0], _file(NAME, b"", tarfile.DIRTYPE)], "which does not belong"),
        ([*GOOD, GOOD[1]], "which does not belong"),
        ([*GOOD, GOOD[0]], "which does not belong"),
        ([GOOD[0], _file(NAME, b"abd")], "is altered or cut"),
        ([GOOD[0], _file(NAME, b"abcd")], "which does not belong"),
        (GOOD[:1], "is cut: 1 of 1 contents are missing"),
        (GOOD[1:], "does not begin with manifest.json"),
        ([_file("manifest.json", b"", tarfile.SYMTYPE, "/etc/passwd")], "does not begin with"),
        ([_file("manifest.json", b"{}")], "is cut or no manifest"),
        ([], "is no exported snapshot|is cut"),
    ],
)
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    states: States, tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], words: str
) -> None:
    (content,) = make(states, "one", {"stores": b"abc"}).contents
    real = {NAME: f"objects/{content.digest[:2]}/{content.digest}"}
    manifest = (states.path("one") / "manifest.json").read_bytes()
    file = tmp_path / "x.tar"
    with tarfile.open(file, "w") as tar:
        for given, data in members:
            member = copy.copy(given)
            member.name = real.get(given.name, given.name)
            text = manifest if data == b"(the manifest)" else data
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    other = States(tmp_path / "elsewhere")
    with pytest.raises(Damaged, match=words):
        archive.load(other, "mine", file)
    assert other.names() == []
    assert not (tmp_path / "evil").exists()
    assert not list(other.folder.rglob(".new-*"))


@given(place=st.floats(0, 1, exclude_max=True))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_archive_that_is_cut_anywhere_is_refused(states: States, tmp_path: Path, place: float) -> None:
    make(states, "one", {"stores": b"abc" * 1000, "extension": b"de" * 300})
    archive.export(states, "one", tmp_path / "whole.tar")
    whole = (tmp_path / "whole.tar").read_bytes()
    data = sum(1024 + -(-len(content) // 512) * 512 for content in (b"abc" * 1000, b"de" * 300))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: int(place * (len(whole.rstrip(b"\0")) - 1))])
    assert data < len(whole)
    other = States(tmp_path / "elsewhere")
    with pytest.raises(Damaged):
        archive.load(other, "mine", cut)
    assert other.names() == []


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 10240, b"\x1f\x8b" + b"x" * 600, b"PK\3\4" + b"\0" * 2000])
def test_a_file_that_is_no_archive_is_refused(states: States, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(Damaged):
        archive.load(states, "mine", tmp_path / "x")
    assert states.names() == []


def test_a_deployment_comes_back_with_its_variables_and_on_the_new_port(states: States, tmp_path: Path) -> None:
    instance = Instance(tmp_path / "home")
    variables = tmp_path / "dev.tfvars"
    variables.write_text("a = 1\n")

    def attached(**contents: str) -> Manifest:
        objects = engine_files.Objects(states.objects)
        parts = {name: _stored(objects, text.encode()) for name, text in contents.items()}
        return make(states, "one", {}, attached=parts)

    manifest = attached(
        addresses='{"port": 4566, "postgres_port": 5432}',
        terraform='{"outputs": {"url": {"value": "http://127.0.0.1:4566/q 127.0.0.1:45661 10.127.0.0.1:4566"}}}',
        deployed=json.dumps({"var_file": str(variables), "variables": {"x": 1}}),
        tfvars="a = 1\n",
        ahead='["datasets"]',
    )
    now = hostfiles.Addresses(7000, 5432)
    hostfiles.put_back(instance, states, manifest, now)
    outputs = json.loads(instance.terraform_state.read_text())["outputs"]
    assert outputs["url"]["value"] == "http://127.0.0.1:7000/q 127.0.0.1:45661 10.127.0.0.1:4566"
    assert json.loads(instance.deployed_file.read_text()) == {"var_file": str(variables), "variables": {"x": 1}}
    variables.write_text("a = 2\n")
    hostfiles.put_back(instance, states, manifest, now)
    own = Path(json.loads(instance.deployed_file.read_text())["var_file"])
    assert own.is_relative_to(instance.home)
    assert own.read_text() == "a = 1\n"
    assert instance.terraform_state.stat().st_mode & 0o777 == 0o600
    assert ahead.read(instance) == {"datasets"}


def test_what_was_ahead_of_another_state_is_forgotten(states: States, tmp_path: Path) -> None:
    instance = Instance(tmp_path / "home")
    instance.terraform_dir.mkdir(parents=True)
    ahead.write(instance, ["core-ingest"])
    part = _stored(engine_files.Objects(states.objects), b'{"port": 4566, "postgres_port": 5432}')
    manifest = make(states, "one", {}, attached={"addresses": part})
    hostfiles.put_back(instance, states, manifest, hostfiles.Addresses(4566, 5432))
    assert ahead.read(instance) == set()


def test_what_is_ahead_is_saved_with_the_state(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "home")
    instance.terraform_dir.mkdir(parents=True)
    ahead.write(instance, ["core-ingest"])
    info = SimpleNamespace(port=1, postgres_port=2, kind="embedded")
    found = hostfiles.collect(instance, info, tmp_path)  # type: ignore[arg-type]
    assert json.loads(found["ahead"].read_text()) == ["core-ingest"]


def test_the_mark_of_postgres_holds_for_one_state_and_only_after_a_clean_end(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.postgres_dir.mkdir()
    assert not dumps.Data(instance).belongs("")
    dumps.Data(instance).mark("abc")
    assert (dumps.Data(instance).belongs("abc"), dumps.Data(instance).belongs("abd")) == (True, False)
    dumps.Data(instance).unmark()
    (instance.postgres_dir / "postmaster.pid").touch()
    dumps.Data(instance).mark("abc")
    assert not dumps.Data(instance).belongs("abc")


def test_a_restore_of_postgres_that_was_interrupted_is_undone(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    before = tmp_path / "postgres.before"
    before.mkdir()
    (before / "old").touch()
    dumps.Data(instance).undo()
    assert [path.name for path in instance.postgres_dir.iterdir()] == ["old"]
    instance.postgres_dir.rename(before)
    (instance.postgres_dir / "new").mkdir(parents=True)
    dumps.Data(instance).undo()
    assert [path.name for path in instance.postgres_dir.iterdir()] == ["old"]
    dumps.Data(instance).undo()
    assert [path.name for path in tmp_path.iterdir()] == ["postgres"]


@pytest.mark.parametrize(("value", "persists"), [(None, True), ("", True), ("1", True), ("0", False)])
def test_persistence_0_saves_nothing(monkeypatch: pytest.MonkeyPatch, value: str | None, persists: bool) -> None:
    monkeypatch.delenv("PERSISTENCE", raising=False)
    if value is not None:
        monkeypatch.setenv("PERSISTENCE", value)
    assert persists_state() is persists


def test_another_value_of_persistence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSISTENCE", "false")
    with pytest.raises(SluiceError, match="PERSISTENCE=false is not known") as raised:
        persists_state()
    assert raised.value.code == 2


@pytest.mark.parametrize("value", ["x", "-1", "nan", "inf", "1e99"])
def test_minutes_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SLUICE_SAVE_MINUTES", value)
    with pytest.raises(SluiceError, match="is no number of minutes"):
        keeping.save_minutes()


def test_the_list_shows_ages_and_what_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sluice.commands.snapshot import ls

    states = States(Instance(tmp_path).states_dir)
    make(states, "one", {"stores": b"x"}, saved_at=datetime.now(UTC).isoformat(timespec="milliseconds"))
    make(states, "odd", {"stores": b"x"}, saved_at="yesterday")
    make(states, "cut", {"stores": b"x"})
    (states.path("cut") / "manifest.json").write_text("{")
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    ls(json=False, wide=False)
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "s ago" in rows["one"]
    assert "yesterday" in rows["odd"]
    assert "is cut or no manifest" in rows["cut"]
