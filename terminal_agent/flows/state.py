"""Where the kiosk stands: one frozen value, and the small steps that all moves are made of."""

from msgspec import Struct
from msgspec.structs import replace

from terminal_agent.flows.businesses import FLOWS, Flow, Goal, Source
from terminal_agent.flows.events import Command, GiveBack, Stage, Stop
from terminal_agent.flows.view import DeviceLine, PaymentLine, Screen
from terminal_agent.journal import PaymentOrder
from terminal_agent.protocol import Choice, Patient, Told

Step = tuple["State", tuple[Command, ...]]


class Rules(Struct, frozen=True, kw_only=True):
    """What the configuration says of the flows."""

    terminal: str
    hospital: str
    """Its name, as the page's head shows it."""
    media: tuple[str, ...]
    """Media to be identified by, in the order shown."""
    amounts_fen: tuple[int, ...]
    """Sums offered for a top-up or a deposit."""
    choose_ms: int
    """Without a tap the kiosk goes home after this; on every screen before the card."""
    card_ms: int
    """Putting the card in, and typing the PIN."""
    result_ms: int
    retries_max: int
    """After a wrong PIN, without being identified again."""
    attended: bool = False
    """There is an attendant's code."""


class State(Struct, frozen=True, kw_only=True):
    """Everything; the page sees :func:`terminal_agent.flows.views.view_of` of it."""

    # -- the house
    services: dict[str, str] = {}
    link_up: bool = False
    lock_text: str | None = None
    devices: tuple[DeviceLine, ...] = ()
    card_inside: bool = False

    # -- what is shown
    revision: int = 0
    offered_since: int = 0
    """The revision since which the same may be tapped: news of a slip or a device between eye and
    finger takes no tap away."""
    screen: Screen = Screen.HOME
    visit: int = 0
    deadline_at: int = 0
    deadline_whole_ms: int = 0

    # -- the patient, empty at home
    language: str = "zh"
    elder: bool = False
    contrast: bool = False
    voice: bool = False
    business: str = ""
    patient: Patient | None = None
    chosen: tuple[Choice, ...] = ()
    choices: tuple[Choice, ...] = ()
    """What may be picked now; of the card's applications too."""
    order: PaymentOrder | None = None
    stage: Stage | None = None
    digits: int = 0
    key: str = ""
    told: Told | None = None
    outcome: str = ""
    code: str = ""
    notice: str = ""
    text: str = ""
    slip: str = ""
    tries: int = 0

    # -- the attendant
    typed: str = ""
    payments: tuple[PaymentLine, ...] = ()
    versions: dict[str, str] = {}

    @property
    def flow(self) -> Flow | None:
        """The business under way."""
        return FLOWS.get(self.business)

    def __repr__(self) -> str:
        """No patient in it (I12)."""
        return f"<state {self.screen} visit {self.visit} {self.business}>"


def enter(state: State, screen: Screen, now_ms: int, wait_ms: int, **changes: object) -> State:
    """Show ``screen`` for at most ``wait_ms`` (0: until something happens)."""
    deadline_at = now_ms + wait_ms if wait_ms else 0
    return replace(
        state, screen=screen, deadline_at=deadline_at, deadline_whole_ms=wait_ms, **changes
    )


def home(state: State) -> State:
    """Nobody is here: what was of the patient is forgotten, language and type size too."""
    return State(
        services=state.services,
        link_up=state.link_up,
        lock_text=state.lock_text,
        devices=state.devices,
        card_inside=state.card_inside,
        revision=state.revision,
        offered_since=state.offered_since,
        visit=state.visit + 1,
    )


def preferences(state: State) -> dict[str, object]:
    """How this patient wants the page: it stays while a visit begins or ends around it."""
    return {name: getattr(state, name) for name in ("language", "elder", "contrast", "voice")}


def leave(state: State, now_ms: int) -> Step:
    """The patient goes: first the card, then home. Nothing waits for them any more."""
    after = home(state)
    if not state.card_inside:
        return after, (Stop(),)
    after = enter(after, Screen.TAKE_CARD, now_ms, 0, **preferences(state))
    return after, (Stop(), GiveBack())


ROLES = {"visit": "visit_card", "id": "id_reader", "scan": "scanner"}
"""Medium → the device that reads it."""
_PAID_WITH = ("card_reader", "pin_pad")
_ONLINE = "online"


def usable_media(state: State, rules: Rules) -> tuple[str, ...]:
    """Media that can be shown now: their device works."""
    working = {device.role for device in state.devices if device.state == _ONLINE}
    return tuple(medium for medium in rules.media if ROLES[medium] in working)


def is_served(state: State, flow: Flow, rules: Rules) -> bool:
    """Whether a tile is open: the line is up, the switch lists the business, and the devices that
    it needs work."""
    working = {device.role for device in state.devices if device.state == _ONLINE}
    needed = _PAID_WITH if flow.goal is Goal.PAY else ()
    listed = not flow.serves or flow.serves in state.services
    if flow.goal is Goal.PRINT and flow.picks[-1].source is not Source.SLIPS:
        return False  # the kiosk prints its own slips; reports have no way to the paper yet
    return (
        state.link_up and listed and working.issuperset(needed) and bool(usable_media(state, rules))
    )
