"""The Terraform code itself: formatted, valid, its own tests pass, every variable typed and described."""

import json
import re
from pathlib import Path

import pytest

from tests.infra.conftest import MockRun
from tests.infra.module_docs import MODULES
from tests.infra.planning import INFRA, copy_infra, environment, terraform

TEST_FILES = sorted(path.name for path in (INFRA / "tests").glob("*.tftest.hcl"))
SOURCES = sorted(
    path for path in INFRA.rglob("*.tf") if ".terraform" not in path.parts and "_override" not in path.name
)


def test_code_is_formatted(tmp_path: Path) -> None:
    done = terraform(copy_infra(tmp_path / "infra"), "fmt", "-check", "-recursive", "-diff", env=environment(tmp_path))
    assert done.returncode == 0, f"run `terraform fmt -recursive infra`:\n{done.stdout}{done.stderr}"


def test_stack_is_valid_and_uses_nothing_that_the_next_major_of_the_provider_removes(tmp_path: Path) -> None:
    """Version 5.100, the last of its major, warns of it. Version 6 itself is planned where a mirror has it.

    https://registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/version-6-upgrade
    """
    stack = copy_infra(tmp_path / "infra") / "stack"
    env = environment(tmp_path)
    made = terraform(stack, "init", "-backend=false", "-input=false", "-no-color", env=env)
    assert made.returncode == 0, made.stderr
    done = terraform(stack, "validate", "-json", env=env)
    assert json.loads(done.stdout)["diagnostics"] == [], done.stdout


def test_every_module_takes_both_majors_of_the_provider() -> None:
    versions = [path for path in SOURCES if "required_providers" in path.read_text()]
    assert len(versions) > 20
    assert [str(path) for path in versions if 'version = ">= 5.100, < 7"' not in path.read_text()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TEST_FILES)
def test_every_mocked_run_passes(mock_run: MockRun, name: str) -> None:
    assert name in mock_run.runs, (mock_run.errors, mock_run.stderr)
    assert mock_run.errors.get(name, []) == []
    assert {run: status for run, status in mock_run.runs[name].items() if status != "pass"} == {}


def test_every_module_is_tested() -> None:
    tests = "".join((INFRA / "tests" / name).read_text() for name in TEST_FILES)
    building_blocks = [module.name for module in MODULES if module.parent.name == "modules"]
    assert [name for name in building_blocks if f'source = "./modules/{name}"' not in tests] == []


def test_every_branch_is_called_in_a_file_of_its_own_and_is_in_the_output() -> None:
    listed = (INFRA / "stack/branches.tf").read_text()
    for branch in (module.name for module in MODULES if module.parent.name == "branches"):
        text = (INFRA / f"stack/branch_{branch}.tf").read_text()
        assert f'module "{branch}" {{\n  source = "../branches/{branch}"' in text
        assert f"module.{branch}[0].branch" in listed or f"in module.{branch} :" in listed, branch


def test_a_module_is_named_so_that_terraform_knows_what_is_used_of_it() -> None:
    """`module.bucket[name].arn` waits for all that the module makes; `module.bucket["bronze"].arn` for the ARN.

    The lifecycle settings that it makes are watched for a minute: every branch began a minute later.
    https://developer.hashicorp.com/terraform/language/expressions/references
    """
    wanted = re.compile(r"\bmodule\.\w+\[(?![\"0*])")
    assert [
        f"{path.relative_to(INFRA)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if wanted.search(line)
    ] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_module_has_the_usual_files(module: Path) -> None:
    assert {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"} <= {
        path.name for path in module.iterdir()
    }


@pytest.mark.parametrize("kind", ["variable", "output"])
def test_everything_declared_is_described(kind: str) -> None:
    missing = []
    for path in SOURCES:
        for name, body in re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', path.read_text(), re.MULTILINE | re.DOTALL):
            wanted = ["description"] + (["type"] if kind == "variable" else [])
            missing += [
                f"{path.relative_to(INFRA)}: {name} has no {word}" for word in wanted if f"  {word} " not in body
            ]
    assert missing == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(INFRA)))
def test_code_does_not_know_where_it_runs(path: Path) -> None:
    found = re.findall(
        r"localstack|localhost|127\.0\.0\.1|emulat|is_local|000000000000", path.read_text(), re.IGNORECASE
    )
    assert found == []


def test_nothing_is_looked_up_while_planning() -> None:
    """A data source would call AWS during plan, and a plan without credentials would fail."""
    assert [str(path) for path in SOURCES if re.search(r'^data "', path.read_text(), re.MULTILINE)] == []
