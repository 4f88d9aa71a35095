"""The Lambda Runtime API for one execution environment, served on its own port of 127.0.0.1.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

There is no server thread: the thread that invokes the function also speaks HTTP with its runtime. `wait` blocks until
the runtime sends a request, the process ends or the time is up, and collects what the function prints meanwhile. So an
invocation needs no switch between threads, and its log is complete when its result is.
"""

import os
import select
import socket
import time
from dataclasses import dataclass, field

_NEXT = "/2018-06-01/runtime/invocation/next"
_RECEIVE = 1 << 18


@dataclass
class Call:
    """One request of the runtime. ``kind``: next, response, error, init_error or other."""

    kind: str
    request_id: str
    body: bytes
    error_type: str
    connection: "_Connection"


@dataclass
class _Connection:
    socket: socket.socket
    buffer: bytearray = field(default_factory=bytearray)

    def take_request(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """The next HTTP request in the buffer: method, path, headers, body; None while it is incomplete."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "chunked" in headers.get("transfer-encoding", "").lower():
            taken = _take_chunks(self.buffer, end + 4)
            if taken is None:
                return None
            body, rest = taken
        else:
            rest = end + 4 + int(headers.get("content-length") or 0)
            if len(self.buffer) < rest:
                return None
            body = bytes(self.buffer[end + 4 : rest])
        del self.buffer[:rest]
        method, path = first.split(" ")[:2]
        return method, path, headers, body


def _take_chunks(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    body = bytearray()
    while True:
        line = buffer.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(bytes(buffer[start:line]).split(b";")[0], 16)
        start = line + 2
        if len(buffer) < start + size + 2:
            return None
        body += buffer[start : start + size]
        start += size + 2
        if size == 0:
            return bytes(body), start


class Ended(Exception):
    """The process ended."""


class TimeUp(Exception):
    """The deadline passed."""


class RuntimeApi:
    """Listener, connections, output pipe and process handle of one environment. Used by one thread at a time."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        self._listener.setblocking(False)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._connections: dict[int, _Connection] = {}
        self._output = -1
        self._process = -1
        self.printed = bytearray()

    def attach(self, pid: int, output: int) -> None:
        """Watch process ``pid`` and read its output from descriptor ``output`` (both owned by this object now)."""
        self._output, self._process = output, os.pidfd_open(pid)
        os.set_blocking(output, False)
        self._poll.register(output, select.POLLIN)
        self._poll.register(self._process, select.POLLIN)

    def wait(self, deadline: float, tick: float = 0.0) -> Call | None:
        """The runtime's next request.

        ``deadline`` is a time.monotonic() value. With ``tick`` (s) it returns None each time that long passes without a
        request. Raises `TimeUp` at the deadline and `Ended` when the process has ended.
        """
        for connection in list(self._connections.values()):
            if connection.buffer and (call := self._parse(connection)):
                return call
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self.drain()
                raise TimeUp
            pause = min(left, tick) if tick else left
            ended = False
            events = self._poll.poll(max(1, int(pause * 1000 + 0.999)))
            if not events and tick:
                return None
            for descriptor, _ in events:
                if descriptor == self._output:
                    self._read_output()
                elif descriptor == self._process:
                    ended = True
                elif descriptor == self._listener.fileno():
                    accepted, _ = self._listener.accept()
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._connections[accepted.fileno()] = _Connection(accepted)
                    self._poll.register(accepted, select.POLLIN)
                elif call := self._receive(descriptor):
                    return call
            if ended:
                self.drain()
                raise Ended

    def reply(self, call: Call, status: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Answer a request. If the runtime has closed the connection, the next `wait` finds out."""
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        head += [f"{name}: {value}" for name, value in (headers or {}).items()]
        data = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body
        try:
            call.connection.socket.setblocking(True)
            call.connection.socket.settimeout(30)
            call.connection.socket.sendall(data)
        except OSError:
            self._drop(call.connection)

    def drain(self) -> None:
        """Read what the process has printed so far."""
        if self._output >= 0:
            self._read_output()

    def close(self) -> None:
        """Close every descriptor."""
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._listener.close()
        for descriptor in (self._output, self._process):
            if descriptor >= 0:
                os.close(descriptor)
        self._output = self._process = -1

    def _read_output(self) -> None:
        while True:
            try:
                data = os.read(self._output, _RECEIVE)
            except BlockingIOError:
                return
            if not data:
                self._poll.unregister(self._output)
                os.close(self._output)
                self._output = -1
                return
            self.printed += data

    def _receive(self, descriptor: int) -> Call | None:
        connection = self._connections.get(descriptor)
        if connection is None:
            return None
        try:
            data = connection.socket.recv(_RECEIVE)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return None
        connection.buffer += data
        return self._parse(connection)

    def _parse(self, connection: _Connection) -> Call | None:
        request = connection.take_request()
        if request is None:
            return None
        _, path, headers, body = request
        parts = path.strip("/").split("/")
        error_type = headers.get("lambda-runtime-function-error-type", "")
        kind, request_id = "other", ""
        if path == _NEXT:
            kind = "next"
        elif path.endswith("/runtime/init/error"):
            kind = "init_error"
        elif len(parts) == 5 and parts[2] == "invocation" and parts[4] in ("response", "error"):
            kind, request_id = parts[4], parts[3]
        return Call(kind, request_id, body, error_type, connection)

    def _drop(self, connection: _Connection) -> None:
        for descriptor, known in list(self._connections.items()):
            if known is connection:
                del self._connections[descriptor]
                self._poll.unregister(descriptor)
        connection.socket.close()
