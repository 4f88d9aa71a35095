"""Lambda executor `process`: each execution environment is a process running AWS's own runtime client."""

import tempfile
from pathlib import Path


def install() -> None:
    """Make LocalStack's Lambda service use this execution environment and its pool."""
    from sluice_ext.executor import patches

    patches.install()


def shutdown() -> None:
    """Kill every function process and remove code, layers and scratch space."""
    from sluice_ext.executor import process

    process.kill_all()
    process.remove_tree(Path(tempfile.gettempdir()) / "lambda")
