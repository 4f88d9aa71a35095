"""Plain Terraform on a copy of infra/, without credentials and without an account.

Nothing here talks to an engine: the provider gets dummy keys, and every address it could call leads to a listener that
counts. `planned_addresses` is for suites that compare what they applied with what the plain provider would create.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sluice.paths import ROOT
from sluice.terraform import provider
from sluice.terraform.aws import OFFLINE_PROVIDER
from sluice.terraform.settings import common_environment, executable

INFRA = ROOT / "infra"
ENVS = INFRA / "envs"
ACCOUNT = INFRA / "tests/account.tfvars"
"""What prod.tfvars leaves to its user."""
ARTIFACTS = INFRA / "tests/artifacts"
"""Empty zips: a plan needs their names and hashes only."""


@dataclass
class Listener:
    """Accepts connections on a local port, counts them and hangs up."""

    port: int
    first_bytes: list[bytes] = field(default_factory=list)


@contextmanager
def listener() -> Iterator[Listener]:
    """A listener for as long as the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard = Listener(server.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # closed: the context has ended
                    return
                with connection:
                    connection.settimeout(2)
                    try:
                        heard.first_bytes.append(connection.recv(200))
                    except OSError:
                        heard.first_bytes.append(b"")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            # shutdown, because close alone does not wake a thread in accept
            server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


def copy_infra(target: Path) -> Path:
    """The code under infra/, without what Terraform or tflocal left in the checkout."""
    ignored = shutil.ignore_patterns(".terraform", "*.tfstate*", "*_override.tf", ".terraform.lock.hcl")
    shutil.copytree(INFRA, target, ignore=ignored)
    return target


def environment(home: Path, **more: str) -> dict[str, str]:
    """Variables for Terraform: the host tool's provider mirror, nothing of the user's AWS account."""
    variables = {k: v for k, v in common_environment(home).items() if not k.startswith(("AWS_", "TF_VAR_", "TF_DATA"))}
    # HOME is kept for Terraform's own settings; the AWS files in it are not to be read.
    variables.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, TF_IN_AUTOMATION="1")
    return variables | more


def terraform(folder: Path, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a folder; the caller looks at the return code."""
    command = [executable(), f"-chdir={folder}", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=900)


def one_provider(folder: Path, env: Mapping[str, str]) -> AbstractContextManager[dict[str, str]]:
    """The variables with which all of Terraform's runs in a folder that is initialized ask one provider process.

    Terraform would start one several times in each run, and for each `run` of `terraform test`: most of their cost.
    """
    return provider.attached(folder / ".terraform", env)


@dataclass(frozen=True)
class OfflinePlan:
    """A plan made without an account, and what the provider tried to reach while it was made."""

    document: dict[str, Any]
    contacted: tuple[bytes, ...]

    @property
    def addresses(self) -> frozenset[str]:
        changes = self.document["resource_changes"]
        return frozenset(
            c["address"] for c in changes if c["mode"] == "managed" and c["change"]["actions"] == ["create"]
        )

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Planned values by address of all resources of a type."""
        changes = self.document["resource_changes"]
        return {c["address"]: c["change"]["after"] for c in changes if c["type"] == kind}


@cache
def offline_plan(var_file: Path, **variables: str) -> OfflinePlan:
    """Plan the stack with a tfvars file, further variables and the plain provider.

    Raises AssertionError with Terraform's own words.
    """
    given = [f"-var={name}={value}" for name, value in variables.items()]
    with tempfile.TemporaryDirectory(prefix="sluice-plan-") as folder:
        of_the_user = [ACCOUNT] if var_file == ENVS / "prod.tfvars" else []
        return plan_in(copy_infra(Path(folder) / "infra"), [var_file, *of_the_user], *given)


def plan_in(infra: Path, var_files: list[Path], *options: str, **variables: str) -> OfflinePlan:
    """Plan a copy of infra/, with the state that is in its stack folder. Raises AssertionError like `offline_plan`.

    ``options`` are Terraform's, ``variables`` further ones of its environment.
    """
    stack = infra / "stack"
    with listener() as heard:
        (stack / "offline_override.tf").write_text(OFFLINE_PROVIDER)
        env = environment(infra.parent)
        made = terraform(stack, "init", "-input=false", "-no-color", env=env)
        assert made.returncode == 0, made.stderr
        nowhere = f"http://127.0.0.1:{heard.port}"
        env |= {"AWS_ENDPOINT_URL": nowhere, "CHECKPOINT_DISABLE": "1", "NO_PROXY": "", "no_proxy": ""}
        env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere)
        env |= variables
        settings = [*(f"-var-file={path.resolve()}" for path in var_files), f"-var=artifacts_dir={ARTIFACTS}"]
        with one_provider(stack, env) as attached:
            words = ["-input=false", "-no-color", "-out=plan", *options, *settings]
            made = terraform(stack, "plan", *words, env=attached)
            assert made.returncode == 0, made.stderr
            shown = terraform(stack, "show", "-json", "plan", env=attached)
        assert shown.returncode == 0, shown.stderr
        return OfflinePlan(json.loads(shown.stdout), tuple(heard.first_bytes))


def planned_addresses(var_file: Path, **variables: str) -> frozenset[str]:
    """Addresses of every resource that the plain provider would create with this tfvars file and these variables."""
    return offline_plan(var_file, **variables).addresses
