"""The stores of this extension: metrics, limits, tokens, asynchronous events, the record of roles.

Each of them has ``dump()``, which returns plain values with wall-clock times, and ``load(values)``. A module that
nothing has imported yet has nothing to save.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

# Name in the saved state -> module and attribute of the object.
_STORES = {
    "metrics": ("sluice_ext.metrics.store", "STORE"),
    "quotas": ("sluice_ext.apigateway.limits", "QUOTAS"),
    "tokens": ("sluice_ext.dynamodb.tokens", "TOKENS"),
    "roles": ("sluice_ext.iam.record", "RECORD"),
    "athena": ("sluice_ext.athena.store", "STORES"),
    "glue": ("sluice_ext.glue.store", "CATALOGS"),
    "glue jobs": ("sluice_ext.glue.jobs.store", "JOBS"),
    "redshift": ("sluice_ext.redshift.store", "STORES"),
    "redshift statements": ("sluice_ext.redshift.data.store", "STATEMENTS"),
    "sessions": ("sluice_ext.caller.sessions", "SESSIONS"),
    "s3 sequence": ("sluice_ext.s3.sequence", "SEQUENCE"),
}
# These need the functions or the scheduler that they are for, so they are loaded after the services have been started.
_AFTER_SERVICES = {
    "events": ("sluice_ext.delivery.async_events", "QUEUES"),
    "event deliveries": ("sluice_ext.events.deliveries", "PENDING"),
    "schedules": ("sluice_ext.scheduler.firing", "SAVED"),
    "inventories": ("sluice_ext.s3.inventory", "SAVED"),
    "crawlers": ("sluice_ext.glue.crawlers.schedules", "SAVED"),
}


def before_save() -> None:
    """Write what waits in buffers."""
    if writer := sys.modules.get("sluice_ext.logs.writer"):
        writer.WRITER.flush()


def collect() -> dict[str, Any]:
    """The content of every store that is in use."""
    return {
        name: getattr(sys.modules[module], attribute).dump()
        for name, (module, attribute) in (_STORES | _AFTER_SERVICES).items()
        if module in sys.modules
    }


def restore(saved: dict[str, Any]) -> None:
    """Fill the stores that need no service."""
    _load(_STORES, saved)


def restart(saved: dict[str, Any]) -> None:
    """Fill the others."""
    _load(_AFTER_SERVICES, saved)


def _load(stores: dict[str, tuple[str, str]], saved: dict[str, Any]) -> None:
    for name, (module, attribute) in stores.items():
        if name in saved:
            load: Callable[[Any], None] = getattr(importlib.import_module(module), attribute).load
            load(saved[name])
