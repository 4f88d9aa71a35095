"""One process of the AWS provider for all that a deployment to an engine asks of it.

Terraform starts the provider to read its schema, again to validate and again to plan, and once more to apply.
Each start reads the schemas of some thousand resource types. A provider that is started beforehand answers all of them.
https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from sluice.terraform.settings import Workspace

VARIABLE = "TF_REATTACH_PROVIDERS"
START_SECONDS = 30.0  # it takes less than one where nothing else runs
# The pipe closes when this process ends, however it does; otherwise the provider would stay for ever.
_UNTIL_STDIN_CLOSES = '"$0" -debug & cat >/dev/null; kill "$!" 2>/dev/null; wait'


@contextmanager
def started(space: Workspace) -> Iterator[Workspace]:
    """The workspace with a provider that runs while the block does. Unchanged for a real account, and where it is not
    known which provider is meant or it does not start so: Terraform then starts it by itself.
    """
    if space.tflocal is None or installed(space.data) is None:
        yield space
        return
    with attached(space.data, space.environment) as environment:
        yield replace(space, environment=environment)


@contextmanager
def attached(data: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables with which Terraform attaches to a provider that runs while the block does, and that Terraform's
    data folder has. Unchanged where there is no such provider or it does not start so.
    """
    binary = installed(data)
    if binary is None:
        yield dict(environment)
        return
    with tempfile.TemporaryDirectory(prefix="sluice-tf-") as sockets:  # others may not enter it
        process = subprocess.Popen(
            ["sh", "-c", _UNTIL_STDIN_CLOSES, str(binary)],
            env={**environment, "PLUGIN_UNIX_SOCKET_DIR": sockets, "TMPDIR": sockets},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt is Terraform's, which finishes what it has begun
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = _address(process.stdout, START_SECONDS)
            if address is None:
                yield dict(environment)
                return
            source = "/".join(binary.relative_to(data / "providers").parts[:3])
            yield {**environment, VARIABLE: json.dumps({source: address})}
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()


def installed(data: Path) -> Path | None:
    """The AWS provider that `terraform init` chose; None when there is none, or more than one is left from before.

    <data>/providers/<host>/<namespace>/<type>/<version>/<system>/terraform-provider-aws_<version>
    """
    found = list(data.glob("providers/*/hashicorp/aws/*/*/terraform-provider-aws_*"))
    return found[0] if len(found) == 1 and os.access(found[0], os.X_OK) else None


def _address(output: IO[bytes], seconds: float) -> object | None:
    """Where the provider listens, as it prints it; None when it ends, or says nothing within the time."""
    deadline = time.monotonic() + seconds
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and selector.select(left):
            more = os.read(output.fileno(), 65_536)
            if not more:
                return None
            said += more
            for line in said.splitlines(keepends=True):
                name, equals, value = line.strip().partition(b"=")
                if equals and name.endswith(VARIABLE.encode()) and line.endswith(b"\n"):
                    return _first(value.strip(b"'"))
    return None


def _first(text: bytes) -> object | None:
    """The value of a JSON object with one member; None for anything else."""
    try:
        found: dict[str, object] = json.loads(text)
        (address,) = found.values()
    except (ValueError, AttributeError):
        return None
    return address
