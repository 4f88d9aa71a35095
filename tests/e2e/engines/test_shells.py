"""A checkout in an odd path, in a shell that is prepared for everything else: engine, clients and Terraform work."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from sluice.pipeline.stack import Stack
from sluice.setup import bootstrap
from tests.support.checkouts import Checkout, copy_of
from tests.support.shells import HOSTILE

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("embedded_only")]


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = copy_of(tmp_path / "mein Prüf'stand (1) #x%20")
    yield made
    made.sluice("down", "--quiet")


def typed(checkout: Checkout, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The checkout's command in a shell with all hostile variables, few files, private files, and no home."""
    script = checkout.root / "sluice-of-the-copy"
    imports = f"import sys; sys.path[:0] = [{str(checkout.root)!r}]\n"
    text = bootstrap.launcher(checkout.root / ".sluice/host/bin/python")
    script.write_text(text.replace("from sluice.cli", imports + "from sluice.cli"), encoding="utf-8")
    script.chmod(0o755)
    temporary = tmp_path / "temporary files"
    temporary.mkdir(exist_ok=True)
    shell = {"PATH": os.environ["PATH"], "ENGINE": "embedded", "HOME": "/proc/nowhere", "TMPDIR": str(temporary)}
    kept = {name: os.environ[name] for name in ("SLUICE_TF_MIRROR",) if name in os.environ}
    return subprocess.run(
        ["bash", "-c", 'umask 077; ulimit -n 256; exec "$0" "$@"', str(script), *words],
        cwd=checkout.root, env=HOSTILE | kept | shell, stdin=subprocess.DEVNULL, capture_output=True,
        encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip


def test_an_engine_works_in_an_odd_path_and_a_shell_of_other_projects(checkout: Checkout, tmp_path: Path) -> None:
    up = typed(checkout, tmp_path, "up")
    assert up.returncode == 0, up.stderr
    info = checkout.instance.info()
    assert info
    assert info.endpoint_url.startswith("http://127.0.0.1:"), "GATEWAY_LISTEN is not the shell's"
    with build_opener(ProxyHandler({})).open(f"{info.endpoint_url}/_localstack/health", timeout=30) as answer:
        services = json.load(answer)["services"]
    assert {"s3", "lambda", "dynamodb"} <= services.keys(), "SERVICES is not the shell's"

    env = typed(checkout, tmp_path, "env", "--json")  # initialises Terraform
    assert env.returncode == 0, env.stderr
    variables = json.loads(env.stdout)
    assert variables["AWS_ENDPOINT_URL"] == info.endpoint_url
    assert variables["SLUICE_HOME"] == str(checkout.instance.home)
    assert (checkout.instance.terraform_dir / "data").is_dir()

    s3 = Stack(info.endpoint_url, "us-east-1").client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="ü b", Body=b"rows")
    assert s3.get_object(Bucket="bucket", Key="ü b")["Body"].read() == b"rows"

    status = typed(checkout, tmp_path, "status", "--json")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["healthy"] is True
    down = typed(checkout, tmp_path, "down")
    assert down.returncode == 0, down.stderr
    assert down.stderr.endswith("\nengine  stopped\n")
