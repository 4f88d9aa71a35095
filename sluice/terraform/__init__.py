"""Terraform for an instance (with tflocal's file) and for a real account (plain), from the same code and tfvars."""

from sluice.terraform.api import (
    Account,
    Applied,
    Change,
    Deployed,
    Plan,
    Target,
    apply,
    deployed,
    destroy,
    ensure_init,
    outputs,
    plan,
    state,
)
from sluice.terraform.settings import cli_config, shell_environment

__all__ = [
    "Account",
    "Applied",
    "Change",
    "Deployed",
    "Plan",
    "Target",
    "apply",
    "cli_config",
    "deployed",
    "destroy",
    "ensure_init",
    "outputs",
    "plan",
    "shell_environment",
    "state",
]
