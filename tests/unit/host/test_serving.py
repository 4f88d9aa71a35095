"""What is put into service ahead of Terraform's state, and how the state and the stack come to agree again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from sluice import terraform
from sluice.console import SluiceError
from sluice.engine import clients
from sluice.engine.instance import Instance
from sluice.pipeline.serving import Serving
from sluice.terraform import Applied, Deployed, ahead, api, inputs, runner
from sluice.terraform.settings import Workspace
from tests.support.serving import BUCKET, KEY, MIGRATE, TAGS, Engine, ServingStack, catalog, manifest, state

OLD, NEW = catalog(t="timestamp"), catalog(t="timestamp", more="int")
RULED = json.dumps(json.loads(OLD) | {"rules": 2}).encode()  # the same tables
A, B, DATASETS = "module.a.aws_lambda_function.this", "module.b.aws_lambda_function.this", "aws_s3_object.datasets"
INVOCATION = "aws_lambda_invocation.migrate"


@pytest.fixture
def engine() -> Engine:
    return Engine(code={"x-a": b"a1", "x-b": b"b1"}, objects=[{"Body": OLD}])


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Instance:
    """Its engine runs, and its stack is deployed."""
    made = Instance(tmp_path / "home")
    made.terraform_dir.mkdir(parents=True)
    made.terraform_state.write_text(json.dumps(state()))
    monkeypatch.setattr(Instance, "endpoint_url", "http://127.0.0.1:1")
    monkeypatch.setattr(clients, "new", lambda *_: engine)
    return made


@pytest.fixture
def serving(instance: Instance, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Serving:
    monkeypatch.setattr(terraform, "state", lambda _: state())
    return Serving.of(ServingStack(engine), instance)  # type: ignore[arg-type]


def test_what_is_in_service_is_not_outdated(serving: Serving, tmp_path: Path) -> None:
    assert serving.outdated(manifest(tmp_path / "b", a=b"a1", b=b"b1", datasets=OLD)) == []
    assert serving.outdated(manifest(tmp_path / "b", b=b"b2", a=b"a2", datasets=NEW)) == ["a", "b", "datasets"]
    assert serving.outdated(manifest(tmp_path / "b", other=b"new function")) == []


def test_a_function_is_served_and_recorded_first(serving: Serving, engine: Engine, tmp_path: Path) -> None:
    built = manifest(tmp_path / "b", a=b"a2", b=b"b1", datasets=OLD)
    engine.calls.clear()
    assert serving.serve(built, ["a"]) == ["a"]
    assert engine.calls == ["update x-a", "wait"]
    assert (engine.code["x-a"], ahead.read(serving.instance)) == (b"a2", {"a"})
    assert serving.outdated(built) == []


@pytest.mark.parametrize(("body", "invoked"), [(RULED, []), (NEW, [b'{"run": 1}'])])
def test_the_tables_are_migrated_when_they_change(
    serving: Serving, engine: Engine, tmp_path: Path, body: bytes, invoked: list[bytes]
) -> None:
    assert serving.serve(manifest(tmp_path / "b", datasets=body), ["datasets"]) == ["datasets version version-"]
    assert engine.invoked == invoked
    put = engine.objects[-1]
    assert (put["Bucket"], put["Key"], put["Body"], put["ContentType"]) == (BUCKET, KEY, body, "application/json")
    assert dict(parse_qsl(put["Tagging"])) == TAGS


@pytest.mark.parametrize("setting", ["key", "current_by", "partition_by"])
def test_each_setting_that_storage_tf_makes_tables_from_migrates(
    serving: Serving, engine: Engine, tmp_path: Path, setting: str
) -> None:
    found = json.loads(OLD)
    found["datasets"]["crm"][setting] = "another"
    serving.serve(manifest(tmp_path / "b", datasets=json.dumps(found).encode()), ["datasets"])
    assert engine.invoked == [b'{"run": 1}']


def test_after_a_failed_migration_the_former_datasets_are_served_again(
    serving: Serving, engine: Engine, tmp_path: Path
) -> None:
    engine.failing = "relation is locked"
    with pytest.raises(SluiceError, match=f"{MIGRATE}: relation is locked"):
        serving.serve(manifest(tmp_path / "b", datasets=NEW), ["datasets"])
    engine.failing = ""
    former = manifest(tmp_path / "b", datasets=OLD)
    assert serving.outdated(former) == ["datasets"]
    serving.serve(former, ["datasets"])
    assert (engine.objects[-1]["Body"], len(engine.invoked)) == (OLD, 2)
    assert serving.outdated(former) == []


def test_after_a_failed_function_the_others_are_in_service_and_the_former_code_is_served_again(
    serving: Serving, engine: Engine, tmp_path: Path
) -> None:
    engine.failing = "no such table"
    with pytest.raises(SluiceError):
        serving.serve(manifest(tmp_path / "b", a=b"a2", b=b"b2"), ["b", "a"])
    assert engine.code == {"x-a": b"a2", "x-b": b"b2"}
    assert serving.outdated(manifest(tmp_path / "b", a=b"a2", b=b"b1")) == ["b"]
    assert ahead.read(serving.instance) == {"a", "b"}


@pytest.mark.parametrize(
    ("served", "targets"),
    [(["a"], [A]), (["b"], [INVOCATION, B]), (["datasets"], [INVOCATION, DATASETS]),
     (["a", "b", "datasets"], [INVOCATION, DATASETS, A, B])],
)  # fmt: skip
def test_the_state_is_brought_up_to_date_for_what_is_ahead(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: list[str], targets: list[str]
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(terraform, "deployed", lambda _: Deployed("x.tfvars", {"api_enabled": "false"}))
    monkeypatch.setattr(terraform, "apply", lambda *given, **named: asked.append((given, named)))
    serving.settle()
    assert asked == [], "nothing is ahead"
    serving.serve(manifest(tmp_path / "b", a=b"a2", b=b"b2", datasets=NEW), served)
    serving.settle()
    assert asked == [((serving.instance, Path("x.tfvars"), {"api_enabled": "false"}), {"targets": targets})]
    assert (serving.ahead, ahead.read(serving.instance)) == (set(), set())


def test_a_settlement_that_fails_leaves_the_record(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.serve(manifest(tmp_path / "b", a=b"a2"), ["a"])
    monkeypatch.setattr(terraform, "deployed", lambda _: None)
    with pytest.raises(SluiceError):
        serving.settle()
    assert ahead.read(serving.instance) == {"a"}


def test_the_next_session_has_what_the_last_one_left(
    serving: Serving, engine: Engine, instance: Instance, tmp_path: Path
) -> None:
    serving.serve(manifest(tmp_path / "b", a=b"a2"), ["a"])
    assert Serving.of(ServingStack(engine), instance).ahead == {"a"}  # type: ignore[arg-type]


def test_a_stack_without_datasets_is_not_deployed(
    instance: Instance, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "state", lambda _: {})
    with pytest.raises(SluiceError, match="nothing is deployed"):
        Serving.of(ServingStack(engine), instance)  # type: ignore[arg-type]


# -- the next deployment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "[", "{", "3", "null"])
def test_a_record_that_cannot_be_read_counts_as_everything(
    instance: Instance, engine: Engine, tmp_path: Path, text: str
) -> None:
    instance.ahead_file.write_text(text)
    manifest(tmp_path / "b", a=b"a0", b=b"b0", datasets=NEW)
    ahead.repair(instance, tmp_path / "b")
    assert (engine.code["x-a"], engine.code["x-b"], engine.objects[-1]["Body"]) == (b"a0", b"b0", NEW)


def test_the_built_code_of_a_recorded_function_is_put_and_of_no_other(
    instance: Instance, engine: Engine, tmp_path: Path
) -> None:
    """Terraform would leave it: the state has the hash of the zip that it deployed, and that zip is built again."""
    before = engine.code["x-b"]
    manifest(tmp_path / "b", a=b"a0", b=b"b0", datasets=NEW)
    ahead.write(instance, ["a"])
    ahead.repair(instance, tmp_path / "b")
    assert (engine.code["x-a"], engine.code["x-b"]) == (b"a0", before)
    ahead.repair(instance, tmp_path / "b")
    assert engine.calls.count("update x-a") == 1, "it is there"


def test_a_function_that_is_missing_is_left_to_terraform(instance: Instance, engine: Engine, tmp_path: Path) -> None:
    del engine.code["x-a"]
    manifest(tmp_path / "b", a=b"a0", b=b"b0")
    ahead.write(instance, ["a", "b"])
    ahead.repair(instance, tmp_path / "b")
    assert (sorted(engine.code), engine.code["x-b"]) == (["x-b"], b"b0")


def test_nothing_is_put_without_a_record(instance: Instance, engine: Engine, tmp_path: Path) -> None:
    manifest(tmp_path / "b", datasets=NEW)
    ahead.repair(instance, tmp_path / "b")
    ahead.write(instance, ["a"])
    ahead.repair(instance, tmp_path / "b")
    assert engine.calls == []


def test_the_built_datasets_are_put_with_type_and_tags(instance: Instance, engine: Engine, tmp_path: Path) -> None:
    manifest(tmp_path / "b", datasets=NEW)
    ahead.write(instance, ["datasets"])
    ahead.repair(instance, tmp_path / "b")
    put = engine.objects[-1]
    assert (put["Body"], put["ContentType"], dict(parse_qsl(put["Tagging"]))) == (NEW, "application/json", TAGS)
    ahead.repair(instance, tmp_path / "b")
    assert len(engine.objects) == 2, "it is there"


@pytest.mark.parametrize("missing", ["state", "file", "object"])
def test_what_is_missing_is_left_to_terraform(instance: Instance, engine: Engine, tmp_path: Path, missing: str) -> None:
    manifest(tmp_path / "b", datasets=NEW)
    ahead.write(instance, ["datasets"])
    if missing == "state":
        instance.terraform_state.unlink()
    elif missing == "file":
        (tmp_path / "b/datasets.json").unlink()
    else:
        engine.objects.clear()
    ahead.repair(instance, tmp_path / "b")
    assert "put_object" not in engine.calls


@pytest.fixture
def applied(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each deployment, whether it had to read everything."""
    found: list[bool] = []
    environment = {inputs.ARTIFACTS_DIR: str(tmp_path / "b")}
    space = Workspace(tmp_path, tmp_path, instance.terraform_state, environment, (), ())

    def apply(*_: Any, refresh: bool) -> Applied:
        found.append(refresh)
        return Applied(0, 0, 0, 0.0)

    monkeypatch.setattr(api, "workspace", lambda *_: space)
    monkeypatch.setattr(api, "_apply", apply)
    return found


def test_every_deployment_to_an_engine_repairs_and_clears_the_record(
    instance: Instance, engine: Engine, tmp_path: Path, applied: list[bool]
) -> None:
    manifest(tmp_path / "b", datasets=NEW)
    ahead.write(instance, ["datasets", "a"])
    terraform.apply(instance, tmp_path / "x.tfvars", targets=[A])
    assert ahead.read(instance) == {"datasets", "a"}, "the others are still ahead"
    terraform.apply(instance, tmp_path / "x.tfvars")
    assert (engine.objects[-1]["Body"], ahead.read(instance)) == (NEW, set())
    terraform.apply(instance, tmp_path / "x.tfvars")
    assert applied == [True, True, False]


def test_a_deployment_that_fails_leaves_the_record(
    instance: Instance, tmp_path: Path, applied: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise SluiceError("no", 1)

    ahead.write(instance, ["a"])
    monkeypatch.setattr(api, "_apply", fails)
    with pytest.raises(SluiceError):
        terraform.apply(instance, tmp_path / "x.tfvars")
    assert ahead.read(instance) == {"a"}


def test_with_a_record_the_short_way_for_changed_datasets_is_not_taken(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads nothing, and would leave functions ahead of the state."""
    verbs: list[str] = []

    def execute(_: Workspace, verb: str, words: list[str], *__: Any, **___: Any) -> runner.Run:
        verbs.append(f"{verb} {'-refresh=false' in words}")
        return runner.Run(verb)

    space = Workspace(tmp_path, tmp_path, instance.terraform_state, {}, (), ())
    monkeypatch.setattr(api.inputs, "only_datasets_changed", lambda *_: True)
    monkeypatch.setattr(api, "variables", lambda *_: [])
    monkeypatch.setattr(api, "_init", lambda *_: None)
    monkeypatch.setattr(api, "_init_key", lambda *_: "")
    monkeypatch.setattr(api.runner, "execute", execute)
    for refresh in (False, True):
        api._apply(space, tmp_path / "x.tfvars", {}, print, None, refresh=refresh)
    assert verbs == ["apply True", "plan False"]
