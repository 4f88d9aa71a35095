"""The reader's login to the warehouse, as this machine reaches the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from sluice.console import fail

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Login:
    """What a PostgreSQL client needs. The password is in no message and no repr."""

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)

    @property
    def address(self) -> str:
        """The DSN without the password."""
        return f"postgresql://{quote(self.user, safe='')}@{self.host}:{self.port}/{quote(self.dbname, safe='')}"

    @property
    def dsn(self) -> str:
        """The DSN with the password."""
        return self.address.replace("@", f":{quote(self.password, safe='')}@", 1)


def is_deployed(stack: Stack) -> bool:
    return "reader" in (stack.outputs.get("warehouse_secret_arns") or {})


def reader(stack: Stack, port: int | None = None) -> Login:
    """The login of sluice_reader, from Secrets Manager. port: PostgreSQL's on this machine, when the stack is on the
    engine: the secret names the address that functions use, which in containers is another one.

    Raises SluiceError (code 1) when no warehouse is deployed, or its secret cannot be read.
    """
    import json

    from botocore.exceptions import BotoCoreError, ClientError

    if not is_deployed(stack):
        fail("no warehouse is deployed: `warehouse_enabled = true` in the tfvars, then `make deploy`", 1)
    client = stack.client("secretsmanager", connect_timeout=2, read_timeout=5, retries={"max_attempts": 1})
    try:
        secret = client.get_secret_value(SecretId=stack.outputs["warehouse_secret_arns"]["reader"])["SecretString"]
        found = json.loads(secret)
        host = found["host"] if port is None else "127.0.0.1"
        return Login(host, port or int(found["port"]), found["dbname"], found["username"], found["password"])
    except (BotoCoreError, ClientError) as error:
        fail(f"the warehouse's login cannot be read from Secrets Manager: {error}", 1)
    except (ValueError, KeyError, TypeError) as error:
        fail(f"the warehouse's secret is not yet a database login ({type(error).__name__}): `make deploy`", 1)
