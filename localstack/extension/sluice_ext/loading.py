"""A service whose first load failed is loaded again; in LocalStack it stays unusable until the engine ends.

Replaced: `ServicePluginManager._load_service_plugin`. Calls to several services import them at the same time, and when
two threads meet in modules that import each other, Python ends one of the imports (`_DeadlockError`). The other one
ends well, so the next try finds the modules.
"""

import logging
import time
from _frozen_importlib import _DeadlockError  # type: ignore[attr-defined]
from typing import Any, Final

from localstack.services.plugins import ServicePluginManager

from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.2


def install() -> None:
    """Replace it; raises UnexpectedEngine when LocalStack is not the version we know."""

    def load(self: Any, name: str) -> Any:
        for tries_left in reversed(range(_TRIES)):
            try:
                return original(self, name)
            except Exception as error:
                _forget(self, name)
                if not (tries_left and isinstance(error, _DeadlockError)):
                    raise
                LOG.info("%s is loaded again: %s", name, error)
                time.sleep(_PAUSE_SECONDS)
        raise AssertionError("unreachable")

    original = replace(ServicePluginManager, "_load_service_plugin", load, expect="(self, name)")


def _forget(manager: Any, name: str) -> None:
    """The plugin manager raises an error that it once met for ever, also after a load that succeeded."""
    for provider in manager.api_provider_specs.get(name, ()):
        container = manager.plugin_manager._require_plugin(f"{name}:{provider}")
        container.init_error = container.load_error = None
