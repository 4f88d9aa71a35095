"""migrate: brings the warehouse up to date, at every deploy whose SQL, datasets or database changed. Safe to repeat.

One at a time: an advisory lock, which PostgreSQL releases when its holder dies, is held from first step to last.
"""

import json
import os
from functools import partial
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice_pipeline.catalog.deployed import load_catalog
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import failure_logged, traced
from warehouse.database import Login
from warehouse.migrate import apply as migrations
from warehouse.migrate import roles, tables, views
from warehouse.migrate.locks import limit_waits, patiently

logger = Logger()
secrets = client("secretsmanager")
LOCK: Final = 7_533_174_211  # any number that no other program locks


def master_login(certificates: str) -> Login:
    """RDS stores name and password only: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html"""
    secret = json.loads(secrets.get_secret_value(SecretId=os.environ["MASTER_SECRET_ARN"])["SecretString"])
    host, port, name = (os.environ[f"DATABASE_{part}"] for part in ("HOST", "PORT", "NAME"))
    return Login(host, int(port), name, secret["username"], secret["password"], certificates)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """What was done, by name; nothing secret, for Terraform stores the answer in its state.

    ``certificates`` of the event, if any, prove the server from now on: to this function, and by the logins to all.
    """
    with failure_logged(logger):
        return _migrate(master_login(event.get("certificates", "")))


def _migrate(master: Login) -> dict[str, Any]:
    with master.connect("migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        limit_waits(connection)  # not for the lock before: its holder is a migration, and ends
        logins = {}
        for role, arn in json.loads(os.environ["ROLE_SECRET_ARNS"]).items():
            logins[role] = patiently(partial(roles.ensure, connection, secrets, arn, role, master))
        applied = patiently(lambda: migrations.apply(master))
        catalog = load_catalog()
        changed = patiently(lambda: tables.ensure(connection, catalog))
        viewed = patiently(lambda: views.ensure(connection, catalog))
    done = {"roles": logins, "migrations": applied, "tables": changed, "views": viewed}
    logger.info("up to date", extra=done)
    return done
