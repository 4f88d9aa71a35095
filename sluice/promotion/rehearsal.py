"""The shell of `make promote-check`: whose credentials the road's commands have, which engine, which variables."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.console import SluiceError
from sluice.paths import ENVS_DIR, HOST_ENV, STACK_DIR
from sluice.terraform import varfile

ENV, ACCOUNT, OTHER_ACCOUNT, REGION = "dev", "123456789012", "210987654321", "us-east-1"
REPOSITORY = "example/data"
ROLES = {"plan": "plan", "preflight": "plan", "drift": "plan", "deploy": "apply", "smoke": "apply", "shift": "apply",
         "rollback": "apply", "destroy": "apply"}  # fmt: skip
"""The bootstrap's role in whose session a verb runs, as in the workflows; every other verb is the account's."""
DEADLINE = 1800.0
"""Seconds that one command may take."""


@dataclass
class Rehearsal:
    """Where the commands run: an engine's address, folders of its own, and the variables of the deployment."""

    home: Path
    endpoint: str
    branches: bool
    variables: dict[str, Any] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    """ARNs of the bootstrap's roles, by what they are for; before it, the account runs every command."""

    @property
    def var_file(self) -> Path:
        """The environment's own file, with what this deployment has of its own."""
        return self.home / "check.tfvars"

    def write_variables(self, **more: Any) -> None:
        """Changes variables of the deployment."""
        self.variables |= more
        text = (ENVS_DIR / f"{ENV}.tfvars").read_text(encoding="utf-8")
        whole = text if self.branches else varfile.core_alone(text, STACK_DIR)
        self.var_file.write_text(varfile.with_values(whole, self.variables))

    def environment(self, **more: str) -> dict[str, str]:
        """The shell of the account's commands: its credentials, and the engine's address in the place of AWS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_", "SLUICE_"))}
        local = ",".join(filter(None, (kept.get("NO_PROXY"), "127.0.0.1")))
        return (
            kept
            | {
                "AWS_ENDPOINT_URL": self.endpoint,
                "SLUICE_ACCOUNT_ENDPOINT": self.endpoint,
                "AWS_ACCESS_KEY_ID": ACCOUNT,  # the engine takes the account's number from it
                "AWS_SECRET_ACCESS_KEY": "rehearsal",
                "AWS_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
                "SLUICE_ACCOUNTS": str(self.home / "accounts"),
                "NO_PROXY": local,
                "no_proxy": local,
            }
            | more
        )

    def session(self, verb: str) -> dict[str, str]:
        """The variables of a session of the role that the verb's job has; none before the bootstrap.

        https://docs.github.com/en/actions/security-for-github-actions/security-hardening-your-deployments/about-security-hardening-with-openid-connect
        """
        role = self.roles.get(ROLES.get(verb, ""))
        if role is None:
            return {}
        keys = self.client("sts").assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="rehearsal", WebIdentityToken=token()
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def client(self, service: str, verb: str = "") -> Any:
        """A client with the account's rights, or with those of a verb's role."""
        import botocore.session

        shell = self.environment(**(self.session(verb) if verb else {}))
        return botocore.session.get_session().create_client(
            service, region_name=REGION, endpoint_url=self.endpoint,
            aws_access_key_id=shell["AWS_ACCESS_KEY_ID"], aws_secret_access_key=shell["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=shell.get("AWS_SESSION_TOKEN"),
        )  # fmt: skip

    def command(self, verb: str, *words: str) -> list[str]:
        """A verb for the account."""
        return [str(HOST_ENV / "bin/sluice"), verb, "--target", "aws", "--env", ENV, *words]

    def sluice(self, verb: str, *words: str, code: int = 0, **shell: str) -> str:
        """Runs a verb in its role's session. Returns its output, or with another code than 0 what it said on stderr.

        shell: variables of another shell, with the account's credentials or its own.

        Raises SluiceError when it ends with another code.
        """
        done = subprocess.run(
            self.command(verb, *words), env=self.environment(**(shell or self.session(verb))), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip
        if done.returncode != code:
            said = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise SluiceError(f"sluice {verb} {' '.join(words)} ended with {done.returncode}, not {code}: {said}")
        return done.stdout if code == 0 else done.stderr

    def plan(self) -> dict[str, Any]:
        """`sluice plan` of the variables as they are now."""
        found: dict[str, Any] = json.loads(self.sluice("plan", "--var-file", str(self.var_file), "--json"))
        expect(found["applicable"] is True, "the plan is not applicable")
        return found

    def deploy(self) -> dict[str, Any]:
        """`sluice deploy` of the plan."""
        found: dict[str, Any] = json.loads(self.sluice("deploy", "--untested", "--json"))
        return found


def token(repository: str = REPOSITORY) -> str:
    """What GitHub gives a job of the repository in this environment, but for the signature."""
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "sub": f"repo:{repository}:environment:{ENV}",
        "aud": "sts.amazonaws.com",
        "exp": int(time.time()) + 600,
    }
    parts = (json.dumps(one).encode() for one in ({"alg": "RS256", "typ": "JWT"}, claims, "not signed"))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def expect(holds: bool, otherwise: str) -> None:
    """Raises SluiceError when it does not hold."""
    if not holds:
        raise SluiceError(otherwise)
