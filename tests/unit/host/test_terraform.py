"""Terraform: provider mirrors, tfvars, and one line out of its errors."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import hcl2
import pytest

from sluice.commands._deployment import summary_of
from sluice.console import SluiceError
from sluice.engine import cleaning
from sluice.engine.instance import Instance
from sluice.paths import ENVS_DIR, STACK_DIR
from sluice.terraform import Applied, Change, api, aws, identity, override, runner, settings, varfile


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any Terraform configuration."""
    for name in ("TF_CLI_CONFIG_FILE", settings.MIRROR_VARIABLE, "XDG_DATA_HOME", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path / "cache")
    return tmp_path


def mirror(folder: Path) -> Path:
    (folder / settings.REGISTRY / "hashicorp/aws/5.100.0/linux_amd64").mkdir(parents=True)
    return folder


def test_our_variable_names_the_mirror_before_all_others(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror(own_home / "user/.terraform.d/plugins")
    wanted = mirror(own_home / "mine")
    monkeypatch.setenv(settings.MIRROR_VARIABLE, str(wanted))
    assert settings.find_mirror() == wanted


def test_terraforms_implied_mirror_is_found(own_home: Path) -> None:
    assert settings.find_mirror() != own_home / "user/.terraform.d/plugins"
    folder = mirror(own_home / "user/.terraform.d/plugins")
    assert settings.find_mirror() == folder


def test_a_folder_without_the_aws_provider_is_no_mirror(own_home: Path) -> None:
    (own_home / "x" / settings.REGISTRY / "hashicorp/aws").mkdir(parents=True)
    assert settings.find_mirror([own_home / "x"]) is None


def test_a_mirror_of_ours_that_holds_nothing_is_wrong_use(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.MIRROR_VARIABLE, str(own_home))
    with pytest.raises(SluiceError, match="holds no registry.terraform.io/hashicorp/aws"):
        settings.find_mirror([own_home])


def test_the_configuration_takes_what_the_mirror_has_and_the_rest_from_the_registry(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "mirror_candidates", lambda: [mirror(own_home / "m")])
    path = settings.cli_config(own_home / "home")
    assert path == own_home / "home/terraform/cli.tfrc"
    text = path.read_text()
    assert f'path    = "{own_home / "m"}"' in text
    assert text.count('["registry.terraform.io/hashicorp/aws"]') == 2


def test_without_a_mirror_providers_are_cached_for_all_instances(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "mirror_candidates", list)
    path = settings.cli_config(own_home / "home")
    assert path is not None
    assert f'plugin_cache_dir = "{own_home / "cache/terraform-providers"}"' in path.read_text()
    assert "provider_installation" not in path.read_text()


def test_the_users_own_configuration_decides(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_home / "user").mkdir()
    (own_home / "user/.terraformrc").write_text("")
    assert settings.cli_config(own_home / "home") is None
    named = own_home / "named.tfrc"
    named.write_text("")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(named))
    assert settings.cli_config(own_home / "home") == named


def test_a_named_configuration_that_does_not_exist_is_not_handed_on(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_home / "user").mkdir()
    (own_home / "user/.terraformrc").write_text("")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(own_home / "absent"))
    assert "TF_CLI_CONFIG_FILE" not in settings.common_environment(own_home / "home")


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_the_projects_tfvars_are_accepted(env: str) -> None:
    varfile.check(ENVS_DIR / f"{env}.tfvars", STACK_DIR)


def test_a_misspelt_variable_is_refused_with_line_and_suggestion(tmp_path: Path) -> None:
    path = tmp_path / "x.tfvars"
    path.write_text('env = "dev"\n\nforce_destory = true\n')
    with pytest.raises(SluiceError) as raised:
        varfile.check(path, STACK_DIR)
    assert str(raised.value) == (f"{path}:3: the stack has no variable 'force_destory'; did you mean 'force_destroy'?")
    assert raised.value.code == 2


def test_a_missing_tfvars_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(SluiceError, match="No such file") as raised:
        varfile.check(tmp_path / "x.tfvars", STACK_DIR)
    assert raised.value.code == 2


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_the_core_alone_is_the_environment_with_every_branch_off(env: str, tmp_path: Path) -> None:
    text = (ENVS_DIR / f"{env}.tfvars").read_text()
    switches = varfile.switches(STACK_DIR)
    assert switches == {name for name in varfile.assigned(text) if name.endswith("_enabled")}
    assert switches == {name for name in varfile.declared(STACK_DIR) if name.endswith("_enabled")}
    path = tmp_path / "core.tfvars"
    path.write_text(varfile.core_alone(text, STACK_DIR))
    varfile.check(path, STACK_DIR)
    found, whole = hcl2.loads(path.read_text()), hcl2.loads(text)
    assert {name: found.pop(name) for name in switches} == dict.fromkeys(switches, False)
    assert found == {name: value for name, value in whole.items() if name not in switches}


def test_a_tfvars_file_gets_other_values_at_its_top_level_only() -> None:
    text = "a = 1 # why\nmap = {\n  a = 2\n}\n"
    assert varfile.with_values(text, {"a": "x", "b": [1]}) == 'map = {\n  a = 2\n}\na = "x"\nb = [1]\n'


def test_only_the_top_level_of_a_tfvars_file_assigns() -> None:
    text = (
        'a = 1 # b = 2\nmap = {\n  c = "}"\n  d = [\n    1,\n  ]\n}\ntext = <<-EOT\n  e = 1\nEOT\nf="x=1"\n// g = 1\n'
    )
    assert varfile.assigned(text) == {"a": 1, "map": 2, "text": 8, "f": 11}


def event(kind: str, **content: Any) -> str:
    return json.dumps({"type": kind, **content})


def diagnostic(summary: str, detail: str = "", **more: Any) -> str:
    return event("diagnostic", diagnostic={"severity": "error", "summary": summary, "detail": detail, **more})


def test_a_run_counts_what_is_planned_and_done() -> None:
    run = runner.Run("apply")
    for line in (
        event("planned_change", change={"resource": {"addr": "a.b"}, "action": "create"}),
        event("change_summary", changes={"add": 1, "change": 2, "remove": 0, "operation": "plan"}),
        event("apply_complete", hook={}),
        event("outputs", outputs={"x": {"value": [1], "sensitive": False}, "null": {"action": "noop"}}),
        event("change_summary", changes={"add": 1, "change": 2, "remove": 0, "operation": "apply"}),
        "not json",
    ):
        run.take(line)
    assert (run.planned, run.total, run.done) == ({"a.b": "create"}, 3, 1)
    assert run.outputs == {"x": [1], "null": None}
    assert run.other == ["not json"]


@pytest.mark.parametrize(
    ("line", "message", "code"),
    [
        (diagnostic("Invalid value for variable", "env must be short.\n\nThis was checked by ...",
                    range={"filename": "variables.tf", "start": {"line": 16}}),
         "variables.tf:16: Invalid value for variable: env must be short.", 2),
        (diagnostic("Missing expression", "Expected\nmore.", range={"filename": "x.tfvars", "start": {"line": 3}}),
         "x.tfvars:3: Missing expression: Expected more.", 2),
        (diagnostic("No value for required variable", 'The root module input variable "env" is not set.'),
         'No value for required variable: The root module input variable "env" is not set.', 2),
        (diagnostic("creating SQS Queue", "AccessDenied: no", address="module.q.aws_sqs_queue.this"),
         "module.q.aws_sqs_queue.this: creating SQS Queue: AccessDenied: no", 1),
    ],
)  # fmt: skip
def test_errors_become_one_line_and_the_right_code(line: str, message: str, code: int) -> None:
    run = runner.Run("plan")
    run.take(line)
    error = runner.error_of(run)
    assert (str(error), error.code) == (message, code)


LOCKED = """Error message: operation error S3: PutObject, https response error StatusCode: 412, PreconditionFailed
Lock Info:
  ID:        1f0c
  Path:      b/sluice/prod/terraform.tfstate
  Operation: OperationTypeApply
  Who:       ann@laptop
  Version:   1.11.4
  Created:   2026-11-27 08:00:00.123 +0000 UTC

Terraform acquires a state lock to protect the state."""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (diagnostic("Error acquiring the state lock", LOCKED),
         "ann@laptop has locked the state since 2026-11-27 08:00:00"),
        (diagnostic("creating SQS Queue", "api error ExpiredToken: The security token is expired"),
         "the AWS credentials have expired: get new ones"
         " (creating SQS Queue: api error ExpiredToken: The security token is expired)"),
    ],
)  # fmt: skip
def test_a_lock_and_expired_credentials_are_named_in_plain_words(line: str, message: str) -> None:
    run = runner.Run("apply")
    run.take(line)
    error = runner.error_of(run)
    assert (str(error), error.code) == (message, 1)


def test_a_copy_that_is_brought_up_to_date_leaves_what_a_run_left_in_it(tmp_path: Path) -> None:
    """A command that only reads must not take the code, nor a state, away from a deployment that runs."""
    stack = settings.copy_infra(tmp_path / "infra") / "stack"
    (stack / "errored.tfstate").write_text("a state")
    (stack / "main.tf").write_text("changed")
    inode = (stack / "variables.tf").stat().st_ino
    settings.copy_infra(tmp_path / "infra")
    assert (stack / "errored.tfstate").read_text() == "a state"
    assert (stack / "main.tf").read_bytes() == (STACK_DIR / "main.tf").read_bytes()
    assert (stack / "variables.tf").stat().st_ino == inode


STACK_TRACE = {
    "errorMessage": 'silver.a.b is text,\nthe dataset says "bigint"',
    "errorType": "ColumnTypeChanged",
    "requestId": "0",
    "stackTrace": ['  File "/x.py", line 1, in handler\\n'],
}


@pytest.mark.parametrize("where", ["summary", "detail"])
def test_what_a_function_says_comes_first_and_without_its_stack_trace(where: str) -> None:
    said = f"invoking Lambda Function (s-migrate): {json.dumps(STACK_TRACE)}"
    texts = ("invoking it", said) if where == "detail" else (said, "")
    run = runner.Run("apply", returncode=1)
    run.take(diagnostic("creating the queue", "AccessDenied"))
    run.take(diagnostic(*texts, address="module.w.x.migrate", range={"filename": "main.tf", "start": {"line": 84}}))
    error = runner.error_of(run)
    assert (str(error), error.code) == (
        'silver.a.b is text, the dataset says "bigint" (ColumnTypeChanged in the function s-migrate; '
        "its log: sluice logs s-migrate) (and 1 more)",
        1,
    )


def hook(kind: str, address: str, type_: str, **more: object) -> str:
    resource = {"addr": address, "resource_type": type_}
    return json.dumps({"type": kind, "hook": {"resource": resource} | more})


FUNCTION = "module.warehouse[0].module.migrate.aws_lambda_function.this"
INVOCATION = "module.warehouse[0].aws_lambda_invocation.migrate"


@pytest.mark.parametrize("seen", ["refresh_complete", "apply_complete"])
def test_a_function_that_failed_says_why_at_once(seen: str) -> None:
    run, asked = runner.Run("apply"), []

    def cause(function: str) -> str:
        asked.append(function)
        return "migration 0006.bad failed: division by zero"

    run.take(hook(seen, FUNCTION, "aws_lambda_function", id_value="sluice-dev-migrate"))
    run.take(hook("apply_errored", INVOCATION, "aws_lambda_invocation"))
    run.take(hook("apply_errored", "aws_sqs_queue.q", "aws_sqs_queue"))
    assert run.failed == [INVOCATION, "aws_sqs_queue.q"]
    assert runner.failure(run, INVOCATION, "deploy", cause) == (
        "deploy  migration 0006.bad failed: division by zero in the function sluice-dev-migrate; "
        "Terraform ends what it has begun"
    )
    assert asked == ["sluice-dev-migrate"]
    silent = f"deploy  {INVOCATION} failed; Terraform ends what it has begun"
    assert runner.failure(run, INVOCATION, "deploy", lambda _: "") == silent
    assert runner.failure(run, INVOCATION, "deploy", None) == silent
    assert runner.failure(runner.Run("apply"), INVOCATION, "deploy", cause) == silent
    assert runner.failure(run, "aws_sqs_queue.q", "deploy", cause).startswith("deploy  aws_sqs_queue.q failed;")
    assert len(asked) == 1


def test_a_failure_is_reported_while_terraform_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def lines(*_: object) -> Iterator[str]:
        yield hook("refresh_complete", FUNCTION, "aws_lambda_function", id_value="f")
        yield hook("apply_errored", INVOCATION, "aws_lambda_invocation")
        assert said == ["deploy  why in the function f; Terraform ends what it has begun"]
        yield diagnostic("invoking", "in the end")

    monkeypatch.setattr(runner, "_lines", lines)
    space = settings.Workspace(Path(), Path(), None, {}, ("terraform",), ())
    with pytest.raises(SluiceError, match="in the end"):
        runner.execute(space, "apply", [], said.append, "deploy", cause=lambda _: "why")
    assert len(said) == 1


@pytest.mark.parametrize("payload", ['{"errorMessage": "cut', "{}", "null", '{"errorMessage"}'])
def test_what_a_function_says_in_another_form_is_shown_as_it_is(payload: str) -> None:
    run = runner.Run("apply")
    run.take(diagnostic("invoking", f"invoking Lambda Function (f): {payload}"))
    assert str(runner.error_of(run)) == f"invoking: invoking Lambda Function (f): {payload}"


def test_further_errors_are_counted() -> None:
    run = runner.Run("apply")
    for _ in range(3):
        run.take(diagnostic("broken"))
    assert str(runner.error_of(run)) == "broken (and 2 more)"


def test_a_run_that_dies_without_a_diagnostic_shows_its_last_line() -> None:
    run = runner.Run("apply", returncode=1)
    run.take("│ Error: no such thing")
    run.take("╵")
    assert str(runner.error_of(run)) == "terraform apply failed: Error: no such thing"


def test_outputs_are_read_from_the_state(tmp_path: Path) -> None:
    state = tmp_path / "terraform.tfstate"
    assert settings.outputs_of(state) == {}
    state.write_text(json.dumps({"version": 4, "outputs": {"bucket": {"value": "b", "type": "string"}}}))
    assert settings.outputs_of(state) == {"bucket": "b"}
    state.write_text("{")
    with pytest.raises(SluiceError, match="state cannot be read"):
        settings.outputs_of(state)


def test_a_copy_of_infra_holds_code_and_nothing_that_terraform_made(tmp_path: Path) -> None:
    made = settings.copy_infra(tmp_path / "infra")
    assert (made / "stack/main.tf").exists()
    assert (made / "modules").is_dir()
    names = {path.name for path in made.rglob("*")}
    assert names.isdisjoint({".terraform", ".terraform.lock.hcl", override.FILE})


def test_a_second_copy_of_infra_has_what_init_chose_for_the_first(tmp_path: Path) -> None:
    lock = settings.copy_infra(tmp_path / "infra") / "stack" / settings.LOCK
    lock.write_text("chosen")
    (lock.parent / "old.tf").write_text("")
    settings.copy_infra(tmp_path / "infra")
    assert lock.read_text() == "chosen"
    assert not (lock.parent / "old.tf").exists()


def test_init_runs_again_when_its_lock_is_gone(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    stack = own_home / "infra/stack"
    stack.mkdir(parents=True)

    def init(*_command: Any, **_options: Any) -> subprocess.CompletedProcess[str]:
        runs.append("init")
        (stack / settings.LOCK).write_text("")
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(api, "CACHE_DIR", own_home / "cache")
    monkeypatch.setattr(settings, "executable", lambda: "terraform")
    monkeypatch.setattr(api.subprocess, "run", init)
    space = settings.Workspace(stack, own_home / "data", None, {}, (), ())
    for _ in range(2):
        api._init(space, lambda _line: None)
    assert runs == ["init"]
    (stack / settings.LOCK).unlink()
    api._init(space, lambda _line: None)
    assert runs == ["init", "init"]


def test_a_shell_is_prepared_while_a_deployment_runs(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sluice env` needs nothing that the deployment has not done: it does not wait for the deployment's lock."""
    runs: list[str] = []
    stack = own_home / "infra/stack"
    stack.mkdir(parents=True)
    (stack / settings.LOCK).write_text("")
    space = settings.Workspace(stack, own_home / "data", None, {}, (), ())
    monkeypatch.setattr(settings, "executable", lambda: "terraform")
    monkeypatch.setattr(settings, "local_workspace", lambda _instance: space)
    monkeypatch.setattr(api, "_init", lambda *_: runs.append("init"))
    instance = Instance(own_home)
    assert not api._is_locked(space)
    with api._exclusive(space):
        api._stamp(space).write_text(api._init_key(space))
        assert api._is_locked(space)
        api.ensure_init(instance)  # would wait for ever
        assert runs == []
    assert not api._is_locked(space)
    api.ensure_init(instance)
    assert runs == ["init"]


def test_a_real_account_is_refused_in_a_shell_of_the_local_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    with pytest.raises(SluiceError, match="set up for the local engine") as raised:
        identity.check_credentials()
    assert raised.value.code == 2
    monkeypatch.setenv(identity.REHEARSAL_VARIABLE, "http://127.0.0.1:4567")
    with pytest.raises(SluiceError, match="set up for the local engine"):
        identity.check_credentials()


def test_a_real_account_needs_credentials(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SluiceError, match="^no AWS credentials: set AWS_PROFILE") as raised:
        identity.check_credentials()
    assert raised.value.code == 2


def test_a_state_bucket_is_used_through_an_override_in_the_copy(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "AWS_DIR", own_home / "aws")
    monkeypatch.setattr(settings, "executable", lambda: "terraform")
    monkeypatch.setattr(settings, "mirror_candidates", list)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv(aws.STATE_BUCKET_VARIABLE, "states")
    space = aws.workspace("prod")
    assert space.state is None
    assert space.backend == (str(ENVS_DIR / "prod.s3.tfbackend"), "bucket=states", "region=eu-west-1")
    assert 'backend "s3"' in (space.stack / "backend_override.tf").read_text()
    assert not (STACK_DIR / "backend_override.tf").exists()


def test_clean_leaves_the_state_of_a_real_account(tmp_path: Path) -> None:
    for env, resources in (("dev", []), ("prod", [{"type": "aws_s3_bucket"}])):
        (tmp_path / env).mkdir()
        (tmp_path / env / "terraform.tfstate").write_text(json.dumps({"resources": resources}))
    errored = tmp_path / "dev/infra/stack/errored.tfstate"
    errored.parent.mkdir(parents=True)
    errored.write_text("not whole")
    found = list(cleaning.resources_in_accounts(tmp_path))
    assert found == [errored, tmp_path / "prod/terraform.tfstate"]


def test_clean_finds_what_was_made_beside_the_code(tmp_path: Path) -> None:
    for name in ("a/__pycache__/x.pyc", "a/x.py", ".git/__pycache__/x", "p.egg-info/PKG", ".sluice/__pycache__/y",
                 "infra/stack/.terraform.lock.hcl", "infra/stack/main.tf"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = {str(path.relative_to(tmp_path)) for path in cleaning.made_beside_the_code(tmp_path)}
    assert found == {"a/__pycache__", "p.egg-info", "infra/stack/.terraform.lock.hcl"}


class TestSummary:
    """What a deployment ends with."""

    OUTPUTS: ClassVar = {"bronze_bucket": "sluice-dev-bronze", "account_id": "000000000000", "region": "us-east-1"}

    def lines(self, done: Applied, endpoint: str | None = "http://127.0.0.1:4566", shell: str = "") -> dict[str, str]:
        found = summary_of(done, endpoint, 42.4, shell)
        assert len(found) == 5
        assert [text for _, text in found if "\n" in text] == []
        return dict(found)

    def test_nothing_changed(self) -> None:
        assert self.lines(Applied(0, 0, 0, 8.9, self.OUTPUTS)) == {
            "endpoint": "http://127.0.0.1:4566",
            "bucket": "s3://sluice-dev-bronze; upload to bronze/<dataset>/",
            "changed": "nothing",
            "time": "42 s, 8 s of it Terraform's",
            "next": "sluice seed shipping --rows 500; sluice runs (sluice outputs: all 3 outputs)",
        }

    def test_a_few_changes_are_named_and_many_are_counted(self) -> None:
        changes = tuple(Change("update", f"aws_sqs_queue.q{n}") for n in range(5))
        few = Applied(0, 5, 0, 1.0, self.OUTPUTS, (Change("read", "data.x.y"), *changes))
        named = "5 changed: aws_sqs_queue.q0, aws_sqs_queue.q1, aws_sqs_queue.q2 and 2 more"
        assert self.lines(few)["changed"] == named
        many = Applied(228, 0, 1, 1.0, self.OUTPUTS, tuple(Change("create", f"a.b{n}") for n in range(229)))
        assert self.lines(many)["changed"] == "228 added, 1 removed"

    def test_an_account_is_named_by_its_number(self) -> None:
        assert self.lines(Applied(1, 0, 0, 1.0, self.OUTPUTS), None)["account"] == "000000000000, us-east-1"

    def test_a_shell_that_is_not_prepared_gets_the_line_that_prepares_it(self) -> None:
        said = self.lines(Applied(1, 0, 0, 1.0, self.OUTPUTS), shell='eval "$(/x/sluice env)"')["next"]
        assert said.startswith('eval "$(/x/sluice env)"; sluice seed')

    def test_a_stack_without_outputs_still_has_its_lines(self) -> None:
        assert self.lines(Applied(0, 0, 0, 1.0))["bucket"].startswith("s3://-")
