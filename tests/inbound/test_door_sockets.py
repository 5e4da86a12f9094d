"""The door on real sockets, in a process of its own."""

import os
import socket
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.bank.rig import PAN, PIN
from tests.inbound.pos_bytes import Pos
from tests.inbound.rig import MERCHANT, POS_TMK, TERMINAL
from tests.kiosk.rig import Process

ROOT = Path(__file__).parents[2]
WAIT_S = 30
ASKED_LIMIT_BYTES = 32_000_000
"""More than a machine's buffers hold of what nobody reads."""


class Wire:
    """A POS on a TCP connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self.read = 0
        self.pos = Pos(MERCHANT, TERMINAL, POS_TMK, self.socket.sendall)

    def answer(self):
        """The next answer's (mti, field 39)."""
        self.read += 1
        while len(self.pos.answers) < self.read:
            data = self.socket.recv(4_096)
            assert data, "the switch closed the connection"
            self.pos.data(data)
        mti, fields, _ = self.pos.answers[self.read - 1]
        return mti, fields[39]


@contextmanager
def door(*arguments):
    """A POS that is signed on at a door in a process of its own."""
    process = Process(
        [sys.executable, str(Path(__file__).with_name("door_process.py")), *arguments],
        {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "")},
    )
    try:
        wire = Wire(process.wait_for(lambda line: line["event"] == "up")["pos"])
        with closing(wire.socket):
            wire.pos.sign_on()
            assert wire.answer() == ("0810", "00")
            wire.pos.take_keys()
            yield wire
    finally:
        process.end()


def test_a_pos_signs_on_sells_and_reverses_over_tcp():
    """Bytes in, bytes out; the frames dripped byte by byte, and two in one piece."""
    with door() as wire:
        sent = []
        wire.pos._send = sent.append
        wire.pos.sale(wire.pos.card(PAN, PIN), 100, stan="000011")
        for byte in sent[0]:
            wire.socket.sendall(bytes([byte]))
        assert wire.answer() == ("0210", "00")
        assert wire.pos.answers[-1][2], "its MAC is right"
        wire.pos.reverse(PAN, 100, "000011")
        wire.pos.sale(wire.pos.card(PAN, PIN), 200, stan="000012")
        wire.socket.sendall(sent[1] + sent[2])

        assert sorted([wire.answer(), wire.answer()]) == [("0210", "00"), ("0410", "00")]


@pytest.mark.parametrize("order", ["sale first", "0400 first"])
def test_I5_a_0400_that_races_its_sale_over_tcp(order):
    """In one piece, either way round, with a bank that takes a second: the 0400 is answered at
    once, and the sale is never approved."""
    with door("1") as wire:
        sent = []
        wire.pos._send = sent.append
        wire.pos.sale(wire.pos.card(PAN, PIN), 100, stan="000011")
        wire.pos.reverse(PAN, 100, "000011")
        wire.socket.sendall(b"".join(sent if order == "sale first" else reversed(sent)))

        assert wire.answer() == ("0410", "00")
        mti, code = wire.answer()
        assert (mti, code in {"98", "12"}) == ("0210", True), "undone, or barred before it began"


def test_I11_a_peer_that_never_reads_is_dropped_over_tcp():
    """It asks and asks, and takes no answer: reading from it stops when its answers fill the
    connection, and after frame_timeout_ms it is gone. Another one is served all the while."""
    with door() as wire, closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.settimeout(WAIT_S)
        deaf.connect(wire.socket.getpeername())
        asked = []
        stranger = Pos(MERCHANT, TERMINAL, POS_TMK, asked.append)
        stranger.send("0820", {60: "00000001301"}, maced=False)
        with pytest.raises(ConnectionError):
            deaf.sendall(asked[0] * (ASKED_LIMIT_BYTES // len(asked[0])))

        wire.pos.sale(wire.pos.card(PAN, PIN), 100, stan="000011")
        assert wire.answer() == ("0210", "00")
