"""A cash acceptor without hardware: notes go in, stop in escrow, and go either way; the power may
fail at any moment."""

from typing import Any

from terminal_agent.devices.cash_acceptor import (
    BOX_OUT,
    DISABLED,
    FULL,
    IDLE,
    IN_ESCROW,
    IS_RETURNED,
    IS_STACKED,
    NOTE_STACKED,
    POWER_UP,
    WITH_NOTE,
    CashAcceptor,
    CashOptions,
)
from terminal_agent.devices.ccnet_frames import (
    ACK,
    ENABLE,
    NAK,
    POLL,
    RESET,
    RETURN,
    STACK,
    Decoder,
    encode,
)
from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.memory_port import cable

MOVING = 0x17


class CashEmulator(Emulator):
    """One acceptor. ``box`` holds the types of the notes in it, ``given_back`` those that the
    patient has again: the truth that a journal is compared with."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = Decoder()
        self._enabled = False
        self._channel: int | None = None
        self._going = b""
        self._event: tuple[int, int] | None = None
        self._event_told = False
        self._power = POWER_UP
        self.box: list[int] = []
        self.given_back: list[int] = []
        self.full = False
        self.box_out = False
        self.deaf_to_ack = 0
        """So many acknowledgements are lost."""

    @property
    def takes_notes(self) -> bool:
        """Whether a note would be drawn in now."""
        return self._enabled and self._channel is None and self._event is None

    def insert(self, kind: int) -> bool:
        """A patient's hand; False: the note is not drawn in."""
        if not self.takes_notes:
            return False
        self._channel = kind
        return True

    def power_cut(self) -> None:
        """And back again: what it was doing is lost, the note is where it is."""
        if self._event is not None and self._event[0] == IS_STACKED:
            self._power = NOTE_STACKED
        elif self._channel is not None:
            self._power = WITH_NOTE
        else:
            self._power = POWER_UP
        self._enabled, self._event, self._going = False, None, b""
        self._decoder.forget()

    def received(self, data: bytes) -> None:
        """Commands and acknowledgements."""
        for body in self._decoder.feed(data):
            if body == ACK:
                self._acknowledged()
            elif body == POLL:
                self.answer(encode(self._told()))
            else:
                self.answer(encode(ACK if self._perform(body) else NAK))

    def _acknowledged(self) -> None:
        if self.deaf_to_ack:
            self.deaf_to_ack -= 1
        elif self._event_told:
            self._event = None

    def _told(self) -> bytes:
        if self._power:
            return bytes([self._power])
        if self._event is not None:
            self._event_told = True
            return bytes(self._event)
        if self.full or self.box_out:
            return bytes([FULL if self.full else BOX_OUT])
        if self._going:
            self._arrive()
            return bytes([MOVING])
        if self._channel is not None:
            return bytes([IN_ESCROW, self._channel])
        return bytes([IDLE if self._enabled else DISABLED])

    def _arrive(self) -> None:
        assert self._channel is not None
        if self._going == STACK:
            self.box.append(self._channel)
            self._event = (IS_STACKED, self._channel)
        else:
            self.given_back.append(self._channel)
            self._event = (IS_RETURNED, self._channel)
        self._channel, self._going, self._event_told = None, b"", False

    def _perform(self, body: bytes) -> bool:
        if body[:1] == ENABLE:
            self._enabled = any(body[1:4])
            return True
        if body == RESET:
            self._power = 0
            if self._channel is not None:
                self._going = RETURN
            return True
        if body in (STACK, RETURN) and self._channel is not None and not self._going:
            self._going = body
            return True
        return False


class EmulatedCashAcceptor(CashAcceptor):
    """Driver and emulated acceptor in one process; ``port`` is the link to make."""

    def __init__(self, options: CashOptions, reactor: Any, **world: Any) -> None:
        self.emulator = CashEmulator()
        self._cable, line = cable(reactor, options.port, self.emulator)
        super().__init__(options, reactor, **line, **world)

    def start(self) -> None:
        """Plug the acceptor in, then see SerialDevice."""
        self._cable.plug()
        super().start()
