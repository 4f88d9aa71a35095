"""Whether a deployment changes the datasets alone: only then is Terraform's state not refreshed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from sluice.terraform import api, inputs, override, provider, runner
from sluice.terraform.settings import Workspace


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    data, build, state = tmp_path / "data", tmp_path / "build", tmp_path / "terraform.tfstate"
    data.mkdir()
    build.mkdir()
    state.write_text("{}")
    (tmp_path / "dev.tfvars").write_text('env = "dev"\n')
    _build(build, zip="a", datasets="b")
    return Workspace(tmp_path, data, state, {"TF_VAR_artifacts_dir": str(build)}, ("terraform",), ())


def _build(folder: Path, **hashes: str) -> None:
    artifacts = {name: {"sha256": value} for name, value in hashes.items()}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))


def _now(space: Workspace, code: str = "code") -> inputs.Inputs | None:
    return inputs.of(space, [f"-var-file={space.stack / 'dev.tfvars'}"], code)


def test_another_content_of_the_datasets_alone_needs_no_refresh(space: Workspace) -> None:
    assert not inputs.only_datasets_changed(space, _now(space))  # nothing is known of the last one
    inputs.record(space, _now(space))
    assert not inputs.only_datasets_changed(space, _now(space))  # nothing changed: drift is looked for
    _build(space.stack / "build", zip="a", datasets="c")
    assert inputs.only_datasets_changed(space, _now(space))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: _build(folder / "build", zip="z", datasets="c"),
        lambda folder: (folder / "dev.tfvars").write_text('env = "prod"\n'),
        lambda folder: (folder / "terraform.tfstate").write_text('{"serial": 2}'),
        lambda folder: (folder / "terraform.tfstate").unlink(),
        lambda folder: (folder / "data/sluice-inputs.json").write_text("{"),
        lambda folder: (folder / "build/manifest.json").write_text("{}"),
    ],
    ids=["a zip", "the variables", "the state", "no state", "no record", "no manifest"],
)
def test_any_other_change_is_refreshed(space: Workspace, change: Callable[[Path], object]) -> None:
    inputs.record(space, _now(space))
    _build(space.stack / "build", zip="a", datasets="c")
    change(space.stack)
    assert not inputs.only_datasets_changed(space, _now(space))


def test_other_code_is_refreshed(space: Workspace) -> None:
    inputs.record(space, _now(space))
    _build(space.stack / "build", zip="a", datasets="c")
    assert not inputs.only_datasets_changed(space, _now(space, "other code"))


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (None, ["apply"]),
        ({"resources": []}, ["apply"]),
        ({"resources": [{"type": "aws_s3_bucket"}]}, ["plan", "apply"]),
        ("not JSON", ["plan", "apply"]),
    ],
    ids=["none", "empty", "deployed", "unreadable"],
)
def test_where_nothing_is_deployed_one_run_plans_and_applies(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, state: object, verbs: list[str]
) -> None:
    """A plan of an empty state takes as long as the one that the apply makes of it."""
    runs: list[tuple[str, list[str]]] = []

    def execute(_: Workspace, verb: str, arguments: list[str], *_rest: Any, **_named: Any) -> runner.Run:
        runs.append((verb, arguments))
        return runner.Run(verb, summary={"add": 3}, returncode=2)

    assert space.state is not None
    space.state.unlink()
    if state is not None:
        space.state.write_text(state if isinstance(state, str) else json.dumps(state))
    monkeypatch.setattr(api, "_init", lambda *_: None)
    monkeypatch.setattr(api, "_init_key", lambda _: "code")
    monkeypatch.setattr(api, "variables", lambda *_: ["-var-file=dev.tfvars"])
    monkeypatch.setattr(override, "in_place", lambda _: nullcontext())
    monkeypatch.setattr(provider, "started", nullcontext)
    monkeypatch.setattr(runner, "execute", execute)
    assert api._apply(space, space.stack / "dev.tfvars", None, lambda _: None, None).added == 3
    assert [verb for verb, _ in runs] == verbs
    if verbs == ["apply"]:
        assert runs[0][1] == ["-auto-approve", "-var-file=dev.tfvars"]
