"""tflocal's file beside the code, which points the AWS provider at the engine, made once for the same code and engine.

tflocal parses all of the code and asks Terraform for its version before each run, which takes longer than starting
Terraform does. It writes the same file each time, so runs of ours take it from the last one and start Terraform.
https://github.com/localstack/terraform-local (DRY_RUN writes the file and ends)
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.console import fail
from sluice.terraform.settings import LOCK, Workspace

FILE = "localstack_providers_override.tf"
_SETTINGS = ("AWS_", "LOCALSTACK_", "S3_", "EDGE_", "TF_CMD", "CUSTOMIZE_ACCESS_KEY", "USE_")


@contextmanager
def in_place(space: Workspace) -> Iterator[None]:
    """The file is beside the code while the block runs. Nothing for a workspace of a real account.

    Raises SluiceError when tflocal cannot make it.
    """
    if space.tflocal is None:
        yield
        return
    target = space.stack / FILE
    try:
        target.write_text(_text(space, space.tflocal))
        yield
    finally:
        target.unlink(missing_ok=True)


def _text(space: Workspace, tflocal: Path) -> str:
    kept = space.data / "override.tf"
    wanted = f"# {_key(space, tflocal)}\n"
    try:
        text = kept.read_text()
        if text.startswith(wanted):
            return text
    except (OSError, UnicodeDecodeError):
        pass
    text = wanted + _made_by(tflocal, space)
    partial = kept.with_suffix(".part")
    partial.write_text(text)
    partial.replace(kept)
    return text


def _key(space: Workspace, tflocal: Path) -> str:
    """Changes with everything that the file is made from: code, providers' lock, engine, and tflocal itself."""
    digest = hashlib.sha256(str(tflocal.stat().st_mtime_ns).encode())
    files = (path for path in space.stack.glob("*.tf") if path.name != FILE)
    for path in sorted([*files, *space.stack.glob(LOCK)]):
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    for name, value in sorted(space.environment.items()):
        if name.startswith(_SETTINGS):
            digest.update(f"\0{name}={value}".encode())
    return digest.hexdigest()


def _made_by(tflocal: Path, space: Workspace) -> str:
    target = space.stack / FILE
    done = subprocess.run(
        [str(tflocal), "plan"], cwd=space.stack, env=space.environment | {"DRY_RUN": "1"}, check=False,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode or not target.exists():
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it wrote no file"]
        fail(f"tflocal failed: {lines[-1]}", 1)
    return target.read_text()
