"""A deployed stack: its outputs, and clients that talk to where it runs, the engine or a real account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sluice.console import fail
from sluice.instance import Instance, region


@dataclass(frozen=True)
class Stack:
    """endpoint_url is None for a real account, whose credentials are then those of the environment."""

    endpoint_url: str | None
    region: str
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, instance: Instance | None = None, *, env: str | None = None) -> Stack:
        """The stack of a running instance (the default one when None), or with `env` that of a real account.

        Outputs are empty when nothing is deployed. Raises SluiceError when the engine does not run.
        """
        from sluice import terraform

        if env is not None:
            outputs = terraform.aws_outputs(env)
            return cls(None, str(outputs.get("region") or region()), outputs)
        chosen = instance or Instance.default()
        endpoint_url = chosen.endpoint_url
        outputs = terraform.outputs(chosen)
        return cls(endpoint_url, str(outputs.get("region") or region()), outputs)

    def __getitem__(self, name: str) -> str:
        """An output that must be there. Raises SluiceError when nothing is deployed."""
        value = self.outputs.get(name)
        if value is None:
            fail(f"the stack has no output {name!r}: deploy it first (`make deploy`)", 1)
        return str(value)

    def client(self, service: str, **settings: Any) -> Any:
        """A boto3 client for the stack. `settings` go to botocore's Config."""
        import boto3
        from botocore.config import Config

        if self.endpoint_url is None:
            return cast(Any, boto3).client(service, region_name=self.region, config=Config(**settings))
        local: dict[str, Any] = {"max_pool_connections": 50, "retries": {"max_attempts": 2}, **settings}
        if service == "s3":
            local.setdefault("s3", {"addressing_style": "path"})
        return cast(Any, boto3).client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(**local),
        )

    def describe(self) -> dict[str, Any]:
        """Outputs with endpoint_url and region, as `sluice outputs --json` prints them."""
        return {"endpoint_url": self.endpoint_url, "region": self.region, **self.outputs}


def choose(target: str, env: str) -> Stack:
    """The stack that --target and --env ask for. Ends with code 2 when the target is neither local nor aws."""
    if target not in ("local", "aws"):
        fail(f"target {target!r} is not known: use local or aws")
    return Stack.load() if target == "local" else Stack.load(env=env)
