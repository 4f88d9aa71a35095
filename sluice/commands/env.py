"""`sluice env`: exports for a shell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sluice import console
from sluice.options import Json

if TYPE_CHECKING:
    from sluice.engine.instance import Instance

PANEL, ORDER = "Engine", 13

WAREHOUSE = "SLUICE_WAREHOUSE_DSN"
# Another account's profile or session would be mixed with the engine's keys; a former warehouse may be gone.
FOREIGN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "TF_CLI_CONFIG_FILE",
           "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
           WAREHOUSE)  # fmt: skip
# A service's own endpoint goes before AWS_ENDPOINT_URL, and what moves Terraform or psql elsewhere goes before all.
FOREIGN_PREFIXES = ("AWS_ENDPOINT_URL_", "TF_WORKSPACE", "TF_CLI_ARGS", "TF_ENCRYPTION", "TF_REATTACH_PROVIDERS")
FOREIGN_TO_WAREHOUSE = ("PGHOSTADDR", "PGSERVICE", "PGSSL", "PGGSS", "PGREQUIRE", "PGCHANNELBINDING", "PGOPTIONS",
                        "PGTARGETSESSIONATTRS")  # fmt: skip


def env(json: Json = False) -> None:
    """Print shell exports with which any AWS client, tflocal in infra/stack and psql reach the running engine.

    Use it as: eval "$(sluice env)". SLUICE_WAREHOUSE_DSN is the warehouse's, for its reader, when one is deployed.
    """
    import shlex

    from sluice import terraform
    from sluice.engine.instance import Instance
    from sluice.paths import BIN_DIR, link_commands

    instance = Instance.default()
    variables = terraform.shell_environment(instance) | _warehouse(instance)
    terraform.ensure_init(instance)
    link_commands()
    if json:
        console.print_json({**variables, "PATH": f"{BIN_DIR}{os.pathsep}{os.environ.get('PATH', '')}"})
        return
    prefixes = FOREIGN_PREFIXES + (FOREIGN_TO_WAREHOUSE if WAREHOUSE in variables else ())
    foreign = [name for name in os.environ if name in FOREIGN or name.startswith(prefixes)]
    unset = sorted(name for name in foreign if name not in variables)
    if unset:
        print(f"unset {' '.join(unset)}")
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    if str(BIN_DIR) not in os.environ.get("PATH", "").split(os.pathsep):
        print(f'export PATH={shlex.quote(str(BIN_DIR))}:"$PATH"')


def _warehouse(instance: Instance) -> dict[str, str]:
    """The reader's DSN, password included; nothing when no warehouse is deployed, or its login cannot be read."""
    from sluice.branches.warehouse import login
    from sluice.pipeline.stack import Stack

    info, stack = instance.info(), Stack.load(instance)
    if info is None or not login.is_deployed(stack):
        return {}
    try:
        return {WAREHOUSE: login.reader(stack, info.postgres_port).dsn}
    except console.SluiceError as error:
        console.note(f"env     without {WAREHOUSE}: {error}")
        return {}
