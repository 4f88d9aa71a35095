"""`make promote-check` itself: its steps, its shell, and that it ends at the first failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.console import SluiceError
from sluice.paths import STACK_DIR
from sluice.promotion import check, rehearsal
from sluice.terraform import varfile, variables


@pytest.fixture
def road(tmp_path: Path) -> rehearsal.Rehearsal:
    return rehearsal.Rehearsal(tmp_path, "http://127.0.0.1:1", branches=False)


def test_it_has_the_whole_road() -> None:
    names = [step.name for step in check.STEPS]
    wanted = [
        "bootstrap",
        "plan",
        "deploy",
        "smoke",
        "e2e of an account",
        "change",
        "drift",
        "gradual shift",
        "destroy",
        "re-create",
    ]
    assert [name for name in names if name in wanted] == wanted


def test_a_step_that_fails_ends_the_run(road: rehearsal.Rehearsal) -> None:
    ran = []

    def passes(_: rehearsal.Rehearsal) -> str:
        ran.append("passes")
        return "shown"

    def fails(_: rehearsal.Rehearsal) -> str:
        raise SluiceError("why")

    steps = (check.Step("a", passes), check.Step("b", fails), check.Step("c", passes))
    results = check.run(road, steps, lambda _: None)
    assert [(one.step, one.passed, one.shown) for one in results] == [("a", True, "shown"), ("b", False, "why")]
    assert ran == ["passes"]


def test_its_variables_are_the_environments_with_its_own(road: rehearsal.Rehearsal) -> None:
    road.write_variables(region="us-east-1", allowed_account_ids=[rehearsal.ACCOUNT])
    road.write_variables(log_retention_days=14)
    varfile.check(road.var_file, STACK_DIR)
    found = variables.known(road.var_file, {}, STACK_DIR)
    assert (found.env, found.region, found.allowed_accounts) == ("dev", "us-east-1", (rehearsal.ACCOUNT,))
    text = road.var_file.read_text()
    assert "log_retention_days = 14" in text
    assert text.count("log_retention_days") == 1
    assert all(f"{name} = false" in text for name in varfile.switches(STACK_DIR))


def test_its_shell_has_nothing_of_the_users_account(road: rehearsal.Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "TF_STATE_BUCKET", "SLUICE_HOME", "TF_VAR_region"):
        monkeypatch.setenv(name, "of the user")
    shell = road.environment()
    assert "of the user" not in shell.values()
    assert shell["AWS_ENDPOINT_URL"] == shell["SLUICE_ACCOUNT_ENDPOINT"] == road.endpoint
    assert Path(shell["SLUICE_ACCOUNTS"]).is_relative_to(road.home)
