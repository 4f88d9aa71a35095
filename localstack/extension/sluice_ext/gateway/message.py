"""HTTP/1.1 messages on a blocking socket: read a request, write a response. No TLS, no WebSockets."""

import io
import socket
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from sluice_ext.gateway.framing import BadRequest, Headers, body_length, chunk_size, header

_RECEIVE = 1 << 16
_MAX_HEAD = 1 << 20
# Bodies up to this size are read at once; larger ones are streamed from the socket as the service reads them.
_WHOLE_BODY = 1 << 20
# How long what still comes after a bad request is read and dropped (s).
_LINGER_SECONDS = 1.0
_BODYLESS = {204, 304}
_reasons = {status.value: status.phrase for status in HTTPStatus}
_date: tuple[int, str] = (0, "")


class Closed(Exception):
    """The client closed the connection."""


class Body(io.RawIOBase):
    """The part of the connection that belongs to one request with Content-Length."""

    def __init__(self, connection: "Connection", length: int) -> None:
        self._connection, self.left = connection, length

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        wanted = min(len(target), self.left)
        if not wanted:
            return 0
        data = self._connection.take(wanted)
        target[: len(data)] = data
        self.left -= len(data)
        return len(data)


class Connection:
    """A client connection, with the bytes that were read ahead from it."""

    def __init__(self, sock: socket.socket, client: tuple[str, int], server: tuple[str, int]) -> None:
        self.sock, self._client, self._server = sock, client, server
        self._buffer = b""

    def take(self, limit: int) -> bytes:
        """At least one byte, at most ``limit``. Raises Closed."""
        if not self._buffer:
            # A body larger than the usual piece is received in larger pieces.
            data = self.sock.recv(max(_RECEIVE, min(limit, 1 << 20)))
            if not data:
                raise Closed
            self._buffer = data
        taken, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return taken

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            parts.append(self.take(count))
            count -= len(parts[-1])
        return b"".join(parts)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._fill()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _fill(self) -> None:
        data = self.sock.recv(_RECEIVE)
        if not data:
            raise Closed
        self._buffer += data
        if len(self._buffer) > _MAX_HEAD:
            raise BadRequest("header too large")

    def read_request(self) -> tuple[dict[str, Any], Body | None]:
        """WSGI environment of the next request, and its body when it is streamed. Raises Closed, BadRequest."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
            if self._buffer[:1] == b"\x16":
                raise BadRequest("TLS is not served here, use http")
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        lines = head.lstrip(b"\r\n").split(b"\r\n")
        try:
            method, target, protocol = lines[0].decode("latin-1").split(" ")
        except ValueError:
            raise BadRequest("malformed request line") from None
        headers = [header(line) for line in lines[1:]]
        length = body_length(protocol, headers)
        environ = self._environ(method, target, protocol, headers)
        if "100-continue" in environ.get("HTTP_EXPECT", "").lower():
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = None
        if length is None:
            environ["wsgi.input"] = io.BytesIO(self._chunks())
        elif length <= _WHOLE_BODY:
            environ["wsgi.input"] = io.BytesIO(self._exactly(length))
        else:
            body = Body(self, length)
            environ["wsgi.input"] = io.BufferedReader(body, _WHOLE_BODY)
        return environ, body

    def _environ(self, method: str, target: str, protocol: str, headers: Headers) -> dict[str, Any]:
        if not target.startswith("/"):
            try:
                parts = urlsplit(target)  # absolute form, as sent to proxies
            except ValueError as error:
                raise BadRequest(f"malformed request target: {error}") from None
            path, query = parts.path or "/", parts.query
        else:
            path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": target,
            "RAW_URI": target,
            "SERVER_PROTOCOL": protocol,
            "SERVER_NAME": self._server[0],
            "SERVER_PORT": str(self._server[1]),
            "REMOTE_ADDR": self._client[0],
            "REMOTE_PORT": str(self._client[1]),
            "rolo.headers": headers,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            "wsgi.input_terminated": True,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for raw_name, raw_value in headers:
            if b"_" in raw_name:
                continue  # it would pass for the header with a hyphen there: Content_Length for Content-Length
            name = raw_name.decode("latin-1").upper().replace("-", "_")
            value = raw_value.decode("latin-1")
            if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                name = "HTTP_" + name
            environ[name] = f"{environ[name]},{value}" if name in environ else value
        return environ

    def _chunks(self) -> bytes:
        parts = []
        while size := chunk_size(self._line()):
            parts.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise BadRequest("a chunk is longer than its size says")
        while self._line():  # trailers
            pass
        return b"".join(parts)

    def end_after_error(self) -> None:
        """Let the client read the response to a bad request before the connection is closed.

        Closing with unread data resets the connection, and the response would be lost with it.
        """
        deadline = time.monotonic() + _LINGER_SECONDS
        self.sock.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            self.sock.settimeout(left)
            if not self.sock.recv(_RECEIVE):
                return

    def write_response(
        self, method: str, status: int, headers: list[tuple[str, str]], body: Iterable[bytes], keep_open: bool
    ) -> bool:
        """Send a response; returns whether the connection can be used again."""
        names = {name.lower(): value for name, value in headers}
        keep_open = keep_open and names.get("connection", "").lower() != "close"
        lines = [f"HTTP/1.1 {status} {_reasons.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if "server" not in names:
            lines.append("Server: Sluice")
        if "date" not in names:
            lines.append(f"Date: {_now()}")
        if not keep_open and "connection" not in names:
            lines.append("Connection: close")
        empty = method == "HEAD" or status in _BODYLESS or status < 200
        chunked = not empty and "content-length" not in names
        pieces = iter(body)
        first = b"" if empty else next(pieces, b"")
        if chunked and not first:
            lines.append("Content-Length: 0")
            chunked = False
        elif chunked:
            lines.append("Transfer-Encoding: chunked")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.sock.sendall(head + (_chunk(first) if chunked else first))
        if not empty:
            for piece in pieces:
                if piece:
                    self.sock.sendall(_chunk(piece) if chunked else piece)
            if chunked:
                self.sock.sendall(b"0\r\n\r\n")
        return keep_open


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _now() -> str:
    global _date
    second = int(time.time())
    if _date[0] != second:
        _date = (second, formatdate(second, usegmt=True))
    return _date[1]
