"""TCP ports on the loopback address."""

from __future__ import annotations

import socket

from sluice.engine.instance import HOST


def is_free(port: int) -> bool:
    """True when a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: a connection that lingers after its server is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def any_free() -> int:
    """A port that no program listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def choose(preferred: int | None) -> int:
    """The preferred port when it is free, else another."""
    return preferred if preferred is not None and is_free(preferred) else any_free()
