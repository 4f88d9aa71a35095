"""The verbs as they are typed: codes, lines, and what production asks for."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice import cli
from sluice.build import tested
from sluice.promotion import record
from tests.unit.promotion.conftest import ACCOUNT, OTHER, Cloud, Terraform

type Sluice = Callable[..., tuple[int, str, str]]


class Keyboard(io.StringIO):
    """A terminal at which this is typed."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def sluice(
    cloud: Cloud, terraform: Terraform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Sluice:
    """Runs a verb for an account; returns its code, stdout and stderr. Nothing is built."""
    for verb in ("plan", "deploy"):
        monkeypatch.setattr(f"sluice.commands.{verb}.build_changes", lambda **_: None)
    monkeypatch.setattr(tested, "require", lambda *_, **__: None)
    monkeypatch.delenv("TARGET", raising=False)
    cli.register_verbs()

    def run(verb: str, *words: str, env: str = "dev") -> tuple[int, str, str]:
        code = cli.run([verb, "--target", "aws", "--env", env, *words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def prod(tmp_path: Path, cloud: Cloud) -> str:
    """Variables of production."""
    file = tmp_path / "prod.tfvars"
    file.write_text(f'env = "prod"\nregion = "us-east-1"\nallowed_account_ids = ["{ACCOUNT}"]\n')
    cloud.buckets[f"sluice-prod-state-{ACCOUNT}-us-east-1"] = ACCOUNT
    return str(file)


def test_a_plan_says_what_is_next(sluice: Sluice, var_file: Path) -> None:
    code, shown, said = sluice("plan", "--var-file", str(var_file))
    assert code == 0
    assert "aws_s3_bucket.a" in shown
    assert f"for account {ACCOUNT}" in said
    assert "`make deploy TARGET=aws ENV=dev` applies it" in said
    code, shown, _ = sluice("plan", "--var-file", str(var_file), "--check", "--json")
    found = json.loads(shown)
    assert code == 1
    assert (found["applicable"], found["account"], found["region"]) == (True, ACCOUNT, "us-east-1")
    assert found["changes"] == [
        {"action": "create", "address": "aws_s3_bucket.a", "attributes": []},
        {"action": "update", "address": "aws_subnet.a", "attributes": ["tags"]},
    ]


def test_production_wants_its_name(
    sluice: Sluice, terraform: Terraform, prod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sluice("plan", "--var-file", prod, env="prod")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert sluice("deploy", env="prod")[::2] == (2, "sluice: prod asks for its name: --confirm prod\n")
    assert sluice("deploy", "--confirm", "dev", env="prod")[::2] == (2, "sluice: --confirm says dev, --env says prod\n")
    monkeypatch.setattr(sys, "stdin", Keyboard("dev\n"))
    code, _, said = sluice("deploy", env="prod")
    assert code == 2
    assert said.endswith("sluice: that is not prod: nothing was changed\n")
    assert "apply" not in terraform.verbs
    monkeypatch.setattr(sys, "stdin", Keyboard("prod\n"))
    assert sluice("deploy", env="prod")[0] == 0
    assert "apply" in terraform.verbs


def test_production_is_confirmed_without_a_terminal(sluice: Sluice, terraform: Terraform, prod: str) -> None:
    assert sluice("plan", "--var-file", prod, env="prod")[0] == 0
    code, shown, _ = sluice("deploy", "--confirm", "prod", "--json", env="prod")
    assert (code, json.loads(shown)["added"]) == (0, 1)


def test_data_that_is_protected_wants_its_name_in_every_environment(
    sluice: Sluice, terraform: Terraform, var_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads((terraform.home / "document.json").read_text())
    document["variables"]["deletion_protection"]["value"] = True
    (terraform.home / "document.json").write_text(json.dumps(document))
    assert sluice("plan", "--var-file", str(var_file))[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert sluice("deploy")[2] == "sluice: dev asks for its name: --confirm dev\n"


def test_a_deployment_has_the_variables_of_its_plan(sluice: Sluice, var_file: Path) -> None:
    for words in (("--var-file", str(var_file)), ("--var", "env=dev"), ("--function", "ingest")):
        code, _, said = sluice("deploy", *words)
        assert code == 2
        assert "are not for a plan" in said


def test_what_was_not_tested_does_not_go_to_an_account(
    sluice: Sluice, terraform: Terraform, var_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(tested, "require", lambda _, env, untested: asked.append((env, untested)))
    assert sluice("plan", "--var-file", str(var_file))[0] == 0
    assert sluice("deploy", "--untested")[0] == 0
    assert sluice("deploy", "--confirm", "prod", env="prod")[0] == 2
    assert asked == [("dev", True), ("prod", False)]


def test_destroy_of_another_account_is_refused(sluice: Sluice, cloud: Cloud, terraform: Terraform, prod: str) -> None:
    cloud.account = OTHER
    code, _, said = sluice("destroy", "--var-file", prod, "--confirm", "prod", env="prod")
    assert (code, said.startswith(f"sluice: account: the credentials are of account {OTHER}")) == (1, True)
    assert "destroy" not in terraform.verbs


def test_destroy_of_production_wants_its_name(
    sluice: Sluice, terraform: Terraform, prod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert sluice("destroy", "--var-file", prod, "--yes", env="prod")[2] == (
        "sluice: prod asks for its name: --confirm prod\n"
    )
    assert "destroy" not in terraform.verbs
    assert sluice("destroy", "--var-file", prod, "--confirm", "prod", env="prod")[0] == 0
    assert "destroy" in terraform.verbs


def test_preflight_needs_no_plan_and_shows_all_that_is_wrong(sluice: Sluice, cloud: Cloud, var_file: Path) -> None:
    cloud.quota, cloud.zones = 10, ()
    code, shown, _ = sluice("preflight", "--var-file", str(var_file), "--json")
    wrong = [one["check"] for one in json.loads(shown)["findings"] if not one["holds"]]
    assert (code, wrong) == (1, ["concurrency", "zones"])
    assert list(record.plan_file("dev").parent.glob("*.tfplan")) == []
    cloud.quota, cloud.zones = 1000, ("us-east-1a",)
    assert sluice("preflight", "--var-file", str(var_file))[0] == 0


def test_drift_ends_with_1_and_names_it(sluice: Sluice, var_file: Path) -> None:
    code, shown, _ = sluice("drift", "--var-file", str(var_file), "--json")
    assert code == 1
    assert json.loads(shown)["drift"][1] == {"what": "changed", "address": "aws_sqs_queue.q", "attributes": ["delay"]}


@pytest.mark.parametrize("verb", ["bootstrap", "preflight", "unlock"])
def test_what_is_only_for_an_account_says_so(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.register_verbs()
    words = ["1"] if verb == "unlock" else []
    assert cli.run([verb, *words, "--target", "local"]) == 2
    assert "--target aws" in capsys.readouterr().err
