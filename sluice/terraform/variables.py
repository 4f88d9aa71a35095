"""The few variables of the stack that are needed before Terraform runs: which deployment it is, and where it goes."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.console import fail
from sluice.engine.instance import region as region_of_shell
from sluice.paths import ENVS_DIR
from sluice.terraform import varfile

DEFAULT_REGION = "us-east-1"  # infra/stack/main.tf has the same one


@dataclass(frozen=True)
class Known:
    """What decides where a deployment and its state are. `allowed_accounts` is empty where any account will do."""

    project: str
    env: str
    region: str
    allowed_accounts: tuple[str, ...] = ()
    protected: bool = False
    """Whether AWS refuses to delete the tables (deletion_protection): data matters there."""


def known(var_file: Path, extra: Mapping[str, Any], stack: Path) -> Known:
    """As Terraform decides: --var, else the file, else TF_VAR_<name>, else the default.

    Raises SluiceError (code 2) for a file that varfile.check refuses, or that is no HCL.
    """
    varfile.check(var_file, stack)
    given = _shell() | _values(var_file) | {name: _text_or_json(value) for name, value in extra.items()}
    accounts = given.get("allowed_account_ids") or []
    if not isinstance(accounts, list):
        fail(f"{var_file}: allowed_account_ids must be a list of account numbers")
    return Known(
        project=str(given.get("project") or "sluice"),
        env=str(given.get("env") or ""),
        region=str(given.get("region") or DEFAULT_REGION),
        allowed_accounts=tuple(str(one) for one in accounts),
        protected=str(given.get("deletion_protection")).lower() == "true",
    )


def of_environment(env: str, stack: Path) -> Known:
    """Of an environment's own file; where that names no region, the shell's counts."""
    file = ENVS_DIR / f"{env}.tfvars"
    found = known(file, {}, stack)
    if "region" in (_shell() | _values(file)):
        return found
    return Known(found.project, found.env, region_of_shell(), found.allowed_accounts, found.protected)


def _shell() -> dict[str, Any]:
    prefix = "TF_VAR_"
    return {name[len(prefix) :]: _text_or_json(text) for name, text in os.environ.items() if name.startswith(prefix)}


def _values(path: Path) -> dict[str, Any]:
    import hcl2
    from lark.exceptions import LarkError

    try:
        found: dict[str, Any] = hcl2.load(io.StringIO(path.read_text(encoding="utf-8")))
    except (LarkError, ValueError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        fail(f"{path}: is no HCL: {lines[0]}")
    return {name: _plain(value) for name, value in found.items() if name != "__comments__"}


def _plain(value: Any) -> Any:
    """A value without the quotes that the parser leaves around strings."""
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1]
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _text_or_json(value: Any) -> Any:
    """What --var and TF_VAR_ mean by a value: HCL where it is a list, else the text."""
    if not isinstance(value, str) or not re.match(r"\s*[\[{]", value):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
