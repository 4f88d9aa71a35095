"""Glue jobs: how definitions are checked and completed, how a run's end is worded, and how scripts read arguments."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.glue.jobs import outcomes, validation
from sluice_ext.glue.jobs.kinds import SHELL, SPARK
from sluice_ext.glue.jobs.validation import Invalid

INSIDE = Path(outcomes.__file__).with_name("inside")


def definition(kind: str = SPARK, **more: Any) -> dict[str, Any]:
    return {"Name": "j", "Role": "r", "Command": {"Name": kind, "ScriptLocation": "s3://b/k.py"}} | more


def test_a_definition_is_completed_with_the_defaults_of_aws() -> None:
    spark = validation.completed(definition(GlueVersion="6.0", WorkerType="G.2X", NumberOfWorkers=3))
    assert (spark["Timeout"], spark["MaxCapacity"], spark["AllocatedCapacity"]) == (480, 6.0, 6)
    assert (spark["Command"]["PythonVersion"], spark["ExecutionProperty"]) == ("3", {"MaxConcurrentRuns": 1})
    old = validation.completed(definition())
    assert (old["GlueVersion"], old["Timeout"], old["MaxCapacity"]) == ("0.9", 2880, 10.0)
    shell = validation.completed(definition(SHELL))
    assert (shell["MaxCapacity"], shell["Command"]["PythonVersion"], "GlueVersion" in shell) == (0.0625, "3.9", False)


def test_completing_changes_nothing_twice_and_not_what_it_was_given() -> None:
    asked = definition(SHELL)
    once = validation.completed(asked)
    assert validation.completed(once) == once
    assert asked == definition(SHELL)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"Name": ""}, "Job name"), ({"Name": "a\nb"}, "Job name"), ({"Role": ""}, "Role"),
        ({"Command": {"Name": "glueray", "ScriptLocation": "s3://b/k"}}, "glueray are not supported"),
        ({"Command": {"Name": "x", "ScriptLocation": "s3://b/k"}}, "'x' is not valid"),
        ({"Command": {"Name": SPARK, "ScriptLocation": "/etc/passwd"}}, "is not a path in S3"),
        ({"Command": {"Name": SPARK, "ScriptLocation": "s3://b/k", "PythonVersion": "2"}}, "Python version 2"),
        ({"MaxRetries": 11}, "Max retries must be from 0 to 10, not 11"), ({"Timeout": 0}, "Timeout"),
        ({"ExecutionProperty": {"MaxConcurrentRuns": 0}}, "Max concurrent runs"),
        ({"WorkerType": "G.1X", "NumberOfWorkers": 2, "MaxCapacity": 2.0}, "do not set Max Capacity"),
        ({"WorkerType": "G.3X", "NumberOfWorkers": 2}, "Worker type G.3X"), ({"NumberOfWorkers": 2}, "set both"),
        ({"MaxCapacity": 1.0}, "at least 2"), ({"GlueVersion": "six"}, "Glue version six"),
        ({"DefaultArguments": {"--job-bookmark-option": "on"}}, "--job-bookmark-option must be one of"),
        ({"DefaultArguments": {"--job-bookmark-option": "job-bookmark-pause"}}, "pause is not supported"),
        ({"DefaultArguments": {"--job-language": "scala"}}, "Job language scala"),
        ({"NonOverridableArguments": {"--extra-jars": "s3://b/x.jar"}}, "--extra-jars is not supported"),
        ({"DefaultArguments": {"--enable-glue-datacatalog": "true"}}, "does not see the catalog"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_name(more: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=r".") as caught:
        validation.completed(definition() | more)
    assert said in str(caught.value)


def test_arguments_of_a_run_win_over_defaults_and_lose_against_fixed_ones() -> None:
    job = {"DefaultArguments": {"--a": "1", "--b": "1", "--c": "1"}, "NonOverridableArguments": {"--c": "3"}}
    assert validation.merged(job, {"--b": "2", "--c": "2"}) == {"--a": "1", "--b": "2", "--c": "3"}
    assert validation.merged({}, {}) == {}


@pytest.mark.parametrize(
    ("outcome", "status", "shell", "spark"),
    [
        ({"ok": True}, 0, "", ""),
        ({"ok": True}, 1, "Command failed with exit code 1", "Command failed with exit code 1"),
        (None, 0, "", ""),
        (None, -9, "Command failed with exit code 137", "Command failed with exit code 137"),
        ({"type": "KeyError", "message": "'a'", "line": 4}, 1, "KeyError: 'a'",
         "Error Category: UNCLASSIFIED_ERROR; Failed Line Number: 4; KeyError: 'a'"),
        ({"type": "ModuleNotFoundError", "message": "No module named 'x'", "line": None}, 1,
         "ModuleNotFoundError: No module named 'x'",
         "Error Category: IMPORT_ERROR; ModuleNotFoundError: No module named 'x'"),
        ({"type": "SystemExit", "message": "3", "line": 2}, 1, "SystemExit: 3",
         "Error Category: UNCLASSIFIED_ERROR; Failed Line Number: 2; SystemExit: 3"),
        ({"type": "ClientError", "message": "An error occurred (AccessDenied)"}, 1,
         "ClientError: An error occurred (AccessDenied)",
         "Error Category: PERMISSION_ERROR; ClientError: An error occurred (AccessDenied)"),
    ],
)  # fmt: skip
def test_an_end_is_worded_as_on_aws(outcome: Any, status: int, shell: str, spark: str) -> None:
    assert outcomes.failure(SHELL, outcome, status) == shell
    assert outcomes.failure(SPARK, outcome, status) == spark


def test_only_ends_have_events() -> None:
    run = {"JobName": "j", "Id": "jr_1", "ErrorMessage": "boom"}
    assert [outcomes.event(run | {"JobRunState": state}) for state in ("STARTING", "RUNNING", "STOPPING")] == [None] * 3
    assert outcomes.event(run | {"JobRunState": "FAILED"}) == {
        "jobName": "j", "severity": "ERROR", "state": "FAILED", "jobRunId": "jr_1", "message": "boom"
    }  # fmt: skip


def options_reader() -> Any:
    spec = importlib.util.spec_from_file_location("awsglue_utils", INSIDE / "awsglue/utils.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]{1,8}", fullmatch=True), st.text(max_size=20), max_size=5))
def test_a_script_gets_every_argument_as_it_was_given(values: dict[str, str]) -> None:
    """Values may be empty, begin with minus signs, and look like other arguments."""
    words = [word for name, value in values.items() for word in (f"--{name}", value)]
    found = options_reader().getResolvedOptions(["script", *words, "--TempDir", "s3://t"], list(values))
    assert found == values | {"TempDir": "s3://t"} | ({"TempDir": values["TempDir"]} if "TempDir" in values else {})


def test_a_missing_argument_is_an_error_that_names_it() -> None:
    module = options_reader()
    with pytest.raises(module.GlueArgumentError, match="required: --who"):
        module.getResolvedOptions(["script", "--other", "1"], ["who"])


def run(tmp_path: Path, script: str, engine: int | None = None) -> tuple[int, Any]:
    (tmp_path / "s.py").write_text(script)
    outcome = tmp_path / "outcome.json"
    words = [str(os.getpid() if engine is None else engine), str(outcome), str(tmp_path / "s.py"), "--a", "1"]
    command = [sys.executable, str(INSIDE / "bootstrap.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(outcome.read_text()) if outcome.exists() else None


def test_the_process_of_a_run_says_how_its_script_ended(tmp_path: Path) -> None:
    good = "import sys, __main__\nassert sys.argv[1:] == ['--a', '1'] and __name__ == '__main__'"
    assert run(tmp_path, good) == (0, {"ok": True})
    assert run(tmp_path, "x = 1\n\ndef f():\n    1 / 0\nf()") == (
        1, {"type": "ZeroDivisionError", "message": "division by zero", "line": 4}
    )  # fmt: skip
    assert run(tmp_path, "import sys; sys.exit('no')") == (1, {"type": "SystemExit", "message": "no", "line": 1})
    (tmp_path / "outcome.json").unlink()
    assert run(tmp_path, "import os; os._exit(0)") == (0, None)
    assert run(tmp_path, "print(1)", engine=1) == (1, None)  # not the engine's child
