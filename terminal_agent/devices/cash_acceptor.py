"""Cash acceptors with the CCNET protocol, a journal entry for every step of every note.

Every note stops in escrow. Its entry is on the disk before it is told to go either way, and what
the acceptor says of it is on the disk before that is acknowledged: so an event that comes twice is
known, and a note whose end nobody saw is *uncertain*, counted by people only.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from terminal_agent.config import ConfigError
from terminal_agent.devices.cash_journal import (
    ESCROW,
    RETURNED,
    RETURNING,
    STACKED,
    STACKING,
    UNCERTAIN,
    CashJournal,
    Note,
)
from terminal_agent.devices.ccnet_frames import (
    ACK,
    ENABLE,
    POLL,
    RESET,
    RETURN,
    STACK,
    Decoder,
    encode,
)
from terminal_agent.devices.interfaces import Completion, DeviceError, State
from terminal_agent.devices.serial_device import SerialDevice, SerialOptions

POWER_UP, WITH_NOTE, NOTE_STACKED = 0x10, 0x11, 0x12
IDLE, DISABLED = 0x14, 0x19
FULL, BOX_OUT, CHEATED = 0x41, 0x42, 0x45
FAILURES: Final = (0x43, 0x44, 0x47)
IN_ESCROW, IS_STACKED, IS_RETURNED = 0x80, 0x81, 0x82
NOTE_TYPES_MAX: Final = 24


class CashOptions(SerialOptions, frozen=True, kw_only=True):
    """``poll_ms`` is how often the acceptor is asked: 100 to 200."""

    journal: str
    """SQLite file of the notes."""
    notes: Annotated[str, Meta(pattern=r"^\d+=\d+( \d+=\d+)*$")]
    """Note types and their amounts in fen: ``2=1000 3=2000 4=5000 5=10000``; others go back."""


def notes_of(text: str) -> dict[int, int]:
    """Note type → fen. Raises ConfigError."""
    notes = {int(kind): int(fen) for kind, fen in re.findall(r"(\d+)=(\d+)", text)}
    if max(notes) >= NOTE_TYPES_MAX or min(notes.values()) < 1:
        raise ConfigError("notes: types are 0 to 23, amounts at least 1")
    return notes


class CashAcceptor(SerialDevice):
    """One acceptor."""

    role = "cash_acceptor"

    def __init__(self, options: CashOptions, reactor: Any, **world: Any) -> None:
        super().__init__(options, reactor, **world)
        self._decoder = Decoder()
        self._notes = notes_of(options.notes)
        self.journal = CashJournal(Path(options.journal))
        self._session = ""
        self._most_fen = 0
        self._health: str = State.ONLINE

    def stop(self) -> None:
        """See SerialDevice; the journal is closed."""
        super().stop()
        self.journal.close()

    # ---- CashAcceptor ----------------------------------------------------------------------------

    async def cash_in_start(self, session: str, maximum_fen: int) -> None:
        """Take notes for ``session`` until its total would pass ``maximum_fen``; a note that
        would is given back. Raises DeviceError."""
        if self._session:
            raise DeviceError(Completion.SEQUENCE_ERROR, "another session is open")
        async with self._turn_of_mine():
            if self._health != State.ONLINE:
                raise DeviceError(Completion.DEVICE_NOT_READY, self._health)
            self._session, self._most_fen = session, maximum_fen
            await self._enable(True)

    async def cash_in_end(self) -> int:
        """Take no more, once the channel is empty: what the session brought, in fen. Raises
        DeviceError (sequenceError: a note is still moving; ask again)."""
        async with self._turn_of_mine():
            await self._enable(False)
            await self._poll_once()
            if self.journal.open_note() is not None:
                raise DeviceError(Completion.SEQUENCE_ERROR, "a note is still moving")
            session, self._session = self._session, ""
            return self.journal.total_fen(session)

    async def _enable(self, on: bool) -> None:
        bits = sum(1 << kind for kind in self._notes) if on else 0
        await self._command(ENABLE + bits.to_bytes(3, "big") * 2)

    # ---- the notes -------------------------------------------------------------------------------

    async def _greet(self) -> None:
        await self._poll_once()

    async def _poll_once(self) -> None:
        told = await self._command(POLL)
        order = self._heard(told[0], told[1] if len(told) > 1 else -1)
        self._send(encode(ACK))
        if order:
            await self._command(order)
            if order == RESET and self._session:
                await self._enable(True)

    def _heard(self, code: int, kind: int) -> bytes:
        """Journal what the acceptor says; the command that follows from it."""
        if code not in (IS_STACKED, NOTE_STACKED):
            self.journal.heard()
        self._judge(code)
        note = self.journal.open_note()
        if code == IN_ESCROW:
            return self._in_escrow(note, kind)
        if code in (IS_STACKED, NOTE_STACKED):
            self._is_stacked(note, self._notes.get(kind, 0))
            return RESET if code == NOTE_STACKED else b""
        if code == WITH_NOTE:
            # A reset gives the note back, and tells when it has.
            if note is not None and note.state != RETURNING:
                self.journal.became(note, RETURNING)
            return RESET
        if note is not None and code == IS_RETURNED:
            self._ended(note, RETURNED)
        elif note is not None and code in (IDLE, DISABLED, POWER_UP):
            self._ended(note, UNCERTAIN)
        return RESET if code == POWER_UP else b""

    def _in_escrow(self, note: Note | None, kind: int) -> bytes:
        amount_fen = self._notes.get(kind, 0)
        if not amount_fen:
            return RETURN
        if note is None:
            note = self.journal.seen(self._session or "-", amount_fen)
            self._tell("CashAcceptor.ItemsInsertedEvent", str(amount_fen))
        total_fen = self.journal.total_fen(note.session) + note.amount_fen
        ours = note.session == self._session and note.amount_fen == amount_fen
        wanted = STACKING if ours and total_fen <= self._most_fen else RETURNING
        if note.state == RETURNING:
            wanted = RETURNING
        if note.state != wanted:
            self.journal.became(note, wanted)
        return STACK if wanted == STACKING else RETURN

    def _is_stacked(self, note: Note | None, amount_fen: int) -> None:
        """The open note; or the last one told again, as its event was not heard to be taken; or
        one that nobody saw come."""
        if note is not None:
            same = amount_fen in (0, note.amount_fen) and note.state != ESCROW
            self._ended(note, STACKED if same else UNCERTAIN)
            return
        last = self.journal.last()
        if amount_fen and (last is None or last.state != STACKED or last.heard):
            self.journal.seen(self._session or "-", amount_fen, UNCERTAIN)
            self._tell("CashAcceptor.NoteErrorEvent", str(amount_fen))

    def _ended(self, note: Note, state: str) -> None:
        self.journal.became(note, state)
        names = {
            STACKED: "CashAcceptor.ItemsTakenInEvent",
            RETURNED: "CashAcceptor.ItemsTakenEvent",
            UNCERTAIN: "CashAcceptor.NoteErrorEvent",
        }
        self._tell(names[state], str(note.amount_fen))

    def _judge(self, code: int) -> None:
        if code == FULL:
            self._health = "cashBoxFull"
        elif code == BOX_OUT:
            self._health = "cashBoxRemoved"
        elif code in FAILURES:
            self._health = State.HARDWARE_ERROR
        else:
            self._health = State.ONLINE
        if code == CHEATED:
            self._tell("CashAcceptor.FraudAttemptEvent")

    def _healthy(self) -> str:
        return self._health

    # ---- the line --------------------------------------------------------------------------------

    async def _command(self, body: bytes) -> bytes:
        answer: bytes = await self._ask(encode(body))
        return answer

    def _feed(self, data: bytes) -> None:
        for body in self._decoder.feed(data):
            self._answered(body)

    def _forget(self) -> None:
        self._decoder.forget()
