"""A bank with a list that an auditor may read, and bad habits.

Independent of the channel but for the codec: it keeps its own keys, its own matching of originals
and its own idea of what is booked.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.protocol import Protocol

from channels.iso8583.codec import Codec
from channels.iso8583.message import Message
from switch.model.operation import Operation
from switch.model.payment import RungKind
from switch.net.frames import FrameReader, framed
from tests.sim.bank_keys import BankKeys
from tests.sim.batch_desk import BatchDesk
from tests.sim.book import REFERS, Book
from tests.sim.chips import ISSUER
from tests.sim.clock import SimClock
from tests.sim.entry import Entry
from tests.sim.mix import Mix
from tests.sim.process import Process
from tests.sim.pushes import Pushes
from tests.sim.reading import Identity, Reading
from tests.sim.scripts import Notice

PROCESSING_MAX_S = 45.0
_REPEATED = ("3", "4", "11", "41", "42", "49")
_ALWAYS = {"7": "0722120000", "12": "120000", "13": "0722", "15": "0722", "37": "000000000000"}


class BankHost:
    """The list, the keys and the rules; :class:`BankLink` is one connection."""

    def __init__(
        self,
        clock: SimClock,
        random: Random,
        mix: Mix,
        codec: Codec,
        reading: Reading,
        trace: Callable[..., None],
        places: list[tuple[str, str]],
        epoch_s: float,
    ) -> None:
        """``places``: (F42, F41) of the logical terminals. ``epoch_s``: when virtual time began."""
        self.clock = clock
        self.random = random
        self.mix = mix
        self.codec = codec
        self.read: Callable[[Process, Identity], None] = _unread
        """Called when a process has read an answer to what it sent under these numbers."""
        self._reading = reading
        self._dialect = codec.dialect
        self.keys = BankKeys(codec.dialect, clock, random, mix)
        self.trace = trace
        self.entries: dict[Identity, Entry] = {}
        self.desk = BatchDesk(codec.dialect, self.entries)
        self.reversals: list[tuple[float, Identity, str]] = []
        """When, of what, answered how."""
        self.notices: list[Notice] = []
        """Of issuer scripts, as they were heard."""
        self.overtaken: set[Identity] = set()
        """Sales whose reversal came first, at a bank that answers repeats as it answered them."""
        self.links: dict[BankLink, None] = {}
        self.pushes = Pushes(
            clock, random, mix, codec, self.keys, places, epoch_s, self._push, trace
        )
        self.book = Book(random, mix, self.entries, self.desk.closed)
        self._tombs: set[Identity] = set()
        self._rrn = 0

    def buildProtocol(self, _address: object) -> "BankLink":
        return BankLink(self)

    def handle(self, link: "BankLink", frame: bytes) -> None:
        message = self.codec.decode(frame)
        if not self._dialect.mtis[message.mti].answer:
            self.pushes.answered(message)
            return
        kind = self._reading.kind(message)
        handler = _HANDLERS.get(kind)
        if handler is None:
            self.operate(link, kind, message)
        else:
            handler(self, link, message)

    # ---- network management ---------------------------------------------------------------------

    def sign_on(self, link: "BankLink", message: Message) -> None:
        terminal = message.fields.get("41", "")
        self.trace("bank", "sign-on", terminal)
        fields = {"39": "00"}
        if not self.keys.shared:
            fields |= self.keys.sign_on(terminal)
        if "60" in message.fields:
            fields["60"] = message.fields["60"]
        self._say(link, message, fields, "")

    def key_request(self, link: "BankLink", message: Message) -> None:
        """It is accepted, and the keys come by themselves."""
        self._say(link, message, {"39": "00"}, "")
        self.pushes.keys()

    def _push(self, frame: bytes) -> bool:
        """By any of the links, whichever node is at the other end."""
        if not self.links:
            return False
        link = self.random.choice([*self.links])
        link.transport.send(framed(frame, self._dialect.length_prefix), None)
        return True

    def echo(self, link: "BankLink", message: Message) -> None:
        self._say(link, message, {"39": "00"}, "")

    # ---- settlement of batches -------------------------------------------------------------------

    def settle(self, link: "BankLink", message: Message) -> None:
        if self.random.random() < self.mix.bank_silent_before:
            return
        fields = self.desk.settle(message)
        self.trace("bank", "settlement", message.fields["41"], fields["48"])
        self._answer(link, message, "", fields)

    def upload(self, link: "BankLink", message: Message) -> None:
        self._answer(link, message, "", {"39": "00"})

    # ---- what issuer scripts came to -------------------------------------------------------------

    def notice(self, link: "BankLink", message: Message) -> None:
        mak = self.keys.proven(message)
        if not mak:
            self._say(link, message, {"39": "A0"}, "")
            return
        original = self._reading.original("script_notice", message)
        lost = self.random.random() < self.mix.bank_silent_before
        self.trace("bank", "notice", *original[1:], "lost" if lost else message.fields["55"])
        if not lost:
            self.notices.append(Notice(self.clock.rightNow, original, message.fields["55"]))
            self._answer(link, message, mak, {"39": "00"})

    # ---- operations ------------------------------------------------------------------------------

    def operate(self, link: "BankLink", kind: str, message: Message) -> None:
        random, mix = self.random.random, self.mix
        identity = self._reading.identity(kind, message)
        operation = Operation(kind)
        mak = self.keys.proven(message)
        if not mak or random() < mix.bank_new_keys:
            self.trace("bank", operation, *identity[1:], "A0")
            self._say(link, message, {"39": "A0"}, "")
            return
        if not self.keys.knows_pin(message):
            self.trace("bank", operation, *identity[1:], "PIN key")
            self._say(link, message, {"39": "99"}, "")
            return
        if self.keys.shared and random() < mix.bank_resets:
            self.pushes.some()
        if random() < mix.bank_silent_before:
            self.trace("bank", operation, *identity[1:], "lost")
            return
        if identity in self.entries:
            self.entries[identity].times += 1
            self._answer(link, message, mak, {"39": "94"})
            return
        self.entries[identity] = Entry(
            operation,
            int(message.fields["4"]),
            self._reading.original(kind, message) if operation in REFERS else None,
            self.clock.rightNow,
            link.transport.peer.owner,
        )
        if random() < mix.bank_processing:
            delay = self.random.uniform(5, PROCESSING_MAX_S)
            self.clock.callLater(delay, self._book, link, message, mak, identity)
        else:
            self._book(link, message, mak, identity)

    def _book(self, link: "BankLink", message: Message, mak: str, identity: Identity) -> None:
        random, mix = self.random.random, self.mix
        entry = self.entries[identity]
        approval = {"39": "00", "37": self._next_rrn(), "15": "0722"}
        approval["38"] = approval["37"][-6:]
        if "55" in message.fields:
            approval["55"] = ISSUER
        if random() < mix.bank_forged:
            self.trace("bank", entry.operation, *identity[1:], "forged")
            entry.code = "06"
            self._say(link, message, approval, "wrong")
            return
        entry.code = "00"
        if identity[:3] in self.desk.closed:
            entry.code = "12"
        elif identity in self._tombs:
            entry.code = "06"
        elif random() < mix.bank_declines:
            entry.code = "51"
        elif entry.original is not None and not self.book.covers(entry):
            entry.code = "12"
        entry.booked = entry.code == "00"
        self.trace("bank", entry.operation, *identity[1:], entry.amount_fen, entry.code)
        if entry.booked:
            self._answer(link, message, mak, approval, entry)
        else:
            self._answer(link, message, mak, {"39": entry.code})

    # ---- reversal -------------------------------------------------------------------------------

    def reversal(self, link: "BankLink", message: Message) -> None:
        identity = self._reading.original("reversal", message)
        mak = self.keys.proven(message)
        if not mak:
            self._say(link, message, {"39": "A0"}, "")
            return
        if self.random.random() < self.mix.bank_reversal_lost:
            self.trace("bank", "reversal", *identity[1:], "lost")
            self.reversals.append((self.clock.rightNow, identity, ""))
            return
        code = self._reverse(identity)
        self.trace("bank", "reversal", *identity[1:], code)
        self.reversals.append((self.clock.rightNow, identity, code))
        self._answer(link, message, mak, {"39": code})

    def _reverse(self, identity: Identity) -> str:
        entry = self.entries.get(identity)
        if identity[:3] in self.desk.closed:
            return "12"
        if identity in self.overtaken:
            return "25"
        if entry is None or not entry.code:
            if not self.mix.bank_forgets:
                self._tombs.add(identity)
            elif self.mix.bank_repeats:
                self.overtaken.add(identity)
            return "25"
        if self.book.refuses(identity, entry):
            return "12"
        if self.mix.undo is not RungKind.REVERSAL and self.book.voided(identity):
            return "00"  # a copy that comes late: nothing is left to take back
        if entry.booked and entry.reversed_at is None:
            entry.reversed_at = self.clock.rightNow
        return "00"

    # ---- answers --------------------------------------------------------------------------------

    def _answer(
        self,
        link: "BankLink",
        message: Message,
        mak: str,
        fields: dict[str, str],
        approved: Entry | None = None,
    ) -> None:
        """As the habits have it: never, late, out of order, twice, with a wrong MAC."""
        random, mix = self.random.random, self.mix
        mti, stan = self._dialect.mtis[message.mti].answer, message.fields["11"]
        if random() < mix.bank_silent_after:
            self.trace("bank", mti, stan, "answer lost")
            return
        key = self.keys.to_answer(message.fields.get("41", ""), mak)
        if mak and random() < mix.bank_wrong_mac:
            self.trace("bank", mti, stan, "wrong MAC")
            key, approved = "wrong", None
        delay = 0.0
        if random() < mix.bank_late:
            delay = self.random.uniform(20, 80)
        elif random() < mix.bank_reorder:
            delay = self.random.uniform(0, 4)
        times = 2 if random() < mix.bank_twice else 1
        for _ in range(times):
            if delay:
                self.clock.callLater(delay, self._say, link, message, fields, key, approved)
            else:
                self._say(link, message, fields, key, approved)
            delay += self.random.uniform(0, 10)

    def _say(
        self,
        link: "BankLink",
        message: Message,
        fields: dict[str, str],
        mak: str,
        approved: Entry | None = None,
    ) -> None:
        """``mak`` empty: without a MAC. A link that is gone is replaced by any other."""
        codec, kind = self.codec, self._reading.kind(message)
        mti = self._dialect.mtis[message.mti].answer
        fields = self._echoed(message, mti) | fields
        if mak:
            fields[self._dialect.mac.field] = self.keys.macs.blank
            encoded = codec.answer(message, mti, fields)
            encoded = self.keys.seal(encoded, mti, fields, codec.mab(encoded), mak)
        else:
            encoded = codec.answer(message, mti, fields)
        if not link.up:
            if not self.links:
                return
            link = next(iter(self.links))
        reader = link.transport.peer.owner
        identity = None
        if self._reading.operates(kind):
            identity = self._reading.identity(kind, message)

        def arrived() -> None:
            if identity is not None:
                self.read(reader, identity)
            if approved is not None and approved.sender is reader and approved.heard_at is None:
                approved.heard_at = self.clock.rightNow

        link.transport.send(framed(encoded, self._dialect.length_prefix), arrived)

    def _echoed(self, message: Message, mti: str) -> dict[str, str]:
        """What an answer says of its request, and what the dialect wants besides."""
        rule = self._dialect.mtis[mti]
        fields = {number: _ALWAYS[number] for number in rule.mandatory if number in _ALWAYS}
        repeated = {*self._dialect.answers.echo, *rule.echoes, *_REPEATED}
        return fields | {n: message.fields[n] for n in repeated if n in message.fields}

    def _next_rrn(self) -> str:
        self._rrn += 1
        return f"{self._rrn:012d}"


def _unread(_process: Process, _identity: Identity) -> None:
    """Nobody looks."""


_HANDLERS: dict[str, Callable[..., None]] = {
    "reversal": BankHost.reversal,
    "sign_on": BankHost.sign_on,
    "sign_off": BankHost.echo,
    "echo": BankHost.echo,
    "key_request": BankHost.key_request,
    "script_notice": BankHost.notice,
    "settlement": BankHost.settle,
    "upload": BankHost.upload,
    "upload_end": BankHost.upload,
}


class BankLink(Protocol):
    """One connection from the switch."""

    transport: Any
    up = False

    def __init__(self, host: BankHost) -> None:
        self._host = host
        self._reader = FrameReader(host.codec.dialect.length_prefix, 4096)

    def connectionMade(self) -> None:
        self.up = True
        self._host.links[self] = None

    def connectionLost(self, _reason: object = None) -> None:
        self.up = False
        self._host.links.pop(self, None)

    def dataReceived(self, data: bytes) -> None:
        for frame in self._reader.receive(data):
            if frame:  # an empty one is a sign of life
                self._host.handle(self, frame)
