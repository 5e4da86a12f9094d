"""Goal: the HTTP reader gives a whole message or its own error, however the bytes arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from his_bridge.http_reader import HttpError, HttpReader, Message

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\n<a>1\r\n5;x=y\r\n</a>\n\r\n0\r\nTrailer: x\r\n\r\n"
)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: IIS\r\n\r\nhello"


def reader(body_limit: int = 1_000, requests: bool = False) -> HttpReader:
    return HttpReader(requests=requests, head_limit_bytes=500, body_limit_bytes=body_limit)


def byte_by_byte(data: bytes, made: HttpReader) -> Message | None:
    for at in range(len(data)):
        message = made.feed(data[at : at + 1])
        if message is not None:
            return message
    return None


@pytest.mark.parametrize(("data", "body"), [(CHUNKED, b"<a>1</a>\n"), (PLAIN, b"hello")])
def test_message_is_read_whole_and_byte_by_byte(data: bytes, body: bytes) -> None:
    """Goal: the pieces do not matter."""
    whole = reader().feed(data)
    pieces = byte_by_byte(data, reader())

    assert whole is not None
    assert whole.body == body
    assert whole.keep_alive
    assert pieces == whole


def test_continue_is_skipped_and_body_until_close_is_taken() -> None:
    """Goal: 100 Continue is no answer; without a length the body ends with the connection."""
    made = reader()

    assert made.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 E\r\n\r\nhalf") is None
    message = made.end()
    assert message is not None
    assert (message.status, message.body, message.keep_alive) == (500, b"half", False)


def test_request_is_read() -> None:
    """Goal: the simulator's side."""
    message = reader(requests=True).feed(b"POST /his HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")

    assert message is not None
    assert (message.method, message.path, message.body) == ("POST", "/his", b"x")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/2 200\r\n\r\n", "bad_start_line"),
        (b"SSH-2.0-x\r\n\r\n", "bad_start_line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "two_lengths"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "two_lengths",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "bad_coding"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad_length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "oversize"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "bad_header"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "bad_chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz", "bad_chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", "oversize"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, "oversize"),
        (b"A" * 600, "head_too_large"),
    ],
)
def test_I11_bent_or_oversize_message_is_refused(data: bytes, code: str) -> None:
    """Goal: one meaning per message, and nothing is buffered above its limit."""
    with pytest.raises(HttpError) as caught:
        reader().feed(data)
    with pytest.raises(HttpError):
        byte_by_byte(data, reader())

    assert caught.value.code == code


def test_half_message_at_close_is_an_error() -> None:
    """Goal: a torso is never taken for an answer."""
    made = reader()
    made.feed(PLAIN[:-1])

    with pytest.raises(HttpError, match="half_message"):
        made.end()


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda at, junk: PLAIN[:at] + junk + PLAIN[at:],
        st.integers(0, len(PLAIN)),
        st.binary(max_size=6),
    )
    | st.builds(
        lambda at, junk: CHUNKED[:at] + junk + CHUNKED[at + len(junk) :],
        st.integers(0, len(CHUNKED)),
        st.binary(max_size=6),
    )
)
@settings(max_examples=500, deadline=None)
def test_fuzz_reader_gives_a_message_or_its_own_error(data: bytes) -> None:
    """Goal: whole and byte by byte end alike: a message, nothing yet, or HttpError."""
    ends: list[object] = []
    for feed in (lambda made: made.feed(data), lambda made: byte_by_byte(data, made)):
        try:
            ends.append(feed(reader()))
        except HttpError:
            ends.append(HttpError)

    assert ends[0] == ends[1]
