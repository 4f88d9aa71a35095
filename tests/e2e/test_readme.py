"""Every command of the README is run, or named here with what runs it instead."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from sluice.instance import Instance
from sluice.paths import ROOT
from sluice.stack import Stack
from tests.e2e.conftest import RUNNING, TEST_VARS

BY_HAND = "test_terraform_by_hand_shares_the_state_of_the_deployment"
# A command that a test session cannot run inside itself, and where it is run instead.
ELSEWHERE = {
    "make demo": "test_demo.py runs `sluice demo`, which is all the target does after set-up",
    "make test": "is what runs this file",
    "make e2e": "is what runs this file",
    "make up": "conftest starts the engine with the same function; test_engine_lifecycle.py has its cases",
    "make down": "conftest stops the engine with the same function",
    "make deploy": "conftest deploys with the same function",
    "make plan TARGET=aws ENV=prod": "needs an account; tests/infra plans prod without one",
    "make deploy TARGET=aws ENV=prod": "needs an account",
    "aws s3 ls": "any client the reader has; test_env_serves_any_client asks with boto3",
    "tflocal apply -var-file=../envs/dev.tfvars": BY_HAND,
    "tflocal plan -detailed-exitcode -var-file=../envs/dev.tfvars": BY_HAND,
    "cd infra/stack": BY_HAND,
    'eval "$(.sluice/host/bin/sluice env)"': "run before each of the others here",
}


def commands() -> Iterator[str]:
    for block in re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            command = re.sub(r"\s+#\s.*$", "", line).strip()
            if command:
                yield command


RUN_HERE = [command for command in dict.fromkeys(commands()) if command not in ELSEWHERE]


def shell(instance: Instance, script: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Runs a line as a reader would: in a new shell with hardly an environment, after `eval "$(sluice env)"`."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    environment = kept | ({} if RUNNING else {"SLUICE_HOME": str(instance.home)})
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'eval "$(.sluice/host/bin/sluice env)"\n{script}'],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_no_command_stands_here_that_the_readme_has_not() -> None:
    assert set(ELSEWHERE) <= set(commands())
    assert RUN_HERE


@pytest.mark.parametrize("command", RUN_HERE)
def test_a_command_of_the_readme_works(stack: Stack, instance: Instance, command: str) -> None:
    del stack  # deployed
    done = shell(instance, command)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip()


def test_env_serves_any_client(stack: Stack, instance: Instance) -> None:
    script = "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    done = shell(instance, f'python -c "{script}"')
    assert done.returncode == 0, done.stderr
    assert stack["bronze_bucket"] in done.stdout


def test_terraform_by_hand_shares_the_state_of_the_deployment(stack: Stack, instance: Instance) -> None:
    del stack  # deployed
    session = "" if RUNNING else " ".join(f"-var {name}={value}" for name, value in TEST_VARS.items())
    apply, plan = (command for command in commands() if command.startswith("tflocal"))
    done = shell(instance, f"cd infra/stack\n{apply} -auto-approve {session}\n{plan} {session}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Resources: 0 added, 0 changed, 0 destroyed." in done.stdout
    assert "No changes." in done.stdout
