"""A kiosk with a page inside this process, on a Clock: real flows, journal, kernel and cards, a
printer and readers that do as they are told, and a switch that answers when the test says so."""

import json
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from switch.demo import page_kiosk
from terminal_agent import protocol
from terminal_agent.card_payment import CardPayments
from terminal_agent.config import AgentConfig, Receipt, load
from terminal_agent.desk import Desk
from terminal_agent.devices.interfaces import Completion, DeviceError, DeviceEvent, State, Watcher
from terminal_agent.devices.pad_simulator import SimulatedPinPad
from terminal_agent.devices.virtual_card import Habits, Print, VirtualCard
from terminal_agent.devices.virtual_reader import VirtualReader
from terminal_agent.devices.waiting import Waiting
from terminal_agent.finisher import Finisher
from terminal_agent.flows.view import DeviceLine, Tap, View
from terminal_agent.identification import Identification
from terminal_agent.journal import Journal
from terminal_agent.link import Link, Lost, Refused
from terminal_agent.payments import Payments
from terminal_agent.protocol import Opaque
from terminal_agent.slips import Slips
from terminal_agent.visits import Visits
from tests.kiosk.rig import PAD_KEY, Kiosk

PAN = "6200000000000000005"
PIN = "135790"
BILL = {"bill_id": "B1", "title": "血常规", "department": "检验科", "amount_fen": 1234}
PATIENT = {"patient_id": "P1", "name": "王小明", "card_no": "C1"}


class HandSwitch:
    """The link. Inquiries are answered at once, payments and cards when the test says so."""

    payment_ms = 0

    def __init__(self) -> None:
        self.up = True
        self.sent: list[tuple[str, str, Any]] = []
        self.bodies: dict[str, dict[str, Any]] = {
            protocol.SERVICES: {"hospital": "H1", "businesses": {"outpatient_bill": "门诊缴费"}},
            protocol.PATIENT_QUERY: {"ok": True, "patient": PATIENT},
            protocol.BILL_QUERY: {"ok": True, "bills": [BILL]},
            protocol.PIN_PLAN: {"ok": True},
            protocol.CARD_FINISHED: {},
        }
        self.faults: dict[str, str] = {}
        self._waiting: list[tuple[str, Deferred[protocol.Envelope]]] = []

    async def request(
        self, name: str, body: Any, *, idem: str = "", timeout_ms: int = 0
    ) -> protocol.Envelope:
        """See Link."""
        if not self.up:
            raise Lost(sent=False)
        self.sent.append((name, idem, body))
        if name in self.faults:
            raise Refused(protocol.Fault(code=self.faults[name], text="for engineers"))
        if name in self.bodies:
            return envelope("res", name, idem, self.bodies[name])
        answer: Deferred[protocol.Envelope] = Deferred()
        self._waiting.append((name, answer))
        return await answer

    def answer(self, key: str, state: str, code: str = "") -> None:
        """The answer to the payment that waits."""
        place = next(i for i, (name, _) in enumerate(self._waiting) if "Payment" in name)
        name, waiting = self._waiting.pop(place)
        body = {"key": key, "state": state, "version": 3, "amount_fen": 1234, "code": code}
        waiting.callback(envelope("res", name, key, body))

    def of(self, name: str) -> list[tuple[str, Any]]:
        """(key, body) of every request of a name."""
        return [(idem, body) for sent, idem, body in self.sent if sent == name]

    @property
    def ends(self) -> list[str]:
        """What was said of cards, in order."""
        return [body.result for _, body in self.of(protocol.CARD_FINISHED)]


def envelope(kind: str, name: str, key: str, body: object) -> protocol.Envelope:
    """As it comes over the link."""
    outgoing = protocol.Outgoing(
        v=2, id="-", type=cast(Any, kind), name=name, ts=0, terminal="KIOSK001", idem=key, body=body
    )
    return protocol.decode_told(protocol.encode(outgoing), 65_536)


class HandReader:
    """A device to be identified at, of any kind: it says what the test says."""

    def __init__(self, waiting: Waiting) -> None:
        self.state: str = State.ONLINE
        self.reads = 0
        self._waiting = waiting
        self._wanted: Deferred[Opaque] | None = None

    async def read(self, timeout_ms: int) -> Opaque:
        """See Scanner."""
        if self._wanted is not None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "somebody waits already")
        self.reads += 1
        self._wanted = self._waiting.until(timeout_ms, "nothing shown")
        try:
            return await self._wanted
        finally:
            self._wanted = None

    async def read_number(self, timeout_ms: int) -> str:
        """See VisitCardReading."""
        return (await self.read(timeout_ms)).reveal()

    @property
    def waits(self) -> bool:
        """Whether somebody wants to read here."""
        return self._wanted is not None

    def show(self, number: str) -> None:
        """Lay something on it."""
        assert self._wanted is not None
        self._wanted.callback(Opaque(number))

    def fail(self, completion: Completion) -> None:
        """It did not work."""
        assert self._wanted is not None
        self._wanted.errback(DeviceError(completion, "no"))

    def cancel(self) -> None:
        """See Device."""
        if self._wanted is not None:
            self._wanted.errback(DeviceError(Completion.CANCELED, "canceled"))

    def status(self) -> str:
        """See Device."""
        return self.state

    def watch(self, watcher: Watcher) -> None:
        """It tells nothing."""


class HandPad(SimulatedPinPad):
    """Told to break, it does; what it was asked stays open until then."""

    def unplug(self) -> None:
        """The cable is out."""
        wanted, self._wanted = self._wanted, None
        assert wanted is not None
        wanted.errback(DeviceError(Completion.DEVICE_NOT_READY, "unplugged"))


class HandPrinter:
    """Keeps what was printed."""

    def __init__(self) -> None:
        self.printed: list[tuple[str, str]] = []

    async def print_raw(self, name: str, text: str) -> None:
        """See Printer."""
        self.printed.append((name, text))


def config_of(folder: Path, **flows: int) -> AgentConfig:
    """A page kiosk's, without a network."""
    kiosk = Kiosk(folder, folder, 1)
    config = json.loads(kiosk.config.read_text())
    (folder / "pad.key").write_text(PAD_KEY)
    sections = page_kiosk.sections(folder, folder / "pad.key", 0)
    sections["flows"] |= {"choose_ms": 30_000, "card_ms": 20_000, "result_ms": 10_000, **flows}
    config |= sections
    config["payment"] |= {"patient_wait_ms": 5_000, "resend_timeout_ms": 60_000}
    kiosk.config.write_text(json.dumps(config, ensure_ascii=False))
    return load(kiosk.config)


class Bench:
    """One kiosk. ``restarted`` makes the next one over the same journal."""

    def __init__(self, folder: Path, config: AgentConfig | None = None) -> None:
        self.folder = folder
        self.config = config or config_of(folder)
        self.clock = Clock()
        self.switch = HandSwitch()
        waiting = Waiting(self.clock)
        self.reader = VirtualReader(waiting)
        self.pad = HandPad(folder / "pad.key", waiting)
        self.printer = HandPrinter()
        self.visit_card, self.scanner = HandReader(waiting), HandReader(waiting)
        self.journal = Journal(Path(self.config.journal), "KIOSK001", power_safe=False)
        receipt = Receipt(hospital_name="示范医院", columns=32)
        self.slips = Slips(receipt, "KIOSK001", self.journal, cast(Any, self.printer))
        self.desk = Desk(self.journal, now_ms=self.now_ms, today=lambda: "20260301")
        self.payments = Payments(
            self.clock,
            self.journal,
            self.config.payment,
            now_ms=self.now_ms,
            on_news=self._news,
        )
        self.finisher = Finisher(self.journal, self._card_must_stay)
        link = cast(Link, self.switch)
        self.desk.link = self.payments.link = self.finisher.link = link
        self.desk.payments = self.payments
        self.cards = CardPayments(
            self.config,
            self.journal,
            self.desk,
            self.finisher,
            reader=self.reader,
            pad=self.pad,
            date_time=lambda: ("260301", "120000"),
        )
        self.restarts = 0
        self.visits = self._made_visits()
        self.visits.start()
        self.visits.link_changed(True)
        self.finisher.link_came_up()

    def _made_visits(self) -> Visits:
        assert self.config.flows is not None
        return Visits(
            self.clock,
            self.config.flows,
            terminal="KIOSK001",
            hospital="示范医院",
            journal=self.journal,
            desk=self.desk,
            slips=self.slips,
            cards=self.cards,
            identification=Identification(
                visit_card=cast(Any, self.visit_card), scanner=cast(Any, self.scanner)
            ),
            reader=self.reader,
            pad=self.pad,
            devices=self.device_lines,
            code=None,
            set_lock=lambda _text: None,
            restart=self._restart,
            now_ms=self.now_ms,
        )

    def restarted(self) -> "Bench":
        """The power was gone: what was in memory is lost, the journal is not."""
        self.visits.stop()
        self.journal.close()
        return Bench(self.folder, self.config)

    def _card_must_stay(self, key: str) -> None:
        self.visits.card_must_stay(key)

    def _restart(self) -> None:
        self.restarts += 1

    def now_ms(self) -> int:
        """Milliseconds of the Clock."""
        return 1_000_000 + int(self.clock.seconds() * 1000)

    def device_lines(self) -> tuple[DeviceLine, ...]:
        """All states."""
        states = {
            "card_reader": self.reader.status(),
            "pin_pad": self.pad.status(),
            "visit_card": self.visit_card.state,
            "scanner": self.scanner.state,
        }
        return tuple(
            DeviceLine(role=role, driver="hand", state=state) for role, state in states.items()
        )

    def _news(self, told: protocol.Told) -> None:
        self.slips.answered(told)
        self.visits.answered(told)

    # ---- the patient -----------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """What the page shows."""
        return self.visits.view()

    @property
    def screen(self) -> str:
        """Its name."""
        return str(self.view.screen)

    def tap(self, what: str, choice: str = "") -> "Bench":
        """A finger on what is shown now."""
        self.visits.tapped(Tap(revision=self.view.revision, what=what, id=choice))
        return self

    def wait(self, wait_ms: int) -> "Bench":
        """Time passes."""
        self.clock.advance(wait_ms / 1000)
        return self

    def insert(self, habits: Habits | None = None, **printed: str) -> VirtualCard:
        """Put a card in."""
        card = VirtualCard(Print(pan=PAN, **printed), habits)
        self.reader.insert(card)
        return card

    def type(self, pin: str = PIN) -> "Bench":
        """Digits and the confirming key."""
        self.pad.type(Opaque(pin))
        return self

    def to_identify(self) -> "Bench":
        """The tile."""
        return self.tap("tile", "outpatient_bill")

    def to_card(self) -> "Bench":
        """The first bill, confirmed."""
        self.to_identify().visit_card.show("C1")
        return self.tap("choice", "B1").tap("confirm")

    def to_paying(self) -> str:
        """The card in, the PIN typed: the payment's key."""
        self.to_card()
        self.insert()
        self.type()
        return self.keys[-1]

    @property
    def keys(self) -> list[str]:
        """Keys of payments that were sent, each time."""
        return [key for key, _ in self.switch.of(protocol.PAYMENT_START)]

    def ask_card(self, key: str, *, ask: bool = False) -> None:
        """The event Card.Finish."""
        body: dict[str, object] = {"ask": True} if ask else {"code": "00", "chip": ""}
        self.finisher.received(envelope("event", protocol.CARD_FINISH, key, body))

    def removed(self) -> None:
        """The reader says that its card is gone, as a monitor does that lost its reader."""
        for watcher in tuple(self.reader._watchers):
            watcher(DeviceEvent(name="CardReader.MediaRemovedEvent"))
