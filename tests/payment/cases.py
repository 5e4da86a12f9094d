"""The configurations the walk visits, with policies as channels and profiles state them."""

import msgspec

from switch.model.payment import (
    GiveUp,
    Leg,
    LegKind,
    LegPolicy,
    OnUnknown,
    Payment,
    Rung,
    RungKind,
)
from tests.payment.walk import Case
from tests.payment.world import Counterparty

AMOUNT = 12_345

HOLD = LegPolicy(
    timeout_ms=8_000,
    on_unknown=OnUnknown.UNDO,
    give_up=GiveUp.UNDO,
    ladder=(Rung(RungKind.UNLOCK),),
)
HOLD_LAPSES = LegPolicy(timeout_ms=8_000, on_unknown=OnUnknown.UNDO, lapses=True)
BANK = LegPolicy(
    timeout_ms=60_000,
    on_unknown=OnUnknown.UNDO,
    ladder=(Rung(RungKind.REVERSAL),),
    attempts=2,
)
BANK_LADDER = LegPolicy(
    timeout_ms=60_000,
    on_unknown=OnUnknown.UNDO,
    ladder=(
        Rung(RungKind.REVERSAL),
        Rung(RungKind.VOID, repeats=False, reversible=True),
        Rung(RungKind.REFUND, repeats=False),
    ),
    not_found_waits_ms=(60_000,),
)
BANK_LADDER_VOIDS = msgspec.structs.replace(BANK_LADDER, approved_rung=1)
"""A bank that takes a reversal after a time-out only."""
WALLET = LegPolicy(
    timeout_ms=10_000,
    on_unknown=OnUnknown.ASK,
    give_up=GiveUp.UNDO,
    ladder=(Rung(RungKind.CANCEL),),
    ask_times=2,
)
INSURANCE = LegPolicy(
    timeout_ms=30_000,
    on_unknown=OnUnknown.ASK,
    give_up=GiveUp.STOP,
    ladder=(Rung(RungKind.CANCEL),),
    ask_times=3,
    absent_times=2,
    absent_wait_ms=60_000,
)
FINISH = LegPolicy(
    timeout_ms=30_000,
    on_unknown=OnUnknown.ASK,
    give_up=GiveUp.ABANDON,
    ask_times=2,
    lapses=True,
)
BOOK_L3 = LegPolicy(
    timeout_ms=15_000,
    on_unknown=OnUnknown.RESEND,
    give_up=GiveUp.UNDO,
    ladder=(Rung(RungKind.CANCEL),),
)
BOOK_L3_QUERY = LegPolicy(
    timeout_ms=15_000,
    on_unknown=OnUnknown.RESEND,
    give_up=GiveUp.UNDO,
    ladder=(Rung(RungKind.CANCEL),),
    ask_times=3,
    absent_times=2,
    absent_wait_ms=30_000,
)
BOOK_L2 = LegPolicy(
    timeout_ms=15_000,
    on_unknown=OnUnknown.ASK,
    give_up=GiveUp.STOP,
    ask_times=3,
    absent_times=2,
    absent_wait_ms=30_000,
    resend_absent=True,
)
BOOK_L1 = LegPolicy(timeout_ms=15_000, on_unknown=OnUnknown.STOP, give_up=GiveUp.STOP)
UNBOOK_L3 = LegPolicy(
    timeout_ms=15_000, on_unknown=OnUnknown.RESEND, give_up=GiveUp.STOP, pivot=True
)
UNBOOK_L2 = LegPolicy(
    timeout_ms=15_000,
    on_unknown=OnUnknown.ASK,
    give_up=GiveUp.STOP,
    pivot=True,
    ask_times=3,
    absent_times=2,
    absent_wait_ms=30_000,
    resend_absent=True,
)
CREDIT_KEYED = LegPolicy(timeout_ms=10_000, on_unknown=OnUnknown.RESEND, give_up=GiveUp.STOP)
CREDIT_PLAIN = LegPolicy(timeout_ms=60_000, on_unknown=OnUnknown.STOP, give_up=GiveUp.STOP)
VOID = LegPolicy(
    timeout_ms=60_000, on_unknown=OnUnknown.UNDO, ladder=(Rung(RungKind.REVERSAL),), attempts=2
)
LEDGER = LegPolicy(timeout_ms=0, on_unknown=OnUnknown.STOP, ledger=True)

THE_BANK = Counterparty(again=True, forgets=True)
DOUBTED_BANK = Counterparty(doubts=True, forgets=True)
DOUBTED_PLAIN = Counterparty(doubts=True, idempotent=False)
LADDER_BANK = Counterparty(forgets=True, closes=True)
THE_WALLET = Counterparty(knows_absent=True)
HIS = Counterparty(closes=True, grumbles=True)
HIS_FORGETS = Counterparty(forgets=True)
"""Its cancel says *not found* and leaves no tombstone: the confirm behind it still books."""
HIS_TWICE = Counterparty(idempotent=False, closes=True)
"""Without idempotency a booking sent twice is booked twice."""
TERMINAL = Counterparty(knows_absent=True, no_money=True)
LOCK_FORGETS = Counterparty(forgets=True, closes=True, no_money=True)
HOSPITAL_LOCK = Counterparty(no_money=True)
PLAIN = Counterparty(idempotent=False)
OURS = Counterparty()

Plan = tuple[tuple[LegKind, LegPolicy, Counterparty], ...]


def case(name: str, *plan: tuple[LegKind, LegPolicy, Counterparty]) -> Case:
    """A case of legs in order; all carry the whole amount except tender debits, which share it."""
    legs = tuple(
        Leg(kind=kind, counterparty=kind, amount_fen=AMOUNT, policy=policy)
        for kind, policy, _ in plan
    )
    return Case(name, new_payment(legs), tuple(party for _, _, party in plan))


def new_payment(legs: tuple[Leg, ...]) -> Payment:
    return Payment(
        key="k1",
        hospital="h1",
        business="outpatient_bill",
        terminal="t1",
        amount_fen=AMOUNT,
        request_hash="",
        born_at=0,
        business_date="20260105",
        legs=legs,
    )


K = LegKind
CASES = (
    case("hold+debit+book L3", (K.HOLD, HOLD, HOSPITAL_LOCK), (K.DEBIT, BANK, THE_BANK),
         (K.BOOK, BOOK_L3, HIS)),
    case("hold+debit+book L2", (K.HOLD, HOLD_LAPSES, HOSPITAL_LOCK), (K.DEBIT, BANK, THE_BANK),
         (K.BOOK, BOOK_L2, HIS_TWICE)),
    case("debit+finish+book", (K.DEBIT, BANK, THE_BANK), (K.FINISH, FINISH, TERMINAL),
         (K.BOOK, BOOK_L3, HIS)),
    case("hold+debit+finish+book L2", (K.HOLD, HOLD_LAPSES, HOSPITAL_LOCK),
         (K.DEBIT, BANK, THE_BANK), (K.FINISH, FINISH, TERMINAL), (K.BOOK, BOOK_L2, HIS_TWICE)),
    case("debit+book L3", (K.DEBIT, BANK, THE_BANK), (K.BOOK, BOOK_L3, HIS)),
    case("debit+book, cancel forgets", (K.DEBIT, BANK, THE_BANK), (K.BOOK, BOOK_L3, HIS_FORGETS)),
    case("hold forgets+debit+book L1", (K.HOLD, HOLD, LOCK_FORGETS), (K.DEBIT, BANK, THE_BANK),
         (K.BOOK, BOOK_L1, HIS_TWICE)),
    case("debit+book L3 query", (K.DEBIT, BANK, THE_BANK), (K.BOOK, BOOK_L3_QUERY, HIS)),
    case("debit+book L2", (K.DEBIT, BANK, THE_BANK), (K.BOOK, BOOK_L2, HIS_TWICE)),
    case("debit+book L1", (K.DEBIT, BANK, THE_BANK), (K.BOOK, BOOK_L1, HIS_TWICE)),
    case("ladder debit+book L3", (K.DEBIT, BANK_LADDER, LADDER_BANK), (K.BOOK, BOOK_L3, HIS)),
    case("ladder from the void on+book L3", (K.DEBIT, BANK_LADDER_VOIDS, LADDER_BANK),
         (K.BOOK, BOOK_L3, HIS)),
    case("wallet debit+book L3", (K.DEBIT, WALLET, THE_WALLET), (K.BOOK, BOOK_L3, HIS)),
    case("tender: insurance+debit+book", (K.DEBIT, INSURANCE, THE_WALLET),
         (K.DEBIT, BANK, THE_BANK), (K.BOOK, BOOK_L3, HIS)),
    case("tender: two banks+book", (K.DEBIT, BANK, THE_BANK), (K.DEBIT, BANK, THE_BANK),
         (K.BOOK, BOOK_L3, HIS)),
    case("book only L3", (K.BOOK, BOOK_L3, HIS)),
    case("book only L2", (K.BOOK, BOOK_L2, HIS_TWICE)),
    case("un-book L3+keyed credit", (K.UNBOOK, UNBOOK_L3, HIS),
         (K.CREDIT, CREDIT_KEYED, Counterparty())),
    case("un-book L2+plain credit", (K.UNBOOK, UNBOOK_L2, HIS_TWICE),
         (K.CREDIT, CREDIT_PLAIN, PLAIN)),
    case("hold+debit+book, no without proof", (K.HOLD, HOLD, HOSPITAL_LOCK),
         (K.DEBIT, BANK, DOUBTED_BANK), (K.BOOK, BOOK_L3, HIS)),
    case("debit+book, no without proof", (K.DEBIT, BANK, DOUBTED_BANK), (K.BOOK, BOOK_L3, HIS)),
    case("plain credit, no without proof", (K.CREDIT, CREDIT_PLAIN, DOUBTED_PLAIN)),
    case("debit only", (K.DEBIT, BANK, THE_BANK)),
    case("void only", (K.CREDIT, VOID, THE_BANK)),
    case("plain credit only", (K.CREDIT, CREDIT_PLAIN, PLAIN)),
    case("ledger debit+book L3", (K.DEBIT, LEDGER, OURS), (K.BOOK, BOOK_L3, HIS)),
    case("hold+ledger debit+book L2", (K.HOLD, HOLD, HOSPITAL_LOCK), (K.DEBIT, LEDGER, OURS),
         (K.BOOK, BOOK_L2, HIS_TWICE)),
    case("debit+ledger book", (K.DEBIT, BANK, THE_BANK), (K.BOOK, LEDGER, OURS)),
)  # fmt: skip
BY_NAME = {x.name: x for x in CASES}
