"""What each terminal last said of itself: in memory, as metrics, and as one small file each below
``states/`` for ``yyt terminal list``.

Only terminals of the registry have a state, so files and metric labels are bounded by it (I11).
The files are for people: the front never decides by them, and losing them loses nothing.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from channels.kiosk.registry import TERMINAL_ID, write_durably
from switch.observe import metrics

ROLES = (
    "card_reader",
    "pin_pad",
    "printer",
    "visit_card",
    "id_reader",
    "scanner",
    "cash_acceptor",
    "report_printer",
)
"""Devices that the metrics know; a terminal may name others, which only its file shows."""
WORKING = frozenset({"online", "paperLow", "tonerLow"})
WRITE_MS = 5_000
"""A terminal's file is written no oftener than this, however much its devices flap …"""
CONTACT_MS = 60_000
"""… and for nothing but a newer contact no oftener than this."""


class State(Struct, frozen=True, kw_only=True):
    """One terminal as its last link knew it. Times in ms since 1970."""

    terminal: str
    connected: bool = False
    heard_at: int = 0
    software: str = ""
    release: str = ""
    version: int = 0
    """Protocol version spoken with it; 0: it has not said Boot."""
    settings: int = 0
    """Version of the pushed settings in force there."""
    devices: dict[str, str] = {}
    certificate_ends_at: int = 0


class States:
    """The states of one front's terminals."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "states"
        self._states: dict[str, State] = {}
        self._written: dict[str, tuple[int, State]] = {}

    def read_all(self) -> Iterator[State]:
        """The states as the files have them, by terminal; unreadable files are left out."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                state = msgspec.json.decode(path.read_bytes(), type=State)
            except (OSError, msgspec.DecodeError):
                continue
            if state.terminal == path.stem and TERMINAL_ID.fullmatch(path.stem):
                yield state

    def expect(self, terminal: str) -> None:
        """A terminal that should be there: it counts as away until it connects."""
        if terminal not in self._states:
            self.put(State(terminal=terminal))

    def known(self) -> tuple[str, ...]:
        """Every terminal with a state."""
        return tuple(self._states)

    def of(self, terminal: str) -> State:
        """The state now."""
        return self._states.get(terminal) or State(terminal=terminal)

    def put(self, state: State) -> None:
        """Take a state over, and show it in the metrics."""
        old = self._states.get(state.terminal)
        self._states[state.terminal] = state
        metrics.TERMINAL_UP.labels(state.terminal).set(int(state.connected))
        if state.certificate_ends_at:
            seconds = state.certificate_ends_at // 1000
            metrics.TERMINAL_CERTIFICATE_END_SECONDS.labels(state.terminal).set(seconds)
        if old is None or (old.devices, old.connected) != (state.devices, state.connected):
            _show_devices(state)

    def forget(self, terminal: str) -> None:
        """A terminal that is served no more: no metric and no alarm for it."""
        state = self._states.pop(terminal, None)
        if state is not None:
            _show_devices(replace(state, connected=False))
            for gauge in (metrics.TERMINAL_UP, metrics.TERMINAL_CERTIFICATE_END_SECONDS):
                gauge.remove(terminal)

    def due(self, now_ms: int) -> list[State]:
        """What should be written now. It counts as written from here on."""
        found = []
        for terminal, state in self._states.items():
            at_ms, written = self._written.get(terminal, (0, None))
            if state == written or not state.heard_at:
                continue
            contact_only = written is not None and state == replace(
                written, heard_at=state.heard_at
            )
            if now_ms - at_ms >= (CONTACT_MS if contact_only else WRITE_MS):
                self._written[terminal] = (now_ms, state)
                found.append(state)
        return found

    def write(self, states: list[State]) -> None:
        """Put states on the disk. Blocks: call it in a thread. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for state in states:
            write_durably(self._folder / f"{state.terminal}.json", msgspec.json.encode(state))


def _show_devices(state: State) -> None:
    """A terminal that is away has no device states: nobody knows them."""
    for role in ROLES:
        said = state.devices.get(role) if state.connected else None
        if said is None:
            metrics.TERMINAL_DEVICE_UP.remove(state.terminal, role)
        else:
            up = int(said in WORKING)
            metrics.TERMINAL_DEVICE_UP.labels(state.terminal, role).set(up)
