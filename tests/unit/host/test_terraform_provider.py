"""One process of the provider for all that Terraform asks of it; without it, Terraform starts its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sluice.polling import wait_until
from sluice.terraform import api, override, provider, runner
from sluice.terraform.settings import Workspace

ADDRESS = {
    "Protocol": "grpc",
    "ProtocolVersion": 5,
    "Pid": 1,
    "Test": True,
    "Addr": {"String": "/p", "Network": "unix"},
}
SAID = f"TF_REATTACH_PROVIDERS='{json.dumps({'registry.terraform.io/hashicorp/aws': ADDRESS})}'"
STAYS = "exec tail -f /dev/null"
SOURCE = "registry.opentofu.org/hashicorp/aws"  # OpenTofu's name; the provider always says Terraform's


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    environment = {"PATH": os.environ["PATH"], "PIDS": str(tmp_path / "pids")}
    return Workspace(tmp_path, tmp_path, None, environment, ("terraform",), (), tmp_path / "tflocal")


def install(space: Workspace, script: str, version: str = "5.1.0") -> Path:
    """A provider that records its pid and its arguments, and then does what the script says."""
    folder = space.data / "providers" / SOURCE / version / "linux_amd64"
    folder.mkdir(parents=True)
    path = folder / f"terraform-provider-aws_v{version}_x5"
    path.write_text(f'#!/bin/sh\necho $$ "$@" >> "$PIDS"\n{script}\n')
    path.chmod(0o755)
    return path


def started(space: Workspace) -> list[int]:
    """The pids of the providers that were started; each in debug mode."""
    lines = Path(space.environment["PIDS"]).read_text().splitlines()
    assert {line.split(maxsplit=1)[1] for line in lines} == {"-debug"}
    return [int(line.split()[0]) for line in lines]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):  # it may end between the two
        return True


def test_all_runs_of_the_block_share_one_provider_which_ends_with_it(space: Workspace) -> None:
    install(space, f'echo "Provider started."; echo; echo "\t{SAID.replace('"', chr(92) + '"')}"; {STAYS}')
    with provider.started(space) as found:
        assert json.loads(found.environment[provider.VARIABLE]) == {SOURCE: ADDRESS}
        assert replace(found, environment=space.environment) == space
        (pid,) = started(space)
        assert not is_gone(pid)
    assert wait_until(lambda: is_gone(pid), 30)


def test_an_error_ends_the_provider(space: Workspace) -> None:
    install(space, f'echo "{SAID.replace('"', chr(92) + '"')}"; {STAYS}')
    with pytest.raises(KeyboardInterrupt), provider.started(space):
        raise KeyboardInterrupt
    (pid,) = started(space)
    assert wait_until(lambda: is_gone(pid), 30)


def test_a_provider_does_not_outlive_a_command_that_is_killed(space: Workspace, tmp_path: Path) -> None:
    install(space, f'echo "{SAID.replace('"', chr(92) + '"')}"; {STAYS}')
    code = (
        "import sys; from pathlib import Path; from sluice.terraform import provider\n"
        "from sluice.terraform.settings import Workspace\n"
        f"here = Path({str(tmp_path)!r})\n"
        f"space = Workspace(here, here, None, {dict(space.environment)!r}, ('terraform',), (), here / 'tflocal')\n"
        "with provider.started(space):\n    print('up', flush=True)\n    sys.stdin.read()\n"
    )
    command = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"up\n"
        command.send_signal(signal.SIGKILL)
    (pid,) = started(space)
    assert wait_until(lambda: is_gone(pid), 30)


@pytest.mark.parametrize(
    "script",
    ["exit 1", "echo nonsense; exit 0", f"echo \"TF_REATTACH_PROVIDERS='{{'\"; {STAYS}",
     f"echo \"TF_REATTACH_PROVIDERS='{{}}'\"; {STAYS}", f"printf TF_REATTACH; {STAYS}"],
    ids=["fails", "ends", "is cut", "is empty", "says nothing"],
)  # fmt: skip
def test_terraform_starts_a_provider_by_itself_where_ours_does_not_start(
    script: str, space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "START_SECONDS", 1.0)
    install(space, script)
    with provider.started(space) as found:
        assert found == space
    (pid,) = started(space)
    assert wait_until(lambda: is_gone(pid), 30)


@pytest.mark.parametrize(
    "change",
    [
        lambda space: space,
        lambda space: replace(space, tflocal=install(space, SAID) and None),
        lambda space: install(space, SAID).chmod(0o644) or space,
        lambda space: install(space, SAID) and install(space, SAID, "5.2.0") and space,
    ],
    ids=["none is installed", "a real account", "not executable", "two versions"],
)
def test_no_provider_is_started_where_it_is_not_known_which(
    change: Callable[[Workspace], Workspace], space: Workspace
) -> None:
    changed = change(space)
    with provider.started(changed) as found:
        assert found is changed
    assert not Path(space.environment["PIDS"]).exists()


@pytest.mark.parametrize(("changes", "runs"), [(0, ["plan"]), (2, ["plan", "apply"])])
def test_a_deployment_starts_one_provider_for_all_its_runs(
    changes: int, runs: list[str], space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(space, f'echo "{SAID.replace('"', chr(92) + '"')}"; {STAYS}')
    (space.stack / "dev.tfvars").write_text("")
    seen: list[tuple[str, str | None]] = []

    def execute(where: Workspace, verb: str, *_: Any, **__: Any) -> runner.Run:
        seen.append((verb, where.environment.get(provider.VARIABLE)))
        return runner.Run(verb, returncode=2 if verb == "plan" and changes else 0)

    monkeypatch.setattr(runner, "execute", execute)
    monkeypatch.setattr(api, "_init", lambda *_: None)
    monkeypatch.setattr(api, "_init_key", lambda *_: "key")
    monkeypatch.setattr(api, "read_outputs", lambda *_: {})
    monkeypatch.setattr(override, "in_place", nullcontext)
    api._apply(space, space.stack / "dev.tfvars", None, lambda _: None, None)
    assert seen == [(verb, json.dumps({SOURCE: ADDRESS})) for verb in runs]
    assert len(started(space)) == 1
