"""Runs in the engine's interpreter: steps of a request that are made shorter give what LocalStack's own give.

Prints as JSON what differs for headers, dates and types of content; which routes are found before one is added, after
it is, and after it is removed; and of how many requests the ids and traces are new.
"""

import json
import random
from types import SimpleNamespace
from typing import Any

from localstack.aws.api.core import RequestContext
from localstack.aws.protocol import serializer
from localstack.aws.spec import load_service
from localstack.http import Request
from localstack.utils.xray.traceid import TraceId
from rolo.routing import Router
from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.exceptions import NotFound

from sluice_ext.gateway import shortcuts

NAMES = ("Accept", "accept", "X-Amz-Target", "ETAG", "Etag", "Content-Length")
DATES = (
    "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 27 Nov 2026 19:02:00 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "2026-11-27",
    "Sun, 99 Nov 1994 08:49:37 GMT", "123456789012345678901234  GMT", 1_700_000_000, "1700000000", None,
)  # fmt: skip
TYPES = (None, "", "*/*", "application/json", "text/xml", "application/x-amz-json-1.0", "text/plain;q=0.5, */*;q=0.1")


def outcome(call: Any) -> str:
    try:
        return repr(call())
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"


def of_headers() -> list[str]:
    chance = random.Random(20261127)
    found = []
    for _ in range(200):
        first, second = (
            [(chance.choice(NAMES), chance.choice(("1", "a"))) for _ in range(chance.randrange(4))] for _ in "ab"
        )
        headers, name = Headers(first), chance.choice(NAMES)
        found += [outcome(lambda h=headers, n=name: (h.get(n), h.get(n, 5), h.get(n, 5, type=int), n in h))]
        of_server = EnvironHeaders({f"HTTP_{n.upper().replace('-', '_')}": value for n, value in first})
        found += [outcome(lambda h=of_server, n=name: (h.get(n), n in h))]
        headers.update(Headers(second))
        given = [(n.lower(), value) for n, value in headers]
        found += [repr(sorted((n, [v for m, v in given if m == n]) for n in {n for n, _ in given}))]
    return found


def of_dates() -> list[str]:
    return [outcome(lambda d=date: serializer.parse_to_aware_datetime(d)) for date in DATES * 2]


def of_types() -> list[str]:
    makers = [serializer.create_serializer(load_service(name)) for name in ("sqs", "s3", "lambda")]
    asked = [{"Accept": accept, "Content-Type": sent} for accept in TYPES for sent in TYPES]
    given = [Headers({name: value for name, value in one.items() if value is not None}) for one in asked]
    twice: list[Any] = [*given, None] * 2
    return [outcome(lambda m=maker, h=headers: m._get_mime_type(h)) for maker in makers for headers in twice]


def of_routes() -> list[str]:
    router = Router()

    def answer(_request: Request) -> str:
        raise NotFound("of the endpoint")

    def ask(host: str, path: str = "/") -> str:
        request = Request("POST", path, headers={"Host": host})
        try:
            return str(router.dispatch(request).status_code)
        except NotFound as error:
            return str(error.description)[:20]

    router.dispatcher = lambda _request, endpoint, _arguments: endpoint(_request)
    found = [ask("a"), ask("a")]
    rule = router.add("/", answer, host="a")
    found += [ask("a"), ask("a"), ask("b"), ask("b"), ask("a", "/other")]
    router.add("/", lambda _request: SimpleNamespace(status_code=200), host="b")
    found += [ask("b"), ask("a")]
    router.remove(rule)
    return [*found, ask("a"), ask("b")]


def main() -> None:
    checks = {"headers": of_headers, "dates": of_dates, "types": of_types, "routes": of_routes}
    before = {name: check() for name, check in checks.items()}
    shortcuts.install()
    after = {name: check() for name, check in checks.items()}
    differ = {
        name: [pair for pair in zip(before[name], after[name], strict=True) if pair[0] != pair[1]][:3]
        for name in checks
    }
    ids = {RequestContext(Request()).request_id for _ in range(1000)}
    traces = {TraceId().to_id() for _ in range(1000)}
    shapes = {(len(one), one.count("-"), one[14]) for one in ids}, {(len(one), one.count("-")) for one in traces}
    made = {"new": [len(ids), len(traces)], "shapes": [sorted(one) for one in shapes]}
    print(json.dumps({"differ": differ, "routes": after["routes"]} | made))


main()
