"""The listener of SLUICE_REDSHIFT_PORT: a thread for each session."""

import socketserver
import threading
from typing import Final

from sluice_ext import settings
from sluice_ext.redshift.wire import session

_ANYWHERE: Final = "0.0.0.0"
_server: socketserver.ThreadingTCPServer | None = None


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        session.serve(self.request)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


def start() -> None:
    """Listen, when there is a port to listen on. Does nothing the second time."""
    global _server
    if _server is not None or not settings.REDSHIFT_PORT:
        return
    host = "127.0.0.1" if settings.POSTGRES_HOST in ("127.0.0.1", "localhost") else _ANYWHERE
    _server = _Server((host, settings.REDSHIFT_PORT), _Handler)
    threading.Thread(target=_server.serve_forever, daemon=True, name="redshift-endpoint").start()


def stop() -> None:
    global _server
    if _server is not None:
        _server.shutdown()
        _server.server_close()
        _server = None
