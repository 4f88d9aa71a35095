"""Terraform for an instance (through tflocal) and for a real account (plain), from the same code and tfvars."""

from sluice.terraform.api import (
    Applied,
    Change,
    Deployed,
    Plan,
    apply,
    aws_apply,
    aws_destroy,
    aws_outputs,
    aws_plan,
    deployed,
    destroy,
    ensure_init,
    outputs,
    plan,
)
from sluice.terraform.settings import cli_config, shell_environment

__all__ = [
    "Applied",
    "Change",
    "Deployed",
    "Plan",
    "apply",
    "aws_apply",
    "aws_destroy",
    "aws_outputs",
    "aws_plan",
    "cli_config",
    "deployed",
    "destroy",
    "ensure_init",
    "outputs",
    "plan",
    "shell_environment",
]
