"""Calls the analytics API of a stack, with the key filled in."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from sluice.console import fail

if TYPE_CHECKING:
    from sluice.stack import Stack

_SECONDS = 40  # API Gateway gives up after 29


@dataclass(frozen=True)
class Answer:
    """``body`` is the JSON, an empty object when there is none."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def base_url(stack: Stack) -> str:
    """The stage's URL: at the engine when the stack is local, else AWS's own.

    https://docs.localstack.cloud/aws/services/apigateway/, https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-call-api.html
    Raises SluiceError when the API is not deployed.
    """
    api, stage = stack["api_id"], stack["api_stage"]
    if stack.endpoint_url is None:
        return f"https://{api}.execute-api.{stack.region}.amazonaws.com/{stage}"
    return f"{stack.endpoint_url}/_aws/execute-api/{api}/{stage}"


def reachable(stack: Stack, url: str) -> str:
    """A URL that a function gave out, as this machine reaches it: in a container the engine has another port."""
    if stack.endpoint_url is None:
        return url
    here = urlsplit(stack.endpoint_url)
    return urlsplit(url)._replace(scheme=here.scheme, netloc=here.netloc).geturl()


def key_of(stack: Stack, name: str = "") -> str:
    """A key's value (without a name: the first one's), which only API Gateway knows. Raises SluiceError."""
    stack["api_id"]
    ids = dict(stack.outputs["api_key_ids"])
    if name and name not in ids:
        fail(f"there is no key {name!r}; there is {', '.join(sorted(ids))}")
    chosen = ids[name or min(ids)]
    return str(stack.client("apigateway").get_api_key(apiKey=chosen, includeValue=True)["value"])


class Client:
    """Keeps its connection, so that a measurement is about the API. Not for several threads."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=_SECONDS)
        self._path = parts.path
        self._headers = {"x-api-key": key} if key else {}

    @classmethod
    def of(cls, stack: Stack, key: str = "") -> Client:
        """For a stack, with the key of this name. Raises SluiceError when the API is not deployed."""
        return cls(base_url(stack), key_of(stack, key))

    def get(self, path: str, **query: Any) -> Answer:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self.send("POST", path, body=json.dumps(body).encode(), headers=headers)

    def ask(self, operation: str, **parameters: Any) -> Answer:
        """An operation with its parameters."""
        return self.post("/analytics", {"operation": operation, "parameters": parameters})

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Raises OSError or http.client.HTTPException when nobody answers."""
        target = self._path + quote(path) + (f"?{urlencode(query, doseq=True)}" if query else "")
        kind = {"Content-Type": "application/json"} if body is not None else {}
        try:
            self._connection.request(method, target, body, kind | self._headers | dict(headers or {}))
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request begins anew
            raise
        return Answer(response.status, json.loads(text) if text else {}, dict(response.getheaders()))
