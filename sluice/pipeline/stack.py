"""A deployed stack: its outputs, and clients that talk to where it runs, the engine or a real account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.console import fail
from sluice.engine import clients
from sluice.engine.instance import Instance, region


@dataclass(frozen=True)
class Stack:
    """endpoint_url is None for a real account, whose credentials are then those of the environment."""

    endpoint_url: str | None
    region: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, instance: Instance | None = None, *, env: str | None = None) -> Stack:
        """The stack of a running instance (the default one when None), or with `env` that of a real account.

        Outputs are empty when nothing is deployed. Raises SluiceError when the engine does not run, or when the
        environment names another checkout's home or another engine.
        """
        from sluice import terraform

        if env is not None:
            outputs = terraform.outputs(terraform.Account(env))
            return cls(None, str(outputs.get("region") or region()), outputs)
        chosen = instance or Instance.default()
        if instance is None:
            chosen.refuse_other_endpoint()
        endpoint_url = chosen.endpoint_url
        outputs = terraform.outputs(chosen)
        return cls(endpoint_url, str(outputs.get("region") or region()), outputs)

    def __getitem__(self, name: str) -> str:
        """An output that must be there. Raises SluiceError when nothing is deployed."""
        value = self.outputs.get(name)
        if value is None:
            fail(f"the stack has no output {name!r}: deploy it first (`make deploy`)", 1)
        return str(value)

    @property
    def in_service(self) -> dict[str, str]:
        """What an Invoke needs beside the function's name, so that it reaches the version in service."""
        alias = self.outputs.get("function_alias")
        return {"Qualifier": str(alias)} if alias else {}

    def client(self, service: str, **settings: Any) -> Any:
        """A client for the stack, as boto3 makes it, the same one each time. `settings` go to botocore's Config."""
        if settings:
            return clients.new(service, self.endpoint_url, self.region, settings)
        if service not in self._clients:
            self._clients[service] = clients.new(service, self.endpoint_url, self.region, {})
        return self._clients[service]

    def describe(self) -> dict[str, Any]:
        """Outputs with endpoint_url and region, as `sluice outputs --json` prints them."""
        return {"endpoint_url": self.endpoint_url, "region": self.region, **self.outputs}


def choose(target: str, env: str) -> Stack:
    """The stack that --target and --env ask for. Ends with code 2 when the target is neither local nor aws."""
    if target not in ("local", "aws"):
        fail(f"target {target!r} is not known: use local or aws")
    return Stack.load() if target == "local" else Stack.load(env=env)
