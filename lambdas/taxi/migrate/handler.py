"""taxi-migrate: brings the warehouse of trips up to date, at every deployment whose SQL or warehouse changed.

Safe to repeat.
"""

import json
import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import failure_logged, traced
from taxi.migrate import schema
from taxi.warehouse import StatementFailed, Warehouse

logger = Logger()
warehouse = Warehouse(
    client("redshift-data"), os.environ["WORKGROUP"], os.environ["DATABASE"], os.environ["ADMIN_SECRET_ARN"]
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """What was done; nothing secret, for Terraform stores the answer in its state."""
    with failure_logged(logger):
        return _migrate()


def _migrate() -> dict[str, Any]:
    loader = schema.user_of(os.environ["LOADER_ROLE"])
    readers = [schema.user_of(role) for role in json.loads(os.environ["READER_ROLES"])]
    warehouse.run_all(schema.TABLES, "taxi-migrate-tables")
    created = [user for user in (loader, *readers) if _ensure(user)]
    warehouse.run_all(schema.grants(loader, readers), "taxi-migrate-grants")
    done = {"users": {"created": created, "granted": [loader, *readers]}, "tables": len(schema.TABLES)}
    logger.info("up to date", extra=done)
    return done


def _ensure(user: str) -> bool:
    """Whether it was made now. Redshift makes it, too, when its role comes for the first time."""
    if _exists(user):
        return False
    try:
        warehouse.run(schema.create_user(user))
    except StatementFailed:
        if _exists(user):  # made in between
            return False
        raise
    return True


def _exists(user: str) -> bool:
    return bool(warehouse.rows(schema.USERS, {"name": user}))
