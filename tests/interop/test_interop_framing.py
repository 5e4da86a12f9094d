"""Framing: length, header, trailer, unknown commands, split and pipelined frames, echo, status."""

import time

import pytest

from tests.interop.host import Daemon, Host

UNKNOWN = ["ZZ", "AA", "QQ", "ZY", "XA", "99", "Q0"]
ECHOES = [b"", b"A", b"ping", bytes(range(256)), b"%00", b"#;!&", b"\x19trailer", b"x" * 8000]
TRAILERS = [b"1", b"end", b"0123456789ABCDEF0123456789ABCDEF", b"%00;#", b"\xff\x00\x80"]


def exchange(host: Host, message: bytes) -> bytes:
    """One frame there and back, nothing checked."""
    host.send(message)
    return host.receive()


@pytest.mark.parametrize("data", ECHOES, ids=len)
def test_echo_returns_what_was_sent(host: Host, data: bytes) -> None:
    """B2 (U, T): length in four hex digits, then the data, which comes back."""
    assert host.ask(b"B2%04X" % len(data) + data).rest == data


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("00100123456789", "80"),
        ("00090123456789ABCDEF", "15"),
        ("0001", "80"),
        ("FFFFAB", "80"),
        ("0000A", "15"),
        ("00G0AB", "15"),
    ],
)
def test_echo_of_wrong_length(host: Host, body: str, error: str) -> None:
    """B2: 80 when data is missing, 15 when there is more (ThalesCore.Tests TestEchoCommand)."""
    assert host.ask("B2" + body).error == error


@pytest.mark.parametrize("header", [b"0000", b"ABCD", b"\0\0\0\0", b"\xff\x19%;", b"    "])
def test_header_comes_back(host: Host, header: bytes) -> None:
    """The header is opaque: any four bytes return unchanged."""
    assert exchange(host, header + b"B20001A") == header + b"B300A"


@pytest.mark.parametrize("trailer", TRAILERS, ids=len)
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"B20004ping", b"B300ping"),
        (b"NC%77", b"ND13"),
        (b"ZZ", b"Z[68"),
        (b"RA", b"RB00"),
    ],
)
def test_trailer_comes_back(host: Host, command: bytes, answer: bytes, trailer: bytes) -> None:
    """0x19 and up to 32 bytes return after every answer, good or bad."""
    frame = b"0001" + command + b"\x19" + trailer
    assert exchange(host, frame) == b"0001" + answer + b"\x19" + trailer


@pytest.mark.parametrize("code", UNKNOWN)
@pytest.mark.parametrize("rest", ["", "0123456789", "\x19T"])
def test_unknown_command_is_68(host: Host, code: str, rest: str) -> None:
    """An unknown command answers its code + 1 and 68; the connection stays in step."""
    answer = host.ask(code + rest)
    assert answer.error == "68"
    assert host.fields("B20004ping") == "ping"


def test_split_frame(daemon: Daemon) -> None:
    """A frame that arrives byte by byte is one frame."""
    with daemon.connect() as line:
        for byte in b"\0\x0e" + b"0007B20004ping":
            line.socket.sendall(bytes([byte]))
        assert line.receive() == b"0007B300ping"


@pytest.mark.parametrize("count", [2, 10, 200])
def test_pipelined_frames(daemon: Daemon, count: int) -> None:
    """Many frames in one segment: every one is answered, by header."""
    with daemon.connect() as line:
        frames = [b"%04dB20004%04d" % (i, i) for i in range(count)]
        line.socket.sendall(b"".join(len(f).to_bytes(2, "big") + f for f in frames))
        answers = {line.receive() for _ in frames}
        assert answers == {b"%04dB300%04d" % (i, i) for i in range(count)}


def test_half_a_frame_then_the_rest_with_the_next(daemon: Daemon) -> None:
    """Boundaries of segments mean nothing."""
    with daemon.connect() as line:
        frame = b"\0\x0e0001B20004ping"
        line.socket.sendall(frame[:9])
        line.socket.sendall(frame[9:] + frame[:5])
        assert line.receive() == b"0001B300ping"
        line.socket.sendall(frame[5:])
        assert line.receive() == b"0001B300ping"


@pytest.mark.parametrize("length", [0xFFFF, 0xF000])
def test_oversized_frame_ends_only_its_connection(daemon: Daemon, host: Host, length: int) -> None:
    """A length beyond the limit drops the line and nothing else."""
    with daemon.connect() as line:
        line.socket.sendall(length.to_bytes(2, "big") + b"0001B2")
        assert line.closed()
    assert host.fields("B20004ping") == "ping"


@pytest.mark.parametrize("body", [b"0001", b"00", b"0001B", b"0001\xff\xff"])
def test_frame_without_command_does_not_harm(daemon: Daemon, host: Host, body: bytes) -> None:
    """A frame too short for a command is answered or dropped; others go on."""
    with daemon.connect() as line:
        line.send(body)
        line.send(b"0002B20004ping")
        try:
            answers = [line.receive(), line.receive()]
            assert answers[1] == b"0002B300ping"
            assert not answers[0][6:8].startswith(b"00")
        except ConnectionError:
            pass
    assert host.fields("B20004ping") == "ping"


def test_nc_layout(host: Host) -> None:
    """ND: check value 16H and firmware 9A; the same every time."""
    text = host.fields("NC")
    assert len(text) == 25
    assert int(text[:16], 16) > 0
    assert text[16:].isprintable()
    assert host.fields("NC") == text


@pytest.mark.parametrize("lmk_id", ["00", "01", "02"])
def test_nc_of_each_lmk(host: Host, lmk_id: str) -> None:
    """%NN asks for the check value of one LMK; three LMKs, three values."""
    others = {host.fields("NC%" + other)[:16] for other in ("00", "01", "02")}
    assert len(others) == 3
    assert len(host.fields("NC%" + lmk_id)) == 25


def test_no_mode_00_layout(host: Host) -> None:
    """NP mode 00: buffer, protocol, sockets 2N, firmware 9A, reserved 1 + 4 (hsm.md 2.8)."""
    text = host.fields("NO00")
    assert len(text) == 1 + 1 + 2 + 9 + 5
    assert text[0] in "0123"
    assert text[1] == "1"
    assert text[2:4].isdigit()
    assert text[4:13] == host.fields("NC")[16:]


def test_no_mode_01_layout(host: Host) -> None:
    """NP mode 01: one flag of PCI settings."""
    assert host.fields("NO01") in {"0", "1"}


@pytest.mark.parametrize("mode", ["02", "99", "0", "", "AB"])
def test_no_of_unknown_mode(host: Host, mode: str) -> None:
    """Any other mode is refused."""
    assert host.ask("NO" + mode).error == "15"


@pytest.mark.parametrize("lmk_id", ["03", "50", "99"])
@pytest.mark.parametrize("command", ["NC", "A00001U"])
def test_lmk_that_is_not_there_is_13(host: Host, command: str, lmk_id: str) -> None:
    """%NN of an empty slot: 13."""
    assert host.ask(f"{command}%{lmk_id}").error == "13"


def test_ra_is_answered(host: Host) -> None:
    """RA (ThalesCore.Tests TestCancelAuthState): 00."""
    assert host.ask("RA").error == "00"


def test_logs_that_nobody_reads_stop_nothing() -> None:
    """Whoever starts the daemon may read its first line only: a full pipe must not stop service."""
    daemon = Daemon(drain=False)
    try:
        with daemon.connect() as line:
            line.socket.settimeout(3)
            for _ in range(4):
                for _ in range(60):
                    assert line.ask("BU013").error == "05"
                time.sleep(1)
    finally:
        code = daemon.stop()
    assert code == 0
