"""HTTP server with one thread per connection, which also runs the request: no event loop, no switch between threads.

Replaces LocalStack's Twisted server, which takes more than half of the engine's time for a small request and listens on
every interface, even if GATEWAY_LISTEN names one. Plain HTTP only.
"""

import contextlib
import logging
import selectors
import socket
import threading
import time
from typing import Any

from localstack.runtime.server.core import RuntimeServer
from rolo.gateway.wsgi import WsgiGateway

from sluice_ext.gateway.framing import BadRequest
from sluice_ext.gateway.message import Closed, Connection

LOG = logging.getLogger(__name__)
# Time that running requests get when the engine stops (s).
_GRACE_SECONDS = 2.0


class ThreadedServer(RuntimeServer):  # type: ignore[misc]
    """See the interface in LocalStack's runtime/server/core.py."""

    def __init__(self) -> None:
        self._listeners: list[tuple[socket.socket, WsgiGateway]] = []
        self._waker, self._wake = socket.socketpair()
        self._lock = threading.Lock()
        self._open: dict[Connection, bool] = {}  # connection -> busy with a request
        self._closing = False

    def register(self, gateway: Any, listen: list[Any], ssl_creds: Any = None) -> None:  # noqa: ARG002
        """Listen on these addresses (no TLS). Raises OSError when one is in use."""
        for address in listen:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            listener = socket.create_server((address.host, address.port), family=family, backlog=512)
            self._listeners.append((listener, WsgiGateway(gateway)))

    def run(self) -> None:
        """Accept connections until `shutdown`."""
        selector = selectors.DefaultSelector()
        selector.register(self._waker, selectors.EVENT_READ)
        for listener, application in self._listeners:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ, application)
        while not self._closing:
            for key, _ in selector.select():
                if key.data is not None:
                    self._accept(key.fileobj, key.data)
        for listener, _ in self._listeners:
            listener.close()
        self._close_connections()

    def shutdown(self) -> None:
        """Make `run` return."""
        self._closing = True
        self._wake.send(b"x")

    def _accept(self, listener: Any, application: WsgiGateway) -> None:
        try:
            sock, client = listener.accept()
        except OSError as error:
            LOG.warning("Cannot accept a connection: %s", error)
            time.sleep(0.05)
            return
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, client[:2], listener.getsockname()[:2])
        threading.Thread(target=self._serve, args=(connection, application), name="http", daemon=True).start()

    def _serve(self, connection: Connection, application: WsgiGateway) -> None:
        with self._lock:
            self._open[connection] = False
        try:
            while not self._closing and self._one_request(connection, application):
                pass
        except (Closed, ConnectionError, TimeoutError):
            pass
        except BadRequest as error:
            with contextlib.suppress(OSError):
                connection.write_response("GET", 400, [("Content-Type", "text/plain")], [str(error).encode()], False)
                connection.end_after_error()
        except Exception:
            LOG.exception("Connection failed")
        finally:
            with self._lock:
                del self._open[connection]
            connection.sock.close()

    def _one_request(self, connection: Connection, application: WsgiGateway) -> bool:
        environ, body = connection.read_request()
        self._open[connection] = True
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
            started[:] = [int(status.split(" ", 1)[0]), headers]

        result = application(environ, start_response)
        try:
            version, asked = environ["SERVER_PROTOCOL"], environ.get("HTTP_CONNECTION", "").lower()
            keep_open = asked == "keep-alive" if version == "HTTP/1.0" else asked != "close"
            if body is not None:
                while body.left:  # the next request begins after what the service did not read
                    body.left -= len(connection.take(min(body.left, 1 << 20)))
            return connection.write_response(environ["REQUEST_METHOD"], started[0], started[1], result, keep_open)
        finally:
            if hasattr(result, "close"):
                result.close()
            self._open[connection] = False

    def _close_connections(self) -> None:
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and any(list(self._open.values())):
            time.sleep(0.02)
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
