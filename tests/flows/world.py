"""A kiosk played on paper: the machine, a clock, and a list of what it wants done."""

from typing import Any

from terminal_agent.flows import events as ev
from terminal_agent.flows.machine import step
from terminal_agent.flows.state import Rules, State
from terminal_agent.flows.view import DeviceLine, Screen, Tap, View
from terminal_agent.flows.views import view_of
from terminal_agent.protocol import Choice, Opaque, Patient, Told

RULES = Rules(
    terminal="KIOSK1",
    hospital="示范医院",
    media=("visit", "id"),
    amounts_fen=(5_000, 10_000),
    choose_ms=60_000,
    card_ms=30_000,
    result_ms=20_000,
    retries_max=2,
    attended=True,
)
PATIENT = Patient(patient_id="P1001", name="王小明")
BILLS = (
    Choice(id="B1", title="血常规", detail="检验科", amount_fen=1234),
    Choice(id="B2", title="胸片", amount_fen=9900),
)
DEVICES = tuple(
    DeviceLine(role=role, driver="pcsc", state="online")
    for role in ("card_reader", "pin_pad", "printer", "visit_card", "id_reader")
)
SERVED = {"outpatient_bill": "门诊缴费", "registration": "当日挂号"}


class Paper:
    """``wants`` are the commands of the last event, ``all`` those of ever."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.state = State()
        self.now_ms = 1_000_000
        self.wants: tuple[Any, ...] = ()
        self.all: list[Any] = []
        self.tell(ev.Services(SERVED))
        self.tell(ev.LinkNews(up=True))
        self.tell(ev.DeviceNews(DEVICES))

    def tell(self, event: ev.Event) -> "Paper":
        self.state, self.wants = step(self.state, event, self.now_ms, self.rules)
        self.all.extend(self.wants)
        return self

    def tap(self, what: str, choice: str = "") -> "Paper":
        return self.tell(ev.Tapped(Tap(revision=self.state.revision, what=what, id=choice)))

    def later(self, wait_ms: int) -> "Paper":
        """Time passes, and the shell's timer rings."""
        self.now_ms += wait_ms
        return self.tell(ev.TimeUp())

    def about(self, kind: Any, **fields: Any) -> "Paper":
        """An event of this visit."""
        return self.tell(kind(visit=self.state.visit, **fields))

    @property
    def screen(self) -> Screen:
        return self.state.screen

    @property
    def view(self) -> View:
        return view_of(self.state, self.now_ms, self.rules)

    def kinds(self) -> list[str]:
        return [type(command).__name__ for command in self.wants]

    # ---- the usual way ---------------------------------------------------------------------------

    def to_pick(self) -> "Paper":
        self.tap("tile", "outpatient_bill")
        self.about(ev.Identified, medium="visit", number=Opaque("C1"))
        self.about(ev.Found, patient=PATIENT)
        return self.about(ev.Offered, choices=BILLS)

    def to_check(self) -> "Paper":
        return self.to_pick().tap("choice", "B1")

    def to_card(self) -> "Paper":
        return self.to_check().tap("confirm")

    def to_paying(self) -> "Paper":
        self.to_card().tell(ev.CardNews(inside=True))
        self.about(ev.Progress, stage=ev.Stage.READING)
        self.about(ev.Progress, stage=ev.Stage.PIN)
        return self.about(ev.Progress, stage=ev.Stage.SENT, key="K1")

    def to_wrong_pin(self) -> "Paper":
        return self.to_paying().end("declined", "55")

    def end(self, state: str, code: str = "", text: str = "") -> "Paper":
        told = Told(key="K1", state=state, version=3, amount_fen=1234, code=code, text=text)
        return self.about(ev.Ended, told=told)
