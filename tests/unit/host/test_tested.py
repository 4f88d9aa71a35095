"""What was tested is what is promoted: by the hash of its bytes, and by nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.build import BuiltArtifact, Manifest, artifacts, load_manifest, source, tested
from sluice.build.source import Source
from sluice.console import SluiceError
from sluice.paths import ROOT
from tests.support import tested as sessions

SUITES = tested.SUITES


def built(folder: Path, tree: str = "t", **hashes: str) -> Manifest:
    """A build that is on disk: artifacts by name, with the hash of their bytes."""
    made = {name: BuiltArtifact(name, f"{name}.zip", "i", sha256, 1, 1) for name, sha256 in hashes.items()}
    manifest = Manifest(folder, made, Source("c", dirty=False, tree=tree))
    artifacts._write_manifest(manifest)
    return manifest


@pytest.fixture(autouse=True)
def same_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "tree", lambda *_: "t")


def test_what_all_suites_passed_with_may_go(tmp_path: Path) -> None:
    manifest = built(tmp_path, a="1", b="2")
    assert tested.record(SUITES, "t", tmp_path) == 2
    tested.require(manifest, "prod")
    assert load_manifest(tmp_path).source == Source("c", dirty=False, tree="t")


@given(done=st.sets(st.sampled_from(SUITES)), env=st.sampled_from(["dev", "prod", "staging"]), flag=st.booleans())
def test_one_suite_that_is_missing_refuses_unless_asked_and_never_in_prod(
    tmp_path_factory: pytest.TempPathFactory, done: set[str], env: str, flag: bool
) -> None:
    folder = tmp_path_factory.mktemp("b")
    manifest = built(folder, a="1")
    tested.record(done, "t", folder)
    refused = (flag and env == "prod") or (not flag and done != set(SUITES))
    if not refused:
        tested.require(manifest, env, untested=flag)
        return
    with pytest.raises(SluiceError) as raised:
        tested.require(manifest, env, untested=flag)
    assert "\n" not in str(raised.value)
    assert raised.value.code == (2 if flag else 1)
    assert ("--untested" in str(raised.value)) == (flag or env != "prod")


def test_other_bytes_are_not_tested(tmp_path: Path) -> None:
    built(tmp_path, a="1", b="2")
    tested.record(SUITES, "t", tmp_path)
    with pytest.raises(SluiceError, match="^b did not pass contract, e2e, infra, unit: run `make test`$"):
        tested.require(built(tmp_path, a="1", b="3"), "prod")
    with pytest.raises(SluiceError, match="^b and 1 more artifacts did not pass"):
        tested.require(built(tmp_path, b="4", c="5"), "dev")
    tested.require(built(tmp_path, a="2", b="1"), "prod")  # the bytes count, not the name


@pytest.mark.parametrize(("before", "made_of"), [("other", "t"), ("t", "other"), ("", "t"), ("t", "")])
def test_a_source_that_changed_while_the_suites_ran_records_nothing(tmp_path: Path, before: str, made_of: str) -> None:
    built(tmp_path, made_of, a="1")
    assert tested.record(SUITES, before, tmp_path) == 0
    assert not (tmp_path / tested.FILE).exists()


def test_suites_of_several_machines_count_together(tmp_path: Path) -> None:
    manifest = built(tmp_path, a="1")
    for suite in SUITES:
        (tmp_path / f"tested-{suite}.json").write_text(json.dumps({"1": {suite: 1}}))
    tested.require(manifest, "prod")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"1": 3}', '{"1": {"unit": "x"}}', "null"])
def test_a_record_that_cannot_be_read_says_nothing_and_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / tested.FILE).write_text(content)
    manifest = built(tmp_path, a="1")
    assert tested.missing(manifest) == {"a": list(SUITES)}
    tested.record(SUITES, "t", tmp_path)
    assert tested.missing(manifest) == {}


def test_old_records_leave_the_file_and_the_newest_stay(tmp_path: Path) -> None:
    for number in range(3):
        manifest = built(tmp_path, **{f"a{n}": f"{number}-{n}" for n in range(300)})
        tested.record(SUITES, "t", tmp_path)
        assert tested.missing(manifest) == {}
    assert len(json.loads((tmp_path / tested.FILE).read_text())) == 400


def config(*args: str, **options: Any) -> Any:
    """A session's configuration, as pytest has it."""
    chosen = {
        "keyword": "",
        "markexpr": "",
        "lf": False,
        "deselect": None,
        "collectonly": False,
        "maxfail": 0,
    } | options
    return SimpleNamespace(
        args=list(args),
        option=SimpleNamespace(**chosen),
        invocation_params=SimpleNamespace(dir=ROOT),
        stash=pytest.Stash(),
    )


@pytest.mark.parametrize(
    ("args", "options", "suites"),
    [
        (["tests/unit", "tests/e2e"], {}, ["e2e", "unit"]),
        ([str(ROOT / "tests/unit")], {}, ["unit"]),
        (["tests/unit/host"], {}, []),
        (["tests/unit", "tests/contract/core"], {}, []),
        (["tests"], {}, []),
        (["tests/unit"], {"keyword": "x"}, []),
        (["tests/unit"], {"markexpr": "not slow"}, []),
        (["tests/unit"], {"lf": True}, []),
        (["tests/unit"], {"maxfail": 1}, []),
        (["tests/unit"], {"deselect": ["x"]}, []),
        (["tests/unit"], {"collectonly": True}, []),
    ],
)
def test_only_whole_suites_count(
    args: list[str], options: dict[str, Any], suites: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    assert sessions.suites_of(config(*args, **options)) == suites
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert sessions.suites_of(config(*args, **options)) == []


@pytest.mark.parametrize(("status", "collected", "recorded"), [(0, 5, 1), (1, 5, 0), (2, 5, 0), (0, 0, 0), (5, 0, 0)])
def test_a_session_records_only_when_tests_ran_and_none_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, collected: int, recorded: int
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    built(tmp_path, a="1")
    session: Any = SimpleNamespace(testscollected=collected)
    given_config = config("tests/unit")
    sessions.begin(given_config)
    assert sessions.end(given_config, session, status, tmp_path) == recorded
    assert (tmp_path / tested.FILE).exists() == bool(recorded)


class TestSource:
    """Which commit the artifacts are of."""

    @pytest.fixture(autouse=True)
    def same_source(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()

    def test_a_checkout_names_its_commit_and_its_changes(self, tmp_path: Path) -> None:
        code = tmp_path / "lambdas"
        code.mkdir()
        (code / "a.py").write_text("a = 1\n")
        for words in (
            ["init", "-q"],
            ["add", "."],
            ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
        clean = source.now((code,), tmp_path)
        assert (len(clean.commit), clean.dirty) == (40, False)
        (code / "b.py").write_text("")  # not in git: it would be built all the same
        changed = source.now((code,), tmp_path)
        assert (changed.commit, changed.dirty) == (clean.commit, True)
        assert changed.tree != clean.tree
        (code / "b.py").unlink()
        assert source.now((code,), tmp_path) == clean

    def test_without_git_nothing_is_claimed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "lambdas").mkdir()
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        found = source.now((tmp_path / "lambdas",), tmp_path)
        assert (found.commit, found.dirty) == ("", True)
        monkeypatch.setenv("PATH", "")
        assert source.now((tmp_path / "lambdas",), tmp_path).dirty

    def test_a_build_of_a_part_is_of_no_one_source(self) -> None:
        one, two = Source("a", dirty=False, tree="1"), Source("b", dirty=False, tree="2")
        assert artifacts._partly(one, one) == one
        assert artifacts._partly(two, one) == Source("b", dirty=True)
