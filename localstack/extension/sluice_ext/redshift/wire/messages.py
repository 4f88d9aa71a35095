"""Messages of PostgreSQL's protocol, version 3, which Redshift speaks too.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import socket
import struct
from collections.abc import Iterator
from typing import Final

VERSION: Final = 196608
CANCEL: Final = 80877102
_ENCRYPTED: Final = (80877103, 80877104)  # SSLRequest, GSSENCRequest
_LONGEST: Final = 64 << 20


class Closed(ConnectionError):
    """The other side is gone, or speaks something else."""


def exactly(sock: socket.socket, size: int) -> bytes:
    """Raises Closed."""
    found = b""
    while len(found) < size:
        more = sock.recv(size - len(found))
        if not more:
            raise Closed
        found += more
    return found


def startup(sock: socket.socket) -> tuple[int, bytes]:
    """The first message's code and the rest of it; an encrypted connection is refused before. Raises Closed."""
    while True:
        size, code = struct.unpack("!ii", exactly(sock, 8))
        if not 8 <= size <= _LONGEST:
            raise Closed
        rest = exactly(sock, size - 8)
        if code not in _ENCRYPTED:
            return code, rest
        sock.sendall(b"N")


def pairs(data: bytes) -> dict[str, str]:
    parts = [one.decode(errors="replace") for one in data.split(b"\0")]
    return dict(zip(parts[::2], parts[1::2], strict=False))


def one(sock: socket.socket) -> tuple[bytes, bytes]:
    """A message's kind and body. Raises Closed."""
    kind = exactly(sock, 1)
    (size,) = struct.unpack("!i", exactly(sock, 4))
    if not 4 <= size <= _LONGEST:
        raise Closed
    return kind, exactly(sock, size - 4)


class Buffer:
    """Bytes that come in any pieces, as whole messages."""

    def __init__(self) -> None:
        self._held = b""

    def whole(self, more: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Raises Closed."""
        self._held += more
        while len(self._held) >= 5:
            (size,) = struct.unpack("!i", self._held[1:5])
            if not 4 <= size <= _LONGEST:
                raise Closed
            if len(self._held) < size + 1:
                return
            kind, body = self._held[:1], self._held[5 : size + 1]
            self._held = self._held[size + 1 :]
            yield kind, body


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def text(*values: str) -> bytes:
    return b"".join(value.encode() + b"\0" for value in values)


def failure(message_text: str, code: str = "28000", severity: str = "FATAL") -> bytes:
    fields = {"S": severity, "V": severity, "C": code, "M": message_text}
    return message(b"E", b"".join(key.encode() + text(value) for key, value in fields.items()) + b"\0")


def greeting(pid: int, secret: int) -> bytes:
    """What a server says once the password is right."""
    status = {
        "server_version": "8.0.2",
        "server_encoding": "UTF8",
        "client_encoding": "UTF8",
        "DateStyle": "ISO, MDY",
        "TimeZone": "UTC",
        "integer_datetimes": "on",
        "standard_conforming_strings": "on",
    }
    shown = b"".join(message(b"S", text(*item)) for item in status.items())
    key = message(b"K", struct.pack("!iI", pid, secret))
    return message(b"R", struct.pack("!i", 0)) + shown + key + message(b"Z", b"I")
