"""LocalStack's own host names are this machine, without a name server (found through PYTHONPATH).

Some tests of the suite have the port 4566 in their text; it is the engine's ($SUITE_PORT).
"""

import os
import socket
from typing import Any

_resolve = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if isinstance(name, str) and name.rstrip(".").endswith(("localhost.localstack.cloud", ".localhost")):
        host = "127.0.0.1"
    if str(port) == "4566":
        port = int(os.environ.get("SUITE_PORT", port))
    return _resolve(host, port, *arguments, **options)


socket.getaddrinfo = _getaddrinfo
