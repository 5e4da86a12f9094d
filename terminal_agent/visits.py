"""The patients at the page: the shell round :mod:`terminal_agent.flows`.

Feeds the machine what happens at devices, link, journal and page, and does what it wants done.
Everything is on the reactor's thread; a command's work is a coroutine whose end is an event.
"""

import importlib.metadata
import platform
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.attendant_code import AttendantCode
from terminal_agent.card_payment import CardPayments
from terminal_agent.config import Flows
from terminal_agent.desk import Desk, FlowError
from terminal_agent.devices.interfaces import (
    CARD_IN,
    CARD_OUT,
    KEYBOARD_OPEN,
    CardReader,
    Completion,
    DeviceError,
    DeviceEvent,
    PinPad,
)
from terminal_agent.flows import events as ev
from terminal_agent.flows.businesses import Source
from terminal_agent.flows.machine import step
from terminal_agent.flows.state import Rules, State
from terminal_agent.flows.view import DeviceLine, PaymentLine, Screen, Tap, View
from terminal_agent.flows.views import view_of
from terminal_agent.identification import Identification
from terminal_agent.journal import Entry, Journal
from terminal_agent.logs import get_logger
from terminal_agent.receipt import masked_name
from terminal_agent.slips import Slips

_log = get_logger("visits")

SLIPS_MAX = 8
"""A patient's payments offered for a reprint."""
LATEST_MAX = 12
"""Payments shown to the attendant."""
_KEY = "Keyboard.KeyEvent"


class Visits:
    """One kiosk's page, as :class:`terminal_agent.page.Stage`."""

    def __init__(
        self,
        reactor: Any,
        flows: Flows,
        *,
        terminal: str,
        hospital: str,
        journal: Journal,
        desk: Desk,
        slips: Slips,
        cards: CardPayments,
        identification: Identification,
        reader: CardReader,
        pad: PinPad,
        devices: Callable[[], tuple[DeviceLine, ...]],
        code: AttendantCode | None,
        set_lock: Callable[[str | None], None],
        restart: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._reactor = reactor
        self._flows = flows
        self._journal = journal
        self._desk = desk
        self._slips = slips
        self._cards = cards
        self._identification = identification
        self._reader = reader
        self._devices = devices
        self._code = code
        self._set_lock = set_lock
        self._restart = restart
        self._now_ms = now_ms
        self._rules = Rules(
            terminal=terminal,
            hospital=hospital,
            media=identification.media,
            amounts_fen=flows.amounts_fen,
            choose_ms=flows.choose_ms,
            card_ms=flows.card_ms,
            result_ms=flows.result_ms,
            retries_max=flows.retries_max,
            attended=code is not None,
        )
        self._state = State(devices=devices())
        self._watchers: list[Callable[[], None]] = []
        self._timer: Any = None
        self._digits = 0
        self._doing: dict[type, Callable[[Any], Awaitable[None]]] = {
            ev.Identify: self._identify,
            ev.AskPatient: self._ask_patient,
            ev.AskChoices: self._ask_choices,
            ev.Pay: self._pay,
            ev.AwaitOutcome: self._await_outcome,
            ev.CheckCode: self._check_code,
            ev.GiveBack: self._give_back,
        }
        reader.watch(self._reader_says)
        pad.watch(self._pad_says)
        slips.watch(lambda key, slip: self.feed(ev.SlipNews(key=key, slip=slip)))

    # ---- Stage -----------------------------------------------------------------------------------

    def view(self) -> View:
        """What is to be seen now."""
        return view_of(self._state, self._now_ms(), self._rules)

    def watch(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after every change."""
        self._watchers.append(callback)

    def tapped(self, tap: Tap) -> None:
        """A finger."""
        self.feed(ev.Tapped(tap))

    # ---- the house -------------------------------------------------------------------------------

    def start(self) -> None:
        """A payment of a moment ago that has no outcome yet is on the screen at once (I7)."""
        open_keys = self._journal.open_keys()
        entry = self._journal.get(open_keys[-1]) if open_keys else None
        recent = entry and self._now_ms() - entry.created_at < self._flows.unfinished_ms
        if entry is not None and entry.slip and recent:
            self.feed(ev.Unfinished(key=entry.key, order=entry.order))

    def stop(self) -> None:
        """No timer stays."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    @property
    def serving(self) -> bool:
        """Whether somebody stands here."""
        return self._state.screen not in (Screen.HOME, Screen.CLOSED)

    def link_changed(self, up: bool) -> None:
        """The line to the switch; what it serves is asked for anew each time it comes up."""
        self.feed(ev.LinkNews(up))
        if up:
            self._do(self._ask_services())

    def locked(self, text: str | None) -> None:
        """Locked with a text, or open."""
        self.feed(ev.LockNews(text))

    def devices_changed(self) -> None:
        """A device's state may be another."""
        self.feed(ev.DeviceNews(self._devices()))

    def answered(self, told: protocol.Told) -> None:
        """News of a payment, journaled."""
        self.feed(ev.News(told))

    def card_must_stay(self, key: str) -> None:
        """The card is being finished; of a payment that is not on the screen nobody hears."""
        if key == self._state.key:
            self.feed(ev.Progress(visit=self._state.visit, stage=ev.Stage.FINISHING))

    # ---- the machine -----------------------------------------------------------------------------

    def feed(self, event: ev.Event) -> None:
        """Let the machine decide, and do what it wants."""
        before = self._state
        self._state, commands = step(before, event, self._now_ms(), self._rules)
        if self._state is not before:
            if self._state.screen is not before.screen:
                _log.info("screen", screen=self._state.screen, visit=self._state.visit)
            self._arm()
            for watcher in self._watchers:
                watcher()
        for command in commands:
            self._obey(command)

    def _arm(self) -> None:
        self.stop()
        if self._state.deadline_at:
            left_ms = max(0, self._state.deadline_at - self._now_ms())
            self._timer = self._reactor.callLater(left_ms / 1000, self._time_up)

    def _time_up(self) -> None:
        self._timer = None
        self.feed(ev.TimeUp())
        if self._timer is None:
            self._arm()  # the timer was a moment early

    def _obey(self, command: ev.Command) -> None:
        match command:
            case ev.Stop():
                self._identification.cancel()
                self._cards.cancel()
            case ev.Choose(place):
                self._cards.choose(place)
            case ev.Print(key):
                self._slips.begin(key)
            case ev.SetLock(text):
                self._set_lock(text)
            case ev.Restart():
                self._restart()
            case _:
                self._do(self._doing[type(command)](command), command)

    def _do(self, work: Awaitable[None], command: ev.Command | None = None) -> None:
        coroutine: Any = work
        Deferred.fromCoroutine(coroutine).addErrback(self._broken, command)

    def _broken(self, failure: Failure, command: ev.Command | None) -> None:
        """Named boundary: a defect costs this patient's visit, never the kiosk. A payment's end is
        said only where the payment's own work broke: what is sent is pending, not failed (I7)."""
        _log.error("visit_failed", what=type(command).__name__, exc_info=failure.value)
        match command:
            case ev.Identify() | ev.AskPatient() | ev.AskChoices():
                self.feed(ev.Failed(visit=command.visit, code="defect"))
            case ev.Pay() | ev.AwaitOutcome():
                key = self._state.key
                told = self._desk.known(key) if key else None
                self.feed(ev.Ended(visit=command.visit, told=told, code="defect"))

    # ---- commands --------------------------------------------------------------------------------

    async def _identify(self, command: ev.Identify) -> None:
        """The page gives up, not the devices: a patient who wants more time is read then too."""
        while self._is_identifying(command.visit):
            try:
                medium, number = await self._identification.read(self._flows.choose_ms)
            except DeviceError as error:
                if error.completion is Completion.TIME_OUT:
                    continue
                if error.completion is not Completion.CANCELED:
                    self.feed(ev.Failed(visit=command.visit, code=str(error.completion)))
                return
            self.feed(ev.Identified(visit=command.visit, medium=medium, number=number))
            return

    def _is_identifying(self, visit: int) -> bool:
        return self._state.screen is Screen.IDENTIFY and self._state.visit == visit

    async def _ask_patient(self, command: ev.AskPatient) -> None:
        try:
            patient = await self._desk.patient(command.number.reveal(), command.medium)
        except FlowError as error:
            self.feed(ev.Failed(visit=command.visit, code=error.code, text=error.text))
            return
        self.feed(ev.Found(visit=command.visit, patient=patient))

    async def _ask_choices(self, command: ev.AskChoices) -> None:
        try:
            choices = await self._choices(command)
        except FlowError as error:
            self.feed(ev.Failed(visit=command.visit, code=error.code, text=error.text))
            return
        self.feed(ev.Offered(visit=command.visit, choices=choices))

    async def _choices(self, command: ev.AskChoices) -> tuple[protocol.Choice, ...]:
        patient_id = command.patient.patient_id
        if command.pick.source is Source.BILLS:
            return tuple(_bill(bill) for bill in await self._desk.bills(patient_id))
        if command.pick.source is Source.SLIPS:
            return tuple(_slip(entry) for entry in self._journal.latest(SLIPS_MAX, patient_id))
        return await self._desk.choices(
            protocol.ChoiceQuery(
                business=command.business,
                step=command.pick.step,
                patient_id=patient_id,
                chosen=dict(command.chosen),
            )
        )

    async def _pay(self, command: ev.Pay) -> None:
        await self._cards.pay(command, self.feed)

    async def _await_outcome(self, command: ev.AwaitOutcome) -> None:
        await self._cards.outcome(command.visit, command.key, self.feed)

    async def _check_code(self, command: ev.CheckCode) -> None:
        right = self._code is not None and self._code.is_right(command.code.reveal())
        _log.info("attendant", admitted=right)
        if not right:
            self.feed(ev.Admitted(visit=command.visit, right=False))
            return
        payments = tuple(_line(entry) for entry in self._journal.latest(LATEST_MAX))
        versions = {
            "yinyitong": importlib.metadata.version("yinyitong"),
            "protocol": str(protocol.VERSION),
            "python": platform.python_version(),
        }
        self.feed(
            ev.Admitted(visit=command.visit, right=True, payments=payments, versions=versions)
        )

    async def _give_back(self, _command: ev.GiveBack) -> None:
        try:
            await self._reader.move()
        except DeviceError as error:
            _log.warning("card_not_given_back", reason=str(error))

    async def _ask_services(self) -> None:
        try:
            served = await self._desk.services()
        except FlowError as error:
            _log.warning("services_unknown", reason=str(error))
            return
        self.feed(ev.Services(served.businesses))

    # ---- devices ---------------------------------------------------------------------------------

    def _reader_says(self, event: DeviceEvent) -> None:
        if event.name in (CARD_IN, CARD_OUT):
            self.feed(ev.CardNews(event.name == CARD_IN))

    def _pad_says(self, event: DeviceEvent) -> None:
        """The keyboard is open, or a key of the PIN: that there was one, never which."""
        if event.name == KEYBOARD_OPEN and self._state.screen is Screen.CARD:
            self._digits = 0
        elif event.name == _KEY and self._state.screen is Screen.PIN:
            self._digits = _counted(self._digits, event.detail)
        else:
            return
        self.feed(ev.Progress(visit=self._state.visit, stage=ev.Stage.PIN, digits=self._digits))


def _counted(digits: int, key: str) -> int:
    if key == "*":
        return digits + 1
    return {"backspace": max(0, digits - 1), "clear": 0}.get(key, digits)


def _bill(bill: protocol.Bill) -> protocol.Choice:
    return protocol.Choice(
        id=bill.bill_id, title=bill.title, detail=bill.department, amount_fen=bill.amount_fen
    )


def _slip(entry: Entry) -> protocol.Choice:
    return protocol.Choice(
        id=entry.key,
        title=entry.order.title or entry.order.business,
        detail=entry.told.text if entry.told else "",
        amount_fen=entry.order.amount_fen,
    )


def _line(entry: Entry) -> PaymentLine:
    return PaymentLine(
        key=entry.key,
        at_ms=entry.created_at,
        patient=masked_name(entry.order.patient_name),
        title=entry.order.title or entry.order.business,
        amount_fen=entry.order.amount_fen,
        state=entry.told.state if entry.told else "pending",
        copies=entry.copies,
    )
