"""The workflows of GitHub Actions: each command, file and variable that they name exists, and few jobs may write."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sluice import cli

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".github/workflows"
WORKFLOWS: dict[str, dict[str, Any]] = {
    file.name: yaml.load(file.read_text(), yaml.BaseLoader) for file in sorted(FOLDER.glob("*.yml"))
}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
MAY_ALSO = {
    ("plan.yml", "plan"): {"contents": "read", "id-token": "write"},
    ("plan.yml", "comment"): {"pull-requests": "write"},
    ("deploy.yml", "dev"): {"contents": "read", "id-token": "write"},
    ("deploy.yml", "prod"): {"contents": "read", "id-token": "write"},
    ("account.yml", "deploy"): {"contents": "read", "id-token": "write"},
}
"""Jobs that may do more than read the repository."""


def steps() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, job in JOBS:
        for step in WORKFLOWS[name]["jobs"][job].get("steps", []):
            yield name, job, step


def lines(program: str) -> list[tuple[str, list[str]]]:
    """The calls of a program in all steps, as words after its name."""
    found = []
    for name, job, step in steps():
        for line in step.get("run", "").splitlines():
            words = shlex.split(line)
            if words and words[0].rsplit("/")[-1] == program:
                end = next((place for place, word in enumerate(words) if word in (">", "|", ";", "&&")), len(words))
                found.append((f"{name}, {job}", words[1:end]))
    return found


def test_every_run_is_a_shell_script() -> None:
    for name, job, step in steps():
        if "run" in step:
            done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
            assert done.returncode == 0, f"{name}, {job}: {done.stderr}"
            assert "${{" not in step["run"], f"{name}, {job}: a value in a script may be code: pass it by env"


def test_every_make_target_is_in_the_makefile_and_gets_variables_that_it_knows() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.M))
    called = lines("make")
    assert {"lint", "test", "e2e", "demo", "plan", "deploy", "docs"} <= {word for _, words in called for word in words}
    for where, words in called:
        for word in words:
            name, is_variable, _ = word.partition("=")
            assert (f"$({name})" in makefile) if is_variable else name in targets, f"{where}: make {word}"


def options_of(words: list[str]) -> set[str] | None:
    """The options of the verb that the words name; None when there is no such verb."""
    command: Any = typer.main.get_command(cli.app)
    while words and hasattr(command, "get_command"):
        command, words = command.get_command(None, words[0]), words[1:]
    return command and {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def of_make(words: list[str]) -> Iterator[list[str]]:
    """The sluice commands that a call of make runs, with the options in ARGS."""
    given = next((word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")), "")
    for target in words:
        recipe = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
        for verb in re.findall(r"\$\(SLUICE\) ([a-z]+)[^\n]*\$\(ARGS\)", recipe[1] if recipe else ""):
            yield [verb, *shlex.split(given)]


def test_every_sluice_command_has_the_options_that_it_is_given() -> None:
    cli.register_verbs()
    called = lines("sluice")
    assert {"check", "capacity", "preflight", "smoke", "drift"} <= {words[0] for _, words in called}
    called += [(where, command) for where, words in lines("make") for command in of_make(words)]
    assert ["deploy", "--confirm", "$ENVIRONMENT"] in [words for _, words in called]
    for where, words in called:
        known = options_of(words)
        assert known is not None, f"{where}: sluice {' '.join(words)}"
        unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - known
        assert unknown == set(), f"{where}: {words}"


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_may_only_what_it_needs_ends_in_time_and_waits_for_jobs_that_exist(name: str, job: str) -> None:
    workflow = WORKFLOWS[name]
    found = workflow["jobs"][job]
    assert workflow["permissions"] == {"contents": "read"}
    assert found.get("permissions") == MAY_ALSO.get((name, job))
    assert "timeout-minutes" in found or "uses" in found
    needs = found.get("needs", [])
    assert {needs} if isinstance(needs, str) else set(needs) <= workflow["jobs"].keys()
    assert found.get("uses", "").removeprefix("./.github/workflows/") in {"", *WORKFLOWS}


def test_actions_are_pinned_by_commit_the_same_everywhere() -> None:
    used: dict[str, set[str]] = {}
    for name in WORKFLOWS:
        for use in re.findall(r"uses: (?!\./)(.*)", (FOLDER / name).read_text()):
            pinned = re.fullmatch(r"([\w.-]+/[\w./-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", use)
            assert pinned, f"{name}: {use}"
            used.setdefault(pinned[1], set()).add(pinned[2])
    assert len(used) >= 5
    assert {action: pins for action, pins in used.items() if len(pins) > 1} == {}


def test_what_a_job_fetches_another_has_stored() -> None:
    """By name or pattern, in the same workflow or in one that runs before it."""

    def of(action: str, key: str) -> set[str]:
        return {step["with"][key] for *_, step in steps()
                if step.get("uses", "").startswith(f"actions/{action}@") and key in step["with"]}  # fmt: skip

    stored = of("upload-artifact", "name")
    assert of("download-artifact", "name") <= stored
    for pattern in of("download-artifact", "pattern"):
        assert any(name.startswith(pattern.rstrip("*")) for name in stored)


def test_production_waits_for_tests_and_dev_and_for_its_environment() -> None:
    jobs = WORKFLOWS["deploy.yml"]["jobs"]
    assert (jobs["prod"]["needs"], jobs["dev"]["needs"]) == ("dev", "test")
    assert WORKFLOWS["account.yml"]["jobs"]["deploy"]["environment"] == "${{ inputs.env }}"
    assert {jobs[name]["with"]["env"] for name in ("dev", "prod")} == {"dev", "prod"}
    runs = [step["run"] for *_, step in steps() if "run" in step and "$ENVIRONMENT" in step["run"]]
    order = [run.split()[1] for run in runs if " TARGET=aws" in run or "--target aws" in run]
    # account.yml has two ways to plan; then plan.yml
    assert order == ["plan", "plan", "preflight", "deploy", "shift", "smoke", "drift", "plan"]
    assert (jobs["dev"]["with"].get("next"), jobs["prod"]["with"].get("gradual")) == ("prod", "true")


def test_every_variable_of_the_repository_is_on_the_page_and_nothing_is_a_secret() -> None:
    text = "".join((FOLDER / name).read_text() for name in WORKFLOWS)
    assert "secrets." not in text
    named = set(re.findall(r"vars\.(\w+)", text))
    for name in re.findall(r"format\('(\w+)_\{0\}'", text):
        named |= {f"{name}_DEV", f"{name}_PROD"}
    page = (ROOT / "docs/actions.md").read_text()
    assert named == set(re.findall(r"`([A-Z][A-Z_]+[A-Z])`", page))
    assert {f"`{name}`" for name in WORKFLOWS} <= set(re.findall(r"^\| (`\w+\.yml`) ", page, re.M))
