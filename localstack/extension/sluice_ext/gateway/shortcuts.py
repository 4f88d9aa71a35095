"""Steps of LocalStack's request path that are skipped when they would do nothing.

Replaced:
- `create_parser` and `create_serializer` are cached for each service model, and every client has a model of its own.
  LocalStack makes a client for each execution and each session token, so a call to Lambda through one of them built a
  router of hundreds of rules (70 ms), and the cache held each to the end. Here it is one for each service.
- `ResponseLogger.__call__` builds a log record with all headers for every request, although only warnings are written
  (LS_LOG=warn).
- `LocalstackResourceHandler.__call__` searches its routes for every request, although all are under /_localstack.
- `Router.dispatch` searches all routes for every request to ``/``, where most services have their calls. What no route
  matches is remembered until the routes change: LocalStack makes a new map of them then.
- `ResponseSerializer._get_mime_type` compares the types that the client accepts with those that there are; the same
  headers come with each call.
- `Headers.get` and ``in`` of werkzeug raise an exception with a page for a browser for each header that is not there,
  some fifteen times a request; `Headers.update` looks through both lists for each header.
- `parse_to_aware_datetime` of the serializer guesses how a date is written; S3's answers have the one of HTTP.
- `UserAgentString.to_string`: LocalStack's clients make the same User-Agent twice for each call, of a dozen parts that
  are cleaned and joined: a fifth of a request to an API. A client's is made once.
- `is_collect_metrics_mode` reads the environment three times a request.
- Ids of requests and traces come from the kernel; for each of these calls the thread lets go of the interpreter, and a
  busy one may not be given back for 5 ms. They are names and no secrets, so Python's own numbers do.
"""

import contextlib
import inspect
import random
import time
import uuid
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from botocore.model import ServiceModel
from botocore.useragent import UserAgentString
from localstack.aws import skeleton
from localstack.aws.api import core
from localstack.aws.handlers import service
from localstack.aws.handlers.internal import LocalstackResourceHandler
from localstack.aws.handlers.logging import ResponseLogger
from localstack.aws.protocol import parser, serializer
from localstack.utils.xray.traceid import TraceId
from rolo.routing import router
from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound

from localstack import config, constants
from sluice_ext.patching import replace

_REMEMBERED = 1000
"""Hosts and methods that no route matches; headers of clients; dates."""
_DATE = len("Sun, 06 Nov 1994 08:49:37 GMT")


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
    _install_unmatched_routes()
    _install_mime_types()
    _install_headers()
    _install_dates()
    _install_ids()
    _install_user_agents()
    mode = config.is_collect_metrics_mode()
    replace(config, "is_collect_metrics_mode", lambda: mode, expect="()")


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


def _install_unmatched_routes() -> None:
    def dispatch(self: Any, request: Any) -> Any:
        if request.path == "/":
            routes, place = self.url_map, (request.host, request.method)
            searched, unmatched = self.__dict__.get("sluice_unmatched", (None, set()))
            if searched is not routes:
                searched, unmatched = self.__dict__["sluice_unmatched"] = routes, set()
            if place in unmatched:
                raise NotFound
            if _matches_none(routes, *place) and len(unmatched) < _REMEMBERED:
                unmatched.add(place)
        return original(self, request)

    original = replace(router.Router, "dispatch", dispatch, expect="(self, request)")


def _matches_none(routes: Any, host: str, method: str) -> bool:
    try:
        routes.bind(server_name=host).match("/", method=method)
    except NotFound:
        return True
    except Exception:  # noqa: BLE001  (LocalStack's search meets it, too)
        return False
    return False


def _install_mime_types() -> None:
    @lru_cache(_REMEMBERED)
    def of(maker: Any, accept: str | None, content_type: str | None) -> Any:
        given = {"Accept": accept, "Content-Type": content_type}
        return original(maker, {name: value for name, value in given.items() if value is not None})

    def mime_type(self: Any, headers: Any) -> Any:
        return of(self, headers.get("Accept"), headers.get("Content-Type")) if headers else original(self, headers)

    original = replace(serializer.ResponseSerializer, "_get_mime_type", mime_type, expect="(self, headers)")


def _install_headers() -> None:
    def get(self: Any, key: str, default: Any = None, type: Any = None) -> Any:
        if self.__class__ is not Headers:
            return original_get(self, key, default, type)
        wanted = key.lower()
        for name, value in self._list:
            if name.lower() == wanted:
                try:
                    return value if type is None else type(value)
                except ValueError:
                    return default
        return default

    def contains(self: Any, key: str) -> bool:
        if self.__class__ is not Headers:
            return bool(original_contains(self, key))
        wanted = key.lower()
        return any(name.lower() == wanted for name, _ in self._list)

    def update(self: Any, arg: Any = None, /, **kwargs: Any) -> None:
        if arg.__class__ is not Headers or kwargs:
            original_update(self, arg, **kwargs)
            return
        names = {name.lower() for name, _ in arg._list}
        self._list = [known for known in self._list if known[0].lower() not in names] + arg._list

    original_get = replace(Headers, "get", get, expect="(self, key, default, type)")
    original_contains = replace(Headers, "__contains__", contains, expect="(self, key)")
    original_update = replace(Headers, "update", update, expect="(self, arg, **kwargs)")


def _install_dates() -> None:
    def aware(value: Any) -> Any:
        whole = isinstance(value, str) and len(value) == _DATE and value.endswith(" GMT")
        return of_text(value) if whole else original(value)

    original = replace(serializer, "parse_to_aware_datetime", aware, expect="(value)")
    of_text = lru_cache(_REMEMBERED)(original)


def _install_ids() -> None:
    def request_id() -> str:
        return str(uuid.UUID(int=random.getrandbits(128), version=4))

    def trace_id(self: Any) -> None:
        self.start_time = int(time.time())
        self._TraceId__number = f"{random.getrandbits(96):024x}"

    replace(core, "long_uid", request_id, expect="()")
    replace(TraceId, "__init__", trace_id, expect="(self)")


def _install_user_agents() -> None:
    def to_string(self: Any) -> str:
        config, made = self.__dict__.get("sluice_made", (None, ""))
        if config is None or config is not self._client_config:  # a session's, which may change, has none
            made = str(original(self))
            self.__dict__["sluice_made"] = self._client_config, made
        return str(made)

    original = replace(UserAgentString, "to_string", to_string, expect="(self)")


def _log_nothing(_self: Any, _chain: Any, _context: Any, _response: Any) -> None:
    """Nothing to log at this level."""
