"""The comparison an auditor would make, and nothing that an auditor could not see. Pure.

Only payments that were at rest in the journal *before* the ledgers were read are judged; the
others, and those whose terminal has not asked yet, are counted as in flight.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

BankKey = tuple[str, str, str, str]
"""(merchant F42, terminal F41, batch, STAN F11)."""

NOT_YET_TOLD = ("", "pending", "exception")
"""Last answers of a terminal that a better one may still supersede (rule 12)."""
DEFINITE = ("approved", "declined", "returned", "unknown_key", "refused")
"""Last answers that a payment at rest must agree with."""
RECORDED = ("approved", "declined", "returned", "exception", "unknown_key")
"""Answers that are a function of the journal; a refusal takes nothing and records nothing."""


class BookedPayment(Struct, frozen=True, kw_only=True):
    """A payment as the journal has it."""

    key: str
    amount_fen: int
    rest: str
    """done, declined, undone, exception; "" = not at rest."""
    unproven: bool = False
    at_bank: tuple[BankKey, ...] = ()
    """Every identity under which a message of it may have reached the bank (I8)."""
    bank_fen: int | None = None
    """What the bank has of it when it is done: less than zero for what goes back, 0 for what is
    only set aside. None: the amount."""
    books: bool = True
    """The hospital books it when it is done."""
    asks: bool = True
    """A patient's terminal that asks until it is told; else only what was told is judged."""
    original: str = ""
    """Key of the payment that it gives back of, or completes."""
    unbooked: bool = False
    """The hospital has taken the original's booking back for it."""
    unsure: bool = False
    """Nobody knows whether it has: the original is with the same person."""


class BankLine(Struct, frozen=True, kw_only=True):
    """One debit of the bank's list, with what is left of it after reversals."""

    at_bank: BankKey
    net_fen: int


class HisLine(Struct, frozen=True, kw_only=True):
    """One booking of the hospital's list. ``key`` is ours, as it travelled (I2)."""

    key: str
    amount_fen: int
    booked: bool


class Told(Struct, frozen=True, kw_only=True):
    """The last answer that a terminal showed for a key."""

    key: str
    state: str
    amount_fen: int


class Violation(Struct, frozen=True, kw_only=True):
    """One story that does not hold together."""

    invariant: str
    key: str
    text: str


class Audit(Struct, frozen=True, kw_only=True):
    """Amounts in 分 over the payments judged."""

    bank_net_fen: int
    his_booked_fen: int
    terminal_told_fen: int
    violations: list[Violation]
    in_flight: int = 0
    judged: int = 0
    unproven: int = 0
    exceptions: int = 0


def compare(
    before: Iterable[BookedPayment],
    *,
    known_keys: Iterable[str],
    known_at_bank: Iterable[BankKey],
    bank: Iterable[BankLine],
    his: Iterable[HisLine],
    told: Iterable[Told],
    moving: Iterable[str] = (),
) -> Audit:
    """``before``: the journal read before the ledgers; ``known_…``: read after them, so that a
    line of a ledger without a payment is a violation and not merely new. ``moving``: keys of
    payments that changed meanwhile, or of which others were giving back: not judged."""
    before = list(before)
    unbooked = {payment.original for payment in before if payment.unbooked}
    unsettled = set(moving) | {payment.original for payment in before if payment.unsure}
    net = _net_by_identity(bank)
    booked = _booked_by_key(his)
    answers = {line.key: line for line in told}
    violations: list[Violation] = []
    sums = [0, 0, 0]
    counts: dict[str, int] = defaultdict(int)
    for payment in before:
        answer = answers.get(payment.key)
        state = answer.state if answer else ""
        untold = payment.asks and payment.rest == "done" and state in NOT_YET_TOLD
        if not payment.rest or untold or payment.key in unsettled:
            counts["in_flight"] += 1
            continue
        counts["judged"] += 1
        counts["unproven"] += payment.unproven
        counts["exceptions"] += payment.rest == "exception"
        at_bank = sum(net.get(identity, 0) for identity in payment.at_bank)
        bookings = booked.get(payment.key, [])
        sums[0] += at_bank
        sums[1] += sum(bookings)
        sums[2] += answer.amount_fen if answer and state == "approved" else 0
        booked_fen = None if payment.key in unbooked or not payment.books else payment.amount_fen
        violations += _judge(payment, at_bank, bookings, booked_fen)
        violations += _judge_told(payment, answer)
    violations += _strangers(set(known_keys), set(known_at_bank), net, booked, answers)
    return Audit(
        bank_net_fen=sums[0],
        his_booked_fen=sums[1],
        terminal_told_fen=sums[2],
        violations=violations,
        in_flight=counts["in_flight"],
        judged=counts["judged"],
        unproven=counts["unproven"],
        exceptions=counts["exceptions"],
    )


def _judge(
    payment: BookedPayment, at_bank: int, bookings: list[int], booked_fen: int | None
) -> list[Violation]:
    """Bank and hospital; ``booked_fen``: what the hospital must have of it when it is done."""
    amount = payment.amount_fen if payment.bank_fen is None else payment.bank_fen
    expected = [] if booked_fen is None else [booked_fen]
    found = []
    if len(bookings) > 1:
        found.append(("I2", f"the hospital booked it {len(bookings)} times"))
    if payment.rest == "done" and (at_bank != amount or bookings != expected):
        found.append(("I1", f"done for {amount}: bank {at_bank}, hospital {bookings}"))
    if payment.rest in ("declined", "undone") and bookings:
        found.append(("I1", f"{payment.rest}, yet the hospital has {bookings}"))
    if payment.rest in ("declined", "undone") and at_bank and not payment.unproven:
        found.append(("I1", f"{payment.rest}, yet the bank has {at_bank}"))
    return [Violation(invariant=i, key=payment.key, text=text) for i, text in found]


def _judge_told(payment: BookedPayment, answer: Told | None) -> list[Violation]:
    """What its terminal was told."""
    amount, told = payment.amount_fen, answer.state if answer else ""
    found = []
    if (told == "approved") != (payment.rest == "done") and told in DEFINITE:
        found.append(("I7", f"the terminal was told {told}, the journal says {payment.rest}"))
    elif answer and told == "approved" and answer.amount_fen != amount:
        found.append(("I7", f"the terminal was told {answer.amount_fen}, not {amount}"))
    return [Violation(invariant=i, key=payment.key, text=text) for i, text in found]


def _strangers(
    known_keys: set[str],
    known_at_bank: set[BankKey],
    net: Mapping[BankKey, int],
    booked: Mapping[str, list[int]],
    answers: Mapping[str, Told],
) -> list[Violation]:
    """Lines of the ledgers that no payment of the journal explains."""
    found = [
        Violation(invariant="I4", key="", text=f"the bank has {fen} for unknown {identity}")
        for identity, fen in net.items()
        if fen and identity not in known_at_bank
    ]
    found += [
        Violation(invariant="I4", key=key, text="the hospital booked a key the journal lacks")
        for key, amounts in booked.items()
        if amounts and key not in known_keys
    ]
    found += [
        Violation(invariant="I7", key=key, text=f"told {answer.state}, and the journal lacks it")
        for key, answer in answers.items()
        if answer.state in RECORDED and key not in known_keys
    ]
    return found


def _net_by_identity(lines: Iterable[BankLine]) -> dict[BankKey, int]:
    net: dict[BankKey, int] = defaultdict(int)
    for line in lines:
        net[line.at_bank] += line.net_fen
    return net


def _booked_by_key(lines: Iterable[HisLine]) -> dict[str, list[int]]:
    booked: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        if line.booked:
            booked[line.key].append(line.amount_fen)
    return booked
