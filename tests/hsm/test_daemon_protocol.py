"""Host connections in memory: framing, order, limits and what the log may say."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from hsm.commands import Service
from hsm.daemon import hardening
from hsm.daemon.clients import Anyone, ByUser, Client, Door, client
from hsm.daemon.house import LOG_LINES_MAX, Limits
from hsm.daemon.house import House as Household
from hsm.daemon.protocol import HostConnection, HostFactory
from hsm.lmk import published_test_lmk
from hsm.policy import FRAME_MAX, Policy
from hsm.processor import Processor
from hsm.slots import Slots

LIMITS = Limits(connections_max=2, frame_ms=5_000, idle_ms=60_000)


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})


class Transport(StringTransportWithDisconnection):
    """In memory; an abort is a disconnection too."""

    def abortConnection(self) -> None:
        self.loseConnection()


class House:
    """A factory on a Clock, and connections to it."""

    def __init__(
        self, limits: Limits = LIMITS, door: Door | None = None, audit: Any = None
    ) -> None:
        self.clock = Clock()
        self.log = Log()
        processor = Processor(
            Service(Slots({"00": published_test_lmk()}), Policy(), lambda n: bytes(range(n)))
        )
        self.household = Household(processor, limits, self.clock, self.log, audit)
        self.factory = HostFactory(self.household, door or Anyone())
        self.household.start()

    def connect(self) -> tuple[HostConnection, Transport]:
        """A new connection, open unless it was refused."""
        connection = self.factory.buildProtocol(None)
        assert isinstance(connection, HostConnection)
        transport = Transport()
        transport.protocol = connection
        connection.makeConnection(transport)
        return connection, transport


def framed(*bodies: bytes) -> bytes:
    """Frames as they go over the line."""
    return b"".join(len(body).to_bytes(2, "big") + body for body in bodies)


PIPELINE = framed(b"0001NC", b"0002B20002hi", b"0003ZZ", b"0004NO01", b"")
ANSWERS = framed(
    b"0001ND00B92D36B73662A61CYYT0-0001", b"0002B300hi", b"0003Z[68", b"0004NP000", b"ZZ51"
)


def test_pipelined_commands_are_answered_in_order() -> None:
    """Five frames in one piece, five answers, in one write."""
    connection, transport = House().connect()
    connection.dataReceived(PIPELINE)

    assert transport.value() == ANSWERS


@given(st.lists(st.integers(1, len(PIPELINE)), max_size=12))
def test_answers_do_not_depend_on_how_the_bytes_arrive(cuts: list[int]) -> None:
    """Whole, in pieces, byte by byte: the same answers."""
    connection, transport = House().connect()
    places = sorted({0, len(PIPELINE), *cuts})
    for start, end in itertools.pairwise(places):
        connection.dataReceived(PIPELINE[start:end])

    assert transport.value() == ANSWERS


@given(st.binary(max_size=300))
def test_I11_garbage_never_raises(data: bytes) -> None:
    """Any bytes: answers, silence or a dropped connection, byte by byte."""
    connection, _ = House().connect()
    for at in range(len(data)):
        connection.dataReceived(data[at : at + 1])


def test_I11_an_oversize_length_drops_the_connection_at_once() -> None:
    """Before a byte of the frame is kept; others are unaffected."""
    house = House()
    bad, bad_transport = house.connect()
    good, good_transport = house.connect()
    bad.dataReceived((FRAME_MAX + 1).to_bytes(2, "big"))
    good.dataReceived(framed(b"0001NO01"))

    assert not bad_transport.connected
    assert good_transport.value() == framed(b"0001NP000")
    assert house.log.lines[-1] == {"event": "connection_dropped", "reason": "frame_too_long"}


def test_I11_the_longest_frame_is_served() -> None:
    """FRAME_MAX bytes are taken; a hex answer twice as long still fits the length prefix."""
    connection, transport = House().connect()
    lmk = published_test_lmk()
    key = str(lmk.wrap("00B", "U", bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))).encode()
    head = b"0001M0000100B" + key
    size = (FRAME_MAX - len(head) - 4) // 8 * 8
    connection.dataReceived(framed(head + b"%04X" % size + bytes(size)))

    assert transport.value()[2:10] == b"0001M100"
    assert len(transport.value()) == 2 + 8 + 4 + 2 * size


def test_I11_a_slow_frame_is_cut_off() -> None:
    """A byte every second never finishes: dropped at the frame's limit, not at the idle one."""
    house = House()
    connection, transport = house.connect()
    for byte in PIPELINE[:3]:
        connection.dataReceived(bytes((byte,)))
        house.clock.advance(1)
    assert transport.connected
    house.clock.advance(1)
    house.clock.advance(1)

    assert not transport.connected
    assert house.log.lines[-1]["reason"] == "slow"


def test_a_finished_frame_ends_its_clock() -> None:
    """Half a frame, its end, and then silence shorter than the idle limit: all is well."""
    house = House()
    connection, transport = house.connect()
    connection.dataReceived(PIPELINE[:5])
    house.clock.pump([1, 1])
    connection.dataReceived(PIPELINE[5:])
    house.clock.pump([1] * 30)

    assert transport.connected


def test_I11_a_silent_connection_is_closed() -> None:
    """After the idle limit."""
    house = House()
    _, transport = house.connect()
    house.clock.pump([1] * 60)

    assert not transport.connected
    assert house.log.lines[-1]["reason"] == "idle"


def test_I11_answers_left_unread_stop_the_reading() -> None:
    """A client that does not read gets no more answers, and is dropped at the frame's limit."""
    house = House()
    connection, transport = house.connect()
    connection.pauseProducing()
    connection.dataReceived(PIPELINE)
    assert transport.value() == b""
    house.clock.pump([1] * 4)
    connection.resumeProducing()
    assert transport.value() == ANSWERS
    connection.pauseProducing()
    house.clock.pump([1] * 5)

    assert not transport.connected


def test_I11_one_connection_too_many_is_refused_and_the_house_stays_open() -> None:
    """The third is closed at once; when one leaves, the next is served."""
    house = House()
    (_, first), _, (third, third_transport) = (house.connect() for _ in range(3))
    assert not third_transport.connected
    assert house.log.lines[-1] == {"event": "connection_refused", "reason": "full"}
    first.loseConnection()
    fourth, fourth_transport = house.connect()
    fourth.dataReceived(PIPELINE)

    assert fourth_transport.value() == ANSWERS
    third.dataReceived(PIPELINE)
    assert third_transport.value() == b""


def test_a_strange_user_is_refused_on_a_unix_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """SO_PEERCRED names the user; only the configured ones get in."""
    house = House(door=ByUser({1000: Client("switch")}))
    monkeypatch.setattr("hsm.daemon.clients.peer_uid", lambda transport: 4711)
    _, transport = house.connect()
    assert not transport.connected
    assert house.log.lines[-1] == {
        "event": "connection_refused",
        "reason": "stranger",
        "who": "uid 4711",
    }
    monkeypatch.setattr("hsm.daemon.clients.peer_uid", lambda transport: 1000)
    _, transport = house.connect()

    assert transport.connected


def test_a_client_may_ask_only_what_is_listed() -> None:
    """NC, NO and B2 always pass; another command answers 68 and changes nothing."""
    house = House(door=Anyone(client("bank", ["M6"])))
    connection, transport = house.connect()
    connection.dataReceived(framed(b"0001NC", b"0002B20002hi", b"0003A00001U", b"0004M6"))

    assert transport.value()[6:10] == b"ND00"
    assert b"0003A168" in transport.value()
    assert b"0004M715" in transport.value()


def test_peer_uid_of_a_real_unix_socket() -> None:
    """The kernel tells who we are; TCP tells nothing."""
    import os
    import socket

    class Holder:
        def __init__(self, connection: socket.socket) -> None:
            self.socket = connection

    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right, socket.socket(socket.AF_INET) as tcp:
        assert hardening.peer_uid(Holder(left)) == os.getuid()
        assert hardening.peer_uid(Holder(tcp)) is None


def test_closing_lets_answers_out_first() -> None:
    """close() ends every connection and fires when the last is gone."""
    house = House()
    connection, transport = house.connect()
    connection.dataReceived(PIPELINE)
    done = house.household.close()

    assert done.called
    assert transport.value() == ANSWERS
    assert not transport.connected
    assert house.clock.getDelayedCalls() == []


def test_I12_the_log_names_fields_and_never_holds_data() -> None:
    """Keys, PIN block, account and text of refused commands do not reach the log."""
    house = House()
    connection, _ = house.connect()
    secrets = (b"063A0E7C0F2124E5", b"6225880123456789", b"B35621D3FC600329")
    for secret in secrets:
        for head in (b"CAU", b"A6001U", b"M602011003", b"B2FFFF", b"M2000100BU", b"QQ", b"BU011U"):
            connection.dataReceived(framed(b"0001" + head + secret + b"Z" * 40))

    assert {line["event"] for line in house.log.lines} == {"command_refused"}
    assert {line["error"] for line in house.log.lines} >= {"15", "80", "68"}
    for secret in secrets:
        assert secret.decode() not in str(house.log.lines)


def test_I11_a_flood_of_refusals_does_not_flood_the_log() -> None:
    """So many lines between two sweeps, and again after the next."""
    house = House()
    connection, _ = house.connect()
    connection.dataReceived(framed(b"0001QQ") * (LOG_LINES_MAX + 50))
    assert len(house.log.lines) == LOG_LINES_MAX
    house.clock.advance(1)
    connection.dataReceived(framed(b"0001QQ"))

    assert len(house.log.lines) == LOG_LINES_MAX + 1
