"""Calls the analytics API of a stack, with the key filled in."""

from __future__ import annotations

import http.client
import json
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from sluice.console import fail
from sluice.names import require
from sluice.polling import poll

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

_SECONDS = 40  # API Gateway aborts a request after 29
JOB_SECONDS = 900.0


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
    """A URL that a function returned, as this machine reaches it: in a container the engine has another port."""
    if stack.endpoint_url is None:
        return url
    here = urlsplit(stack.endpoint_url)
    return urlsplit(url)._replace(scheme=here.scheme, netloc=here.netloc).geturl()


def key_of(stack: Stack, name: str = "") -> str:
    """A key's value (without a name: the first one's), which only API Gateway knows. Raises SluiceError."""
    stack["api_id"]
    ids = dict(stack.outputs["api_key_ids"])
    if name:
        require("key", name, ids)
    chosen = ids[name or min(ids)]
    return str(stack.client("apigateway").get_api_key(apiKey=chosen, includeValue=True)["value"])


class Client:
    """Reuses its connection, so that a measurement is about the API. Not for several threads."""

    def __init__(self, url: str, key: str | None, stack: Stack | None = None) -> None:
        self._stack = stack
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=_SECONDS)
        self._path = parts.path
        self._headers = {"x-api-key": key} if key else {}

    @classmethod
    def of(cls, stack: Stack, key: str = "") -> Client:
        """For a stack, with the key of this name. Raises SluiceError when the API is not deployed."""
        return cls(base_url(stack), key_of(stack, key), stack)

    def get(self, path: str, **query: Any) -> Answer:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self.send("POST", path, body=json.dumps(body).encode(), headers=headers)

    def ask(self, operation: str, **parameters: Any) -> Answer:
        """An operation with its parameters."""
        return self.post("/analytics", {"operation": operation, "parameters": parameters})

    def ended_job(self, job: str) -> Answer:
        """A job once it has ended, or the error about it. Raises SluiceError after a quarter of an hour."""

        def ended(answer: Answer) -> bool:
            return not answer.ok or answer.body["job"]["state"] in ("succeeded", "failed")

        answer, done = poll(lambda: self.get(f"/analytics/jobs/{job}"), ended, seconds=JOB_SECONDS, interval=0.5)
        if not done:
            fail(f"{job} has not ended after {JOB_SECONDS:.0f} s", 1)
        return answer

    def download(self, answer: Answer, target: IO[bytes]) -> None:
        """Writes what a job's ``download`` answer links to."""
        url = answer.body["url"] if self._stack is None else reachable(self._stack, answer.body["url"])
        # No proxy stands before an engine on this machine.
        local = self._stack is not None and self._stack.endpoint_url is not None
        opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
        with opener.open(url, timeout=60) as rows:
            shutil.copyfileobj(rows, target)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Raises OSError or http.client.HTTPException when there is no answer."""
        target = self._path + quote(path) + (f"?{urlencode(query, doseq=True)}" if query else "")
        kind = {"Content-Type": "application/json"} if body is not None else {}
        try:
            self._connection.request(method, target, body, kind | self._headers | dict(headers or {}))
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens another one
            raise
        return Answer(response.status, json.loads(text) if text else {}, dict(response.getheaders()))
