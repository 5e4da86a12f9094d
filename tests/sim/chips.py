"""Chip cards at terminals: each decides once, in its terminal's journal, and says so when it can.

Independent of the kiosk's program. A terminal's journal survives its power cuts; the card that
waits in it does not. What a card said is the truth that the auditor reads.
"""

from collections.abc import Callable
from random import Random
from typing import Any
from zlib import crc32

from msgspec import Struct

from terminal_agent import protocol
from tests.sim.clock import SimClock
from tests.sim.mix import Mix
from tests.sim.process import Mortal

ISSUER = "910AC0FFEEC0FFEEC0FF3030"
"""Field 55 of the bank's approval: for the card, and for no journal (I12)."""
LAST_WORD = "9505000004E0009F3602001C5A086222020200112233"
"""What a rude kiosk says of its card: rule 18's tags, and a card number besides."""
KEPT = "9505000004E0009F3602001C"
"""What of it may be journaled."""
_SCRIPTS = "DF3105"
SILENCE_S = 20.0
"""So long a terminal waits for a sign of life of its node before it dials again."""


class End(Struct, frozen=True):
    """How a card ended, and when that was written down."""

    result: str
    at: float
    scripts: str = ""
    """What the issuer's scripts came to (DF31, with its tag); empty: none ran."""


def scripts_of(key: str) -> str:
    """Of every second card that is finished; no two have the same."""
    digest = crc32(key.encode())
    return f"{_SCRIPTS}{digest:08X}01" if digest & 1 else ""


class Link:
    """One terminal's link to one node; what channels.kiosk.finisher sees of it."""

    version = 2

    def __init__(self, node: Any, terminal: "Terminal") -> None:
        self.node = node
        self.terminal = terminal
        self.up = True

    def push(self, name: str, body: protocol.CardFinish, key: str) -> bool:
        if not self.up:
            return False
        if self.node.process.effect("push"):
            self.terminal.pushed(self, key, body)
        return True


class Terminal:
    """One terminal. ``ends`` is its journal."""

    def __init__(self, name: str, house: "Chips") -> None:
        self.name = name
        self.link: Link | None = None
        self.ends: dict[str, End] = {}
        self._house = house
        self._open: set[str] = set()
        """Ends that no node has acknowledged."""
        self._waiting: set[str] = set()
        """Payments whose card is inside."""
        self._running = ""

    # ---- the card --------------------------------------------------------------------------------

    def inserted(self, key: str) -> None:
        """A payment begins: its card waits inside."""
        if key not in self.ends:
            self._waiting.add(key)

    def power_cut(self) -> None:
        """Off and on: the journal stays, cards and what was going on do not."""
        self._house.trace(self.name, "power cut")
        self._waiting.clear()
        self._running = ""
        self.cut()

    def pushed(self, link: Link, key: str, body: protocol.CardFinish) -> None:
        house = self._house
        if house.chance("finish_lost"):
            self.cut()
            return
        house.clock.callLater(house.delay(), self._asked, link, key, body)
        if house.chance("finish_twice"):
            house.clock.callLater(house.delay(), self._asked, link, key, body)

    def _asked(self, link: Link, key: str, body: protocol.CardFinish) -> None:
        if link is not self.link or key == self._running:
            return
        if key in self.ends:
            self._tell(key)
        elif body.ask or key not in self._waiting:
            self._ended(key, "declined")
        else:
            self._waiting.discard(key)
            self._running = key
            says = "declined" if self._house.chance("card_declines") else "confirmed"
            says = says if body.chip == ISSUER else "declined"
            slow = self._house.random.uniform(0.5, 12)
            self._house.clock.callLater(slow, self._finished, key, says)

    def _finished(self, key: str, says: str) -> None:
        if self._running == key:  # else the power went meanwhile
            self._running = ""
            self._ended(key, says, scripts_of(key))

    def _ended(self, key: str, result: str, scripts: str = "") -> None:
        self._house.trace(self.name, "card", key, result, scripts)
        self.ends[key] = End(result, self._house.clock.rightNow, scripts)
        self._open.add(key)
        self._tell(key)

    # ---- the link --------------------------------------------------------------------------------

    def connect(self) -> None:
        """Dial any living node; ends first."""
        if self.link is not None:
            return
        nodes = self._house.nodes()
        if not nodes:
            self._house.clock.callLater(1.0, self.connect)
            return
        self.link = Link(self._house.random.choice(nodes), self)
        for key in sorted(self._open):
            self._tell(key)

    def cut(self) -> None:
        """The link is lost; its node notices, and the terminal dials again."""
        link, self.link = self.link, None
        if link is not None:
            link.up = False
            link.node.process.callLater(0, link.node.finisher.link_lost, link)
            self._house.clock.callLater(self._house.random.uniform(0.2, 9), self.connect)

    def silent(self) -> None:
        """Is its node still there?"""
        if self.link is not None and not _answers(self.link.node.process):
            self.cut()

    def _tell(self, key: str) -> None:
        house = self._house
        if self.link is None:
            return
        if house.chance("finish_lost"):
            self.cut()
            return
        for _ in range(2 if house.chance("finish_twice") else 1):
            late = house.random.uniform(10, 60) if house.chance("finish_late") else 0.0
            process = self.link.node.process
            process.callLater(house.delay() + late, self._said, self.link, key)

    def _said(self, link: Link, key: str) -> None:
        """In the node's process: the front gives it to its finisher, and acknowledges."""
        if not link.up or not link.node.process.effect("word"):
            return
        end = self.ends[key]
        word = protocol.CardFinished(
            result="confirmed" if end.result == "confirmed" else "declined",
            chip=protocol.Chip(LAST_WORD + end.scripts),
        )
        try:
            link.node.finisher.finished(self.name, key, word)
        except protocol.ProtocolError as error:
            self._house.trace(self.name, "fault", key, error.fault.code)
        if not self._house.chance("finish_lost"):
            self._open.discard(key)


class Chips:
    """All terminals of the world."""

    def __init__(
        self,
        clock: SimClock,
        random: Random,
        mix: Mix,
        nodes: Callable[[], list[Any]],
        trace: Callable[..., None],
    ) -> None:
        self.clock = clock
        self.random = random
        self.nodes = nodes
        self.trace = trace
        self._mix = mix
        self.terminals = {name: Terminal(name, self) for name in ("t0", "t1", "t2")}

    def start(self) -> None:
        for terminal in self.terminals.values():
            terminal.connect()
        self._minute()

    def link_of(self, node: Any, terminal: str) -> Link | None:
        """What a node's front has: the live link of a terminal that dialled this node."""
        link = self.terminals[terminal].link
        return link if link is not None and link.node is node else None

    def ends(self) -> dict[str, End]:
        """Key → how its card ended."""
        return {key: end for t in self.terminals.values() for key, end in t.ends.items()}

    def chance(self, fault: str) -> bool:
        return bool(self.random.random() < getattr(self._mix, fault))

    def delay(self) -> float:
        return self.random.uniform(0.001, 0.3)

    def _minute(self) -> None:
        """Every so often: heartbeats that nobody answers, power cuts."""
        for terminal in self.terminals.values():
            terminal.silent()
            if self.chance("kiosk_power"):
                terminal.power_cut()
        self.clock.callLater(SILENCE_S, self._minute)


def _answers(process: Mortal) -> bool:
    return process.alive and not process.frozen
