"""Where a request's body ends: its header lines and chunks as RFC 9112 has them. Pure: no socket, no engine.

Whatever two servers could read in two ways is refused, so that no request can hide in the body of another:
https://www.rfc-editor.org/rfc/rfc9112#section-6.3
"""

import re

Headers = list[tuple[bytes, bytes]]
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# int() would also take "+5", "-5", " 5 " and "5_0"; eighteen digits are more bytes than there are.
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)


class BadRequest(Exception):
    """The client sent something that is not a valid HTTP/1.x request; the message says what."""


def header(line: bytes) -> tuple[bytes, bytes]:
    """Name and value of a header line. Raises BadRequest, for a blank before the colon and a folded line too."""
    name, separator, value = line.partition(b":")
    if not separator or not _NAME.fullmatch(name):
        raise BadRequest(f"malformed header {_shown(line)}")
    return name, value.strip(b" \t")


def body_length(protocol: str, headers: Headers) -> int | None:
    """Length of the body in bytes, None for a chunked one. Raises BadRequest when the headers leave it open."""
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    if codings:
        if lengths:
            raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
        if protocol == "HTTP/1.0" or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadRequest(f"Transfer-Encoding {_shown(b', '.join(codings))} of {protocol} is not supported")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadRequest(f"Content-Length must be one number, not {_shown(b', '.join(lengths))}")
    return int(lengths[0])


def chunk_size(line: bytes) -> int:
    """Bytes of the chunk that this line begins; 0 for the last one. Raises BadRequest."""
    found = _CHUNK_SIZE.fullmatch(line)
    if not found:
        raise BadRequest(f"malformed chunk size {_shown(line)}")
    return int(found[1], 16)


def _shown(text: bytes) -> str:
    return repr(text[:60].decode("latin-1"))
