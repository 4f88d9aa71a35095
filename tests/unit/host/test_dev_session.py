"""The loop of `sluice dev`, with time, builds and the engine in memory: what it serves, and what it says."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from sluice import build, console, paths, terraform
from sluice.build import Manifest
from sluice.commands import dev
from sluice.console import SluiceError
from sluice.engine.instance import Instance
from sluice.pipeline.serving import Serving
from sluice.terraform import ahead
from tests.support.serving import Engine, ServingStack, catalog, manifest, state

OLD, NEW = catalog(t="timestamp").decode(), catalog(t="timestamp", more="int").decode()
type Step = Callable[[], object]


class Checkout:
    """Files in lambdas/ and datasets/, an engine that serves them, and what happens while the session waits.

    Each wait of the loop makes the next of `steps`; after the last one the user ends the session.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.times = itertools.count(1)
        self.engine = Engine(code={"x-a": b"a = 1", "x-b": b"b = 1"}, objects=[{"Body": OLD.encode()}])
        self.said: list[str] = []
        self.builds: list[Collection[str]] = []
        self.while_building: list[Step] = []
        self.in_a_moment: list[Step] = []
        self.waits: list[float] = []
        self.settled: list[Any] = []
        self.instance = Instance(root / "home")
        self.instance.terraform_dir.mkdir(parents=True)
        self.save("lambdas/a.py", "a = 1")
        self.save("lambdas/b.py", "b = 1")
        self.save("datasets/crm.json", OLD)
        monkeypatch.setattr(paths, "ROOT", root)
        monkeypatch.setattr(paths, "LAMBDAS_DIR", root / "lambdas")
        monkeypatch.setattr(paths, "DATASETS_DIR", root / "datasets")
        monkeypatch.setattr(build, "build", self.build)
        monkeypatch.setattr(console, "note", self.said.append)
        monkeypatch.setattr(terraform, "state", lambda _: state())
        monkeypatch.setattr(terraform, "deployed", lambda _: terraform.Deployed("x.tfvars", {}))
        monkeypatch.setattr(terraform, "apply", lambda *_, **named: self.settled.append(named["targets"]))
        monkeypatch.setattr("time.sleep", self.sleep)

    def save(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        at = next(self.times) * 10**9
        os.utime(path, ns=(at, at))

    def delete(self, name: str) -> None:
        (self.root / name).unlink()

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def build(self, *, only: Collection[str], layers: bool) -> Manifest:
        """A function's zip is its file."""
        assert not layers
        self.builds.append(only)
        made = {name: self.read(f"lambdas/{name}.py") for name in ("a", "b")}
        made["datasets"] = self.read("datasets/crm.json")
        if b"import gone" in made["b"]:
            raise SluiceError("lambdas/b.py imports gone, which is not there", 1)
        if b"wrong" in made["datasets"] and "datasets" in only:
            raise SluiceError("datasets/crm.json: fields: wrong")
        if self.while_building:
            self.while_building.pop(0)()
        return manifest(self.root / "build", **made)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if seconds == dev.SETTLED_SECONDS:
            if self.in_a_moment:
                self.in_a_moment.pop(0)()
        elif self.steps:
            self.steps.pop(0)()
        else:
            raise KeyboardInterrupt

    def reach(self) -> Serving:
        return Serving.of(ServingStack(self.engine), self.instance)  # type: ignore[arg-type]

    def run(self, *steps: Step) -> dev._Session:
        self.steps = [*steps, lambda: None]  # and one look at which nothing has changed
        session = dev._Session(self.reach)
        with pytest.raises(KeyboardInterrupt):
            session.run()
        return session

    def served(self) -> list[str]:
        return [line.split(" in service")[0] for line in self.said if " in service (" in line]

    def changes(self) -> list[str]:
        return [call for call in self.engine.calls if call.startswith(("update", "put"))]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    return Checkout(tmp_path, monkeypatch)


def test_nothing_changed(checkout: Checkout) -> None:
    session = checkout.run(lambda: None, lambda: None)
    assert checkout.said == ["dev     watching lambdas/ and datasets/; Ctrl-C ends it"]
    assert (len(checkout.builds), checkout.changes()) == (2, []), "functions and datasets once, at the beginning"
    session.end()
    assert (checkout.settled, len(checkout.said)) == ([], 1)


def test_what_was_saved_before_the_session_is_served_at_its_beginning(checkout: Checkout) -> None:
    checkout.save("lambdas/a.py", "a = 2")
    checkout.run()
    assert (checkout.served(), checkout.changes()) == (["dev     a"], ["update x-a"])


def test_datasets_only(checkout: Checkout) -> None:
    session = checkout.run(lambda: checkout.save("datasets/crm.json", NEW))
    assert (checkout.served(), checkout.changes()) == (["dev     datasets version version-"], ["put_object"])
    assert checkout.engine.objects[-1]["Body"] == NEW.encode()
    session.end()
    assert checkout.settled == [["aws_lambda_invocation.migrate", "aws_s3_object.datasets"]]
    assert checkout.said[-1] == "dev     the plan is empty again"


def test_two_files_saved_one_after_the_other_are_one_change(checkout: Checkout) -> None:
    checkout.in_a_moment = [
        lambda: checkout.save("lambdas/b.py", "b = 2"), lambda: checkout.save("lambdas/a.py", "a = 3"),
    ]  # fmt: skip
    checkout.run(lambda: checkout.save("lambdas/a.py", "a = 2"))
    assert checkout.served() == ["dev     a, b"]
    assert sorted(checkout.changes()) == ["update x-a", "update x-b"]
    assert checkout.engine.code == {"x-a": b"a = 3", "x-b": b"b = 2"}


def test_what_was_built_while_files_were_saved_is_not_served(checkout: Checkout) -> None:
    """The first build has a new b.py and an old a.py."""
    checkout.while_building = [
        lambda: None, lambda: None, lambda: checkout.save("lambdas/a.py", "a = 2"), lambda: None,
    ]  # fmt: skip
    checkout.run(lambda: checkout.save("lambdas/b.py", "b = 2"), lambda: None)
    assert checkout.served() == ["dev     a, b"]
    assert checkout.engine.code == {"x-a": b"a = 2", "x-b": b"b = 2"}


def test_with_a_half_written_module_no_code_is_served_and_datasets_go_on(checkout: Checkout) -> None:
    def half() -> None:
        checkout.save("lambdas/a.py", "def (")
        checkout.save("lambdas/b.py", "b = 2")
        checkout.save("datasets/crm.json", NEW)

    session = checkout.run(half, lambda: None)
    broken = [line for line in checkout.said if line.startswith("dev     lambdas/a.py: line 1")]
    assert (len(broken), checkout.changes()) == (1, ["put_object"])
    session.end()
    assert checkout.settled == [["aws_lambda_invocation.migrate", "aws_s3_object.datasets"]]

    checkout.run(lambda: checkout.save("lambdas/a.py", "a = 3"))
    assert checkout.engine.code == {"x-a": b"a = 3", "x-b": b"b = 2"}


def test_while_an_imported_module_is_gone_no_code_is_served(checkout: Checkout) -> None:
    line = "dev     lambdas/b.py imports gone, which is not there; what was in service stays"
    checkout.run(
        lambda: checkout.save("lambdas/b.py", "import gone"),
        lambda: None,
        lambda: checkout.save("lambdas/b.py", "b = 2"),
    )
    assert checkout.said.count(line) == 1
    assert (checkout.served(), checkout.engine.code["x-b"]) == (["dev     b"], b"b = 2")


def test_a_file_that_is_deleted_while_it_is_built_is_said_once(checkout: Checkout) -> None:
    checkout.run(lambda: checkout.delete("lambdas/b.py"), lambda: None)
    said = [line for line in checkout.said if "b.py" in line]
    assert len(said) == 1
    assert said[0].endswith("what was in service stays")
    assert checkout.changes() == []


def test_wrong_datasets_stay_out_and_the_former_ones_need_no_call(checkout: Checkout) -> None:
    checkout.run(
        lambda: checkout.save("datasets/crm.json", '{"wrong": 1}'),
        lambda: None,
        lambda: checkout.save("datasets/crm.json", OLD),
    )
    assert checkout.said.count("dev     datasets/crm.json: fields: wrong; what was in service stays") == 1
    assert checkout.changes() == []


def test_the_engine_gone_and_back(checkout: Checkout) -> None:
    """It comes back with an earlier state: what had been served is served again."""

    def gone() -> None:
        checkout.engine.down = True
        checkout.save("lambdas/b.py", "b = 2")

    def back() -> None:
        checkout.engine.down = False
        checkout.engine.code["x-a"] = b"a = 1"

    checkout.run(lambda: checkout.save("lambdas/a.py", "a = 2"), gone, lambda: None, lambda: None, back)
    assert sum("the engine does not serve it" in line for line in checkout.said) == 1
    assert checkout.said.count("dev     the engine serves again") == 1
    assert checkout.engine.code == {"x-a": b"a = 2", "x-b": b"b = 2"}
    assert checkout.served() == ["dev     a", "dev     a, b"]
    assert checkout.waits.count(dev.RETRY_SECONDS) == 3


def test_the_engine_that_comes_back_empty(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        checkout.engine.down = True
        monkeypatch.setattr(terraform, "state", lambda _: {})
        checkout.save("lambdas/b.py", "b = 2")

    checkout.run(gone, lambda: setattr(checkout.engine, "down", False), lambda: None)
    assert checkout.said.count("dev     nothing is deployed: `make deploy`; trying again") == 1
    assert checkout.served() == []


def test_ctrl_c_while_a_change_is_served(checkout: Checkout) -> None:
    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    checkout.engine.wait = interrupted  # type: ignore[method-assign]
    session = checkout.run(lambda: checkout.save("lambdas/a.py", "a = 2"))
    session.end()
    assert checkout.settled == [["module.a.aws_lambda_function.this"]]
    assert ahead.read(checkout.instance) == set()


@pytest.mark.parametrize(
    ("error", "why"), [(KeyboardInterrupt(), ""), (SluiceError("no engine runs", 1), ": no engine runs")]
)
def test_a_second_ctrl_c_or_an_error_at_the_end_says_what_makes_the_plan_empty(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, error: BaseException, why: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    session = checkout.run(lambda: checkout.save("lambdas/a.py", "a = 2"))
    monkeypatch.setattr(terraform, "apply", fails)
    with pytest.raises(SluiceError) as raised:
        session.end()
    assert str(raised.value) == f"the state is not up to date, `sluice deploy` makes it so{why}"
    assert raised.value.code == console.FAILED
    assert ahead.read(checkout.instance) == {"a"}


def test_what_only_a_deployment_serves_is_said(checkout: Checkout) -> None:
    checkout.run(lambda: checkout.save("lambdas/function.toml", "layers = []"))
    assert "dev     lambdas/function.toml changed: `sluice deploy` puts it into service" in checkout.said
    assert checkout.changes() == []
