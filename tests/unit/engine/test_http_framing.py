"""Where the gateway ends a request's body: https://www.rfc-editor.org/rfc/rfc9112#section-6.3"""

import contextlib
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.gateway.framing import BadRequest, body_length, chunk_size, header
from sluice_ext.gateway.message import Closed, Connection

LENGTHS = st.one_of(
    st.integers(0, 10**18 - 1).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"-1", b"+5", b" 5", b"5 5", b"5, 5", b"5_0", b"0x10", b"1e3", b"5.0", b"\xb2", b"9" * 19]),
    st.binary(max_size=4),
)
CODINGS = st.sampled_from(
    [b"chunked", b"Chunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked", b""]
)


def spelled(name: bytes) -> st.SearchStrategy[bytes]:
    """A header's name in any case."""
    return st.lists(st.booleans(), min_size=len(name), max_size=len(name)).map(
        lambda upper: bytes(c ^ 32 if u and chr(c).isalpha() else c for c, u in zip(name, upper, strict=True))
    )


@given(
    lengths=st.lists(st.tuples(spelled(b"content-length"), LENGTHS), max_size=3),
    codings=st.lists(st.tuples(spelled(b"transfer-encoding"), CODINGS), max_size=2),
    protocol=st.sampled_from(["HTTP/1.0", "HTTP/1.1"]),
    order=st.randoms(use_true_random=False),
)
def test_a_body_has_one_length_or_is_chunked_or_the_request_is_bad(
    lengths: list[tuple[bytes, bytes]], codings: list[tuple[bytes, bytes]], protocol: str, order: Any
) -> None:
    headers = [*lengths, *codings, (b"Content_Length", b"7"), (b"Host", b"x")]
    order.shuffle(headers)
    expected: int | str | None = "bad"
    if not codings and not lengths:
        expected = 0
    elif not codings and len(lengths) == 1:
        value = lengths[0][1]
        if 0 < len(value) <= 18 and all(character in b"0123456789" for character in value):
            expected = int(value)
    elif not lengths and [value.lower() for _, value in codings] == [b"chunked"] and protocol == "HTTP/1.1":
        expected = None
    if expected == "bad":
        with pytest.raises(BadRequest):
            body_length(protocol, headers)
    else:
        assert body_length(protocol, headers) == expected


@pytest.mark.parametrize("line", [b"no colon", b"Content-Length : 5", b" folded: x", b": x", b"a b: x", b"n\0me: x"])
def test_a_malformed_header_line_is_a_bad_request(line: bytes) -> None:
    with pytest.raises(BadRequest, match="malformed header"):
        header(line)


@pytest.mark.parametrize("line", [b"", b"-1", b"+1", b"0x1", b"1_0", b" 1", b"g", b"1 1", b"f" * 16])
def test_a_malformed_chunk_size_is_a_bad_request(line: bytes) -> None:
    with pytest.raises(BadRequest, match="malformed chunk size"):
        chunk_size(line)


def test_a_chunk_size_may_carry_an_extension() -> None:
    assert [chunk_size(line) for line in (b"1A", b"0", b"ff;name=value", b"5 ;x")] == [26, 0, 255, 5]


def requests_in(data: bytes) -> list[tuple[str, bytes]]:
    """Path and body of each request that a client sends before it closes the connection."""
    client, server = socket.socketpair()
    with client, server:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        connection = Connection(server, ("127.0.0.1", 1), ("127.0.0.1", 2))
        found = []
        while True:
            try:
                environ, _ = connection.read_request()
            except Closed:
                return found
            found.append((environ["PATH_INFO"], environ["wsgi.input"].read()))


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 50)), max_size=5))
def test_requests_on_one_connection_end_where_their_length_or_last_chunk_says(bodies: list[tuple[bytes, int]]) -> None:
    """A body may hold anything, also what looks like the next request."""
    sent = []
    for number, (body, size) in enumerate(bodies):
        body += b"\r\n\r\nGET /hidden HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
        framing = b"Transfer-Encoding: chunked" if size else b"Content-Length: %d" % len(body)
        data = chunked(body, size) if size else body
        sent.append((b"POST /%d HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (number, framing, data), body))
    found = requests_in(b"".join(data for data, _ in sent))
    assert found == [(f"/{number}", body) for number, (_, body) in enumerate(sent)]


@given(st.binary(max_size=60), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"GET http://[ HTTP/1.1\r\n"]))
def test_whatever_a_client_sends_is_a_request_or_a_bad_one(noise: bytes, start: bytes) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(requests_in(start + noise + b"\r\n\r\n"), list)


def test_a_chunk_that_is_longer_than_its_size_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="longer than its size"):
        requests_in(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n")
