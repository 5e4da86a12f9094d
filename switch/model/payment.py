"""A payment and its legs, as the journal keeps them."""

from enum import StrEnum

from msgspec import Struct

from switch.model.operation import Operation
from switch.model.outcome import Millis, Verb


class Stage(StrEnum):
    """Which way a payment goes. BACKWARD is a one-way door (I5)."""

    FORWARD = "forward"
    BACKWARD = "backward"


class Rest(StrEnum):
    """Where a payment rests. Doors out of a rest are rows of the table, nothing else is."""

    DONE = "done"
    DECLINED = "declined"
    UNDONE = "undone"
    EXCEPTION = "exception"


class LegKind(StrEnum):
    """What a leg is for. The machine goes by the leg's policy; the kind is for people and ports."""

    HOLD = "hold"
    DEBIT = "debit"
    FINISH = "finish"
    BOOK = "book"
    UNBOOK = "unbook"
    CREDIT = "credit"


class LegState(StrEnum):
    """Where a leg stands. ``…ING`` has an exchange out, ``…_WAIT`` waits for a timer."""

    IDLE = "idle"
    DOING = "doing"
    DO_WAIT = "do_wait"
    ASKING = "asking"
    ASK_WAIT = "ask_wait"
    DONE = "done"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDO_WAIT = "undo_wait"
    UNDONE = "undone"
    UNPROVEN = "unproven"
    """Every undo was answered 25: undone as far as anyone can tell before the settlement file."""
    STUCK = "stuck"
    """Only evidence or two people can say what is true."""


class OnUnknown(StrEnum):
    """What an Unknown ``do`` calls for, as the channel or profile declares it."""

    UNDO = "undo"
    """Go back and undo it (banks with reversal)."""
    ASK = "ask"
    """Query, a stated number of times (wallets, insurance, HIS level L2, finish)."""
    RESEND = "resend"
    """The same again under the same key (HIS level L3, keyed refunds)."""
    STOP = "stop"
    """One attempt only (HIS level L1, plain refund): EXCEPTION."""


class GiveUp(StrEnum):
    """What follows when asking or resending has come to its limit."""

    UNDO = "undo"
    STOP = "stop"
    ABANDON = "abandon"
    """Counts as not done; what it moved is no money (finish)."""


class RungKind(StrEnum):
    """The steps of an undo ladder, in the field's words (never mixed: three different messages)."""

    REVERSAL = "reversal"
    VOID = "void"
    REFUND = "refund"
    CANCEL = "cancel"
    UNLOCK = "unlock"


class Rung(Struct, frozen=True, omit_defaults=True):
    """One way to undo a leg."""

    kind: RungKind
    repeats: bool = True
    """May be sent again after Unknown: reversals, keyed cancels, keyed refunds. A plain 0220 may
    not, and a void is itself reversed (``reversible``)."""
    reversible: bool = False


class LegPolicy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a leg behaves, stated as data by its channel or profile and journaled with the payment,
    so that a payment keeps the rules it was born with."""

    timeout_ms: int
    """One ``do`` exchange. The first undo leaves no earlier than sent_at + timeout_ms."""
    on_unknown: OnUnknown
    give_up: GiveUp = GiveUp.STOP
    ladder: tuple[Rung, ...] = ()
    approved_rung: int = 0
    """Where undoing begins once an approval has come: some banks take a reversal after a time-out
    only (rule 8)."""
    lapses: bool = False
    """Needs no undo: it moves no money and runs out by itself (finish, a hold with an expiry)."""
    pivot: bool = False
    """Once this leg is done only forward (the un-booking of a refund)."""
    ledger: bool = False
    """Rides in the state's own commit and is never Unknown (visit-card accounts)."""
    attempts: int = 1
    """Fresh attempts in all after a Refused that allows one (A0, 77)."""
    resend_waits_ms: tuple[int, ...] = (1_000, 2_000, 5_000, 10_000)
    """Waits before resends; the last repeats. Also used between undo tries."""
    ask_times: int = 0
    """Queries before giving up; 0 = the counterparty cannot be asked."""
    ask_wait_ms: int = 5_000
    absent_times: int = 1
    """How many not-found answers in a row count as absent (L2: 2)."""
    absent_wait_ms: int = 0
    """Wait between them: the counterparty's stated longest processing time."""
    resend_absent: bool = False
    """Absent by query → do it again under the same key, while the deadline allows."""
    not_found_waits_ms: tuple[int, ...] = (60_000, 600_000)
    """After 25: repeat the undo at these waits, then it rests unproven."""


class Leg(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a payment: its policy, where it stands, and what is known of it."""

    kind: LegKind
    counterparty: str
    """Name of the plugin instance that does it (a bank channel, a hospital, ``terminal``)."""
    amount_fen: int
    policy: LegPolicy
    operation: Operation | None = None
    """What a money leg asks of its bank; a debit of before there were others is a sale."""
    state: LegState = LegState.IDLE
    attempt: int = 0
    """Number of ``do`` exchanges begun; an answer names the attempt it belongs to."""
    unknown_seen: bool = False
    """Sticky: after one Unknown attempt no later Refused or NotSent settles the leg."""
    asks: int = 0
    absents: int = 0
    undos: int = 0
    not_founds: int = 0
    rung: int = 0
    unvoiding: bool = False
    """The void of this rung is Unknown and is itself being reversed."""
    undo_unknown: bool = False
    """Sticky: an undo without an answer may have worked, so no refund follows by machine."""
    undo_refused: bool = False
    """The last rung of its ladder was definitely refused."""
    took_effect: bool = False
    """An authentic answer or query said that it happened, whenever that came. While going back
    this is recorded and never applied (I5); it only makes a 25 worthless as an end."""
    sent_at: int = 0
    wake_at: int = 0
    code: str = ""
    text: str = ""
    facts: dict[str, str] = {}
    """What rule 18 lists, flat text to text, and what answers added. F2 only vaulted."""


class Payment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One patient's intent to move money for one hospital purpose."""

    key: str
    """Made by the origin before it sends anything; unique for ever."""
    hospital: str
    business: str
    terminal: str
    """The kiosk (or other origin) that asked."""
    amount_fen: int
    request_hash: str
    born_at: int
    business_date: str
    """YYYYMMDD, the bank's business date at birth (I14); it never changes afterwards."""
    clearing: str = ""
    """Whose money it is (``outpatient``, ``inpatient``): picks merchant number and key set."""
    bill: str = ""
    patient: str = ""
    retry_of: str = ""
    original: str = ""
    """Key of the payment that this one refunds, voids or completes."""
    reserved_fen: int = 0
    """What of the original's amount is kept for this payment: the credits of an original never
    exceed its debit."""
    profile_version: str = ""
    stage: Stage = Stage.FORWARD
    rest: Rest | None = None
    legs: tuple[Leg, ...] = ()
    taken_back: bool = False
    """Its origin wants it back (rule 11)."""
    overdue: bool = False
    """The deadline for going forward has passed: no more resends, only definite ends."""
    deadline_at: int = 0
    version: int = 0
    code: str = ""
    """Why it did not become DONE: the code of the leg that decided it."""
    text: str = ""
    details: dict[str, str] = {}
    """What the hospital needs besides (patient name, bill title …); no card data."""

    @property
    def phase(self) -> str:
        """The first column of the table: a rest, else the stage."""
        return str(self.rest or self.stage)

    def leg_of(self, kind: LegKind) -> Leg | None:
        """The first leg of this kind."""
        return next((leg for leg in self.legs if leg.kind is kind), None)

    @property
    def unproven(self) -> bool:
        """A leg's undo was only ever answered 25: evidence may still find that it stands."""
        return any(leg.state is LegState.UNPROVEN for leg in self.legs)

    @property
    def keeps_reserve(self) -> bool:
        """What it reserved of its original is not free again: it took effect, or still may."""
        ended = self.rest in (Rest.DECLINED, Rest.UNDONE) and not self.unproven
        return self.reserved_fen > 0 and not ended

    @property
    def past_pivot(self) -> bool:
        """A refund whose un-booking is done: only forward from here (rule 10)."""
        return any(leg.policy.pivot and leg.state is LegState.DONE for leg in self.legs)


class EventKind(StrEnum):
    """Everything that can happen to a leg (or, from DEADLINE on, to the payment)."""

    DO_DONE = "do_done"
    DO_REFUSED = "do_refused"
    DO_DOUBTED = "do_doubted"
    """Refused, by an answer without proof: what comes after it may be another word."""
    DO_AGAIN = "do_again"
    DO_NOT_SENT = "do_not_sent"
    DO_UNKNOWN = "do_unknown"
    ASK_FOUND = "ask_found"
    ASK_ABSENT = "ask_absent"
    ASK_NOT_FOUND = "ask_not_found"
    ASK_UNKNOWN = "ask_unknown"
    UNDO_DONE = "undo_done"
    UNDO_REFUSED = "undo_refused"
    UNDO_NOT_FOUND = "undo_not_found"
    UNDO_NOT_SENT = "undo_not_sent"
    UNDO_UNKNOWN = "undo_unknown"
    TIMER = "timer"
    STANDS = "stands"
    """Evidence (settlement file, day list, two people): the leg's effect stands: the net of its
    message and of those that undo it."""
    ABSENT = "absent"
    """Evidence: the leg's effect does not stand: never did, or was undone."""
    DEADLINE = "deadline"
    BATCH_CLOSING = "batch_closing"
    """The batch closes soon: a reversal that waits after 25 goes out once more."""
    BATCH_DEADLINE = "batch_deadline"
    """The batch must settle now: what is still Unknown becomes an exception (rule 19)."""
    ORIGIN_REVERSES = "origin_reverses"


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One happening, as the journal records it."""

    kind: EventKind
    at: Millis = Millis(0)
    leg: int = 0
    attempt: int = 0
    code: str = ""
    text: str = ""
    facts: dict[str, str] = {}
    doubtful: bool = False
    """See Reply; of a DO_AGAIN."""
    ledger_ok: bool = True
    """False when the commit of a ledger leg was refused by its constraint (I1)."""


class EffectKind(StrEnum):
    """What the shell must do after the commit."""

    SEND = "send"
    WAKE = "wake"
    POST = "post"
    """A ledger posting: part of the commit itself."""
    TELL = "tell"
    """The answer to the origin may have changed."""
    ALARM = "alarm"


class Effect(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to do after the commit of the decision that asked for it (I4)."""

    kind: EffectKind
    leg: int = 0
    verb: Verb = Verb.DO
    attempt: int = 0
    at: int = 0
    invariant: str = ""
    text: str = ""
