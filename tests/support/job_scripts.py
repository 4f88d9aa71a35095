"""Scripts of Glue jobs as modules: they are in no package, and Glue's own package is not installed here."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

from sluice.paths import ROOT


def job_script(branch: str, name: str) -> Any:
    """jobs/<branch>/<name>.py as a module; ``awsglue`` is there while it is loaded."""
    utils = ModuleType("awsglue.utils")
    utils.getResolvedOptions = None  # type: ignore[attr-defined]
    glue = {"awsglue": ModuleType("awsglue"), "awsglue.utils": utils}
    before = {name: sys.modules[name] for name in glue if name in sys.modules}
    spec = importlib.util.spec_from_file_location(f"job_{branch}_{name}", ROOT / f"jobs/{branch}/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules |= glue
    try:
        spec.loader.exec_module(module)
    finally:
        for one in glue:
            del sys.modules[one]
        sys.modules |= before
    return module
