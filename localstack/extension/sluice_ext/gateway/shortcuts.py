"""Steps of LocalStack's request path that are skipped when they would do nothing.

Replaced:
- `create_parser` and `create_serializer` are cached for each service model, and every client has a model of its own.
  LocalStack makes a client for each execution and each session token, so a call to Lambda through one of them built a
  router of hundreds of rules (70 ms), and the cache held each to the end. Here it is one for each service.
- `ResponseLogger.__call__` builds a log record with all headers for every request, although only warnings are written
  (LS_LOG=warn).
- `LocalstackResourceHandler.__call__` searches its routes for every request, although all are under /_localstack.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from botocore.model import ServiceModel
from localstack.aws import skeleton
from localstack.aws.handlers import service
from localstack.aws.handlers.internal import LocalstackResourceHandler
from localstack.aws.handlers.logging import ResponseLogger
from localstack.aws.protocol import parser, serializer
from rolo.routing import router

from localstack import config, constants
from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    for owner, name in ((parser, "create_parser"), (serializer, "create_serializer")):
        once = _one_for_each_service(replace(owner, name, None, expect="(service, protocol)"))
        for place in (owner, service, skeleton):
            setattr(place, name, once)
    if config.LS_LOG in ("warn", "warning", "error") and not config.DEBUG:
        replace(ResponseLogger, "__call__", _log_nothing, expect="(self, _, context, response)")

    def serve(self: Any, chain: Any, context: Any, response: Any) -> None:
        if context.request.path.startswith(constants.INTERNAL_RESOURCE_PATH):
            original(self, chain, context, response)

    expect = "(self, chain, context, response)"
    original = replace(LocalstackResourceHandler, "__call__", serve, expect=expect)


@contextlib.contextmanager
def routes_added_in_place() -> Iterator[None]:
    """Until the server listens, no thread reads the routes, so each new one need not copy all the others.

    With the copies, loading the services of a whole stack takes a third longer.
    """
    copied = replace(router, "_clone_map_with_rules", lambda routes: routes, expect="(old)")
    try:
        yield
    finally:
        router._clone_map_with_rules = copied


def _one_for_each_service(create: Callable[..., Any]) -> Callable[..., Any]:
    """``create(model, protocol)``, called once for each service and protocol, however many models of it there are."""
    made: dict[tuple[int, str, str], tuple[Any, Any]] = {}
    create = inspect.unwrap(create)  # without its own cache, which would hold the models

    def one(model: ServiceModel, protocol: str | None = None) -> Any:
        # LocalStack's description of a service differs from that of boto3's clients; each is loaded once.
        description = model._service_description  # type: ignore[attr-defined]
        key = (id(description), model.service_name, protocol or model.protocol)
        if key not in made:
            made[key] = description, create(model, protocol)  # with what its id is of
        return made[key][1]

    return one


def _log_nothing(_self: Any, _chain: Any, _context: Any, _response: Any) -> None:
    """Nothing to log at this level."""
