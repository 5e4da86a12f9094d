"""The auditor: reads the bank's list, the hospital's list, the journal and what terminals were
told, and nothing else. Every finding names its invariant (docs/invariants.md)."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator

from his_bridge.policy import Level
from switch.model.answer import AnswerState
from switch.model.payment import Leg, LegKind, LegState, Payment, Rest, RungKind, Stage
from switch.payment import answer_of
from tests.sim.bank_host import BankHost
from tests.sim.chips import KEPT, End
from tests.sim.his_host import BOOKS, Booking, HisHost
from tests.sim.mix import Mix
from tests.sim.node import ANNOUNCED_S, BANK, DAY_TURNS_AT_S, EPOCH_S, announces_day
from tests.sim.origins import Purchase, Told
from tests.sim.reading import Identity
from tests.sim.relatives import Relatives
from tests.sim.standing import stands_fen, undos_of
from tests.sim.violation import Violation
from tests.sim.watched import Watched

_BEFORE_NOON = time.localtime(EPOCH_S).tm_hour < 12
DAYS = tuple(
    time.strftime("%Y%m%d", time.localtime(EPOCH_S + n * 86_400))
    for n in ((-1, 0) if _BEFORE_NOON else (0, 1))
)
"""Before and after the turn: one in the morning ends yesterday's business day."""
A_MOMENT_S = 0.002
"""Times are kept in milliseconds."""
RECORDING_S = 60.0
"""So long a process may take to journal what it has read."""


class Auditor:
    """``committed``: (key, version) → when, as the database noted it. ``trespasses``: money
    messages that a node wrote for a payment another node drove. ``wire``: when an operation (True)
    or its reversal was written. ``ends``: how the chip cards ended, by their terminals."""

    def __init__(
        self,
        mix: Mix,
        hsm_fails: bool,
        database: Watched,
        bank: BankHost,
        his: HisHost,
        purchases: list[Purchase],
        committed: dict[tuple[str, int], float],
        trespasses: list[str],
        wire: list[tuple[float, bool, Identity]],
        ends: dict[str, End],
    ) -> None:
        self._ends = ends
        self._mix = mix
        self._hsm_fails = hsm_fails
        self._bank = bank
        self._his = his
        self._purchases = purchases
        self._trespasses = trespasses
        self._wire = wire
        self._committed = committed
        self._database = database
        self._identities: dict[str, list[Identity]] = defaultdict(list)
        self._payment_of: dict[Identity, str] = {}
        for identity, key in database.identities.items():
            at_bank = identity[1], identity[2], identity[3], identity[4]
            self._identities[key].append(at_bank)
            self._payment_of[at_bank] = key
        self._bookings: dict[str, list[Booking]] = defaultdict(list)
        for booking in his.bookings:
            self._bookings[booking.key].append(booking)
        self._trails: dict[str, list[tuple[int, str, dict]]] = defaultdict(list)
        for (key, version), (trail, event) in sorted(database.events.items()):
            self._trails[key].append((version, trail, json.loads(event)))

    def findings(self, reconciled: bool) -> list[Violation]:
        """Everything that is wrong at rest."""
        found: list[Violation] = []
        payments = {payment.key: payment for payment in self._database.payments()}
        for payment in payments.values():
            found += self._money(payment, reconciled)
            found += self._history(payment)
            found += self._dates(payment)
        found += Relatives(payments, self._net, self._database, self._purchases).findings()
        found += self._strangers(payments)
        found += self._numbers()
        found += [Violation("I13", text) for text in self._trespasses]
        for purchase in self._purchases:
            found += self._told(purchase, payments.get(purchase.key))
        return found

    # ---- one payment ----------------------------------------------------------------------------

    def _money(self, payment: Payment, reconciled: bool) -> Iterator[Violation]:
        key = payment.key
        net = self._net(key)
        rows = self._bookings.get(key, [])
        booked = [row for row in rows if row.cancelled_at is None]
        moves, books = _wanted(payment)
        if len(rows) > 1:
            yield Violation("I2", f"{key}: the hospital booked it {len(rows)} times")
        if payment.rest is None:
            yield Violation("I3", f"{key}: not at rest: {_shown(payment)}")
        elif payment.rest is Rest.DONE:
            if net != moves or len(booked) not in self._bookings_due(key, books):
                yield Violation("I1", f"{key}: done, bank {net}, bookings {len(booked)}")
        elif payment.rest is Rest.EXCEPTION:
            yield from self._exception(payment, reconciled)
        else:
            unproven = any(leg.state is LegState.UNPROVEN for leg in payment.legs)
            allowed = unproven and self._mix.bank_forgets and not reconciled
            allowed = allowed and not self._heard(key)
            if (net and not allowed) or booked:
                invariant = "I6" if booked and not net else "I1"
                yield Violation(
                    invariant,
                    f"{key}: {payment.rest}, bank {net}, bookings {len(booked)}: {_shown(payment)}",
                )
        if payment.request_hash == "tombstone" and (net or rows):
            yield Violation("I7", f"{key}: an unknown key moved money")

    def _net(self, key: str) -> int:
        """What stands at the bank under the payment's numbers, whichever way it moved."""
        return stands_fen(self._bank, self._identities.get(key, ()))

    def _bookings_due(self, original: str, books: int) -> frozenset[int]:
        """How many bookings a payment that is done may have: a refund un-books its original, at
        once or perhaps."""
        states = {
            leg.state
            for payment in self._database.payments()
            if payment.original == original
            for leg in payment.legs
            if leg.kind is LegKind.UNBOOK and leg.attempt
        }
        if LegState.DONE in states:
            return frozenset({0})
        return frozenset({0, books}) if states - {LegState.REFUSED} else frozenset({books})

    def _heard(self, key: str) -> bool:
        """An authentic approval was read by the process that waited for it, which lived on: it
        knows that the money moved (I5), and may not rest before it is back."""
        own = set(self._identities[key])
        entries = [self._bank.entries.get(identity) for identity in own]
        return any(
            entry is not None
            and entry.original not in own
            and entry.heard_at is not None
            and entry.sender.died_at - entry.heard_at > RECORDING_S
            and not self._hsm_fails
            for entry in entries
        )

    def _exception(self, payment: Payment, reconciled: bool) -> Iterator[Violation]:
        """Exceptions are a person's work: there must be a reason for each."""
        excused = (
            self._mix.his_level is not Level.L3
            or self._mix.bank_forgets
            or any(leg.code == "2006" for leg in payment.legs)
            or any(leg.kind is LegKind.UNBOOK and leg.unknown_seen for leg in payment.legs)
            or _owed(payment)
            or self._refused_for_good(payment)
        )
        refunded = self._net(payment.key) and any(_refunded(leg) for leg in payment.legs)
        if _no_way_back(payment) or self._settled_meanwhile(payment) or refunded:
            return
        if reconciled or not excused:
            yield Violation("I15", f"{payment.key}: needless exception: {_shown(payment)}")

    def _refused_for_good(self, payment: Payment) -> bool:
        """Rule 8: its undo was refused, may have been sent once only, or may have worked, and the
        bank allows nothing below it; or the void that undoes it was never found."""
        return self._mix.undo is not RungKind.REVERSAL and any(
            leg.kind is LegKind.DEBIT and leg.state is LegState.STUCK and _spent(leg)
            for leg in payment.legs
        )

    def _dates(self, payment: Payment) -> Iterator[Violation]:
        """I14: the bank's date at birth, by its calendar, in every message of it."""
        sent = {known[5] for known, key in self._database.identities.items() if key == payment.key}
        if sent - {payment.business_date}:
            yield Violation("I14", f"{payment.key} of {payment.business_date}: sent on {sent}")
        if self._mix.day_turns and sent:
            due = self._days_of(payment.born_at / 1000 - EPOCH_S)
            if payment.business_date not in due:
                yield Violation("I14", f"{payment.key}: {payment.business_date} is not {due}")

    def _days_of(self, born_s: float) -> tuple[str, ...]:
        """The business dates that a payment born then may have: while the turn is being announced,
        either."""
        today, next_day = DAYS
        if not announces_day(self._mix.dialect):
            return (next_day if born_s >= DAY_TURNS_AT_S else today,)
        if born_s >= ANNOUNCED_S[-1]:
            return (next_day,)
        return (today,) if born_s < self._bank.pushes.turned_at else DAYS

    def _settled_meanwhile(self, payment: Payment) -> bool:
        """Rule 19: its batch was closed while it was open; nothing reverses it any more."""
        batches = self._database.batches.rows
        closed = {(one.terminal.merchant, one.terminal.terminal, one.number) for one in batches}
        return any(
            identity[:3] in closed for identity in self._identities.get(payment.key, ())
        ) and any(leg.state is LegState.STUCK for leg in payment.legs)

    def _history(self, payment: Payment) -> Iterator[Violation]:
        trail = self._trails[payment.key]
        if [version for version, _, _ in trail] != list(range(1, payment.version + 1)):
            yield Violation("I13", f"{payment.key}: its history has gaps")
        backward = False
        for _, where, _ in trail:
            if backward and where.startswith("forward"):
                yield Violation("I5", f"{payment.key}: went forward again")
            backward = backward or where.startswith("backward")
        for i, leg in enumerate(payment.legs):
            if leg.kind in (LegKind.DEBIT, LegKind.CREDIT):
                yield from self._reversals(payment, i, leg)
            elif leg.kind is LegKind.FINISH:
                yield from self._card(payment, leg)
            elif leg.kind is LegKind.BOOK:
                yield from self._write_ahead_of_booking(payment, i)

    def _card(self, payment: Payment, leg: Leg) -> Iterator[Violation]:
        """The hospital is told of a chip card only after the card has confirmed (I1); of what the
        card said the journal has rule 18's tags and no more (I12)."""
        end = self._ends.get(payment.key)
        asked = [
            at for at, function, key in self._his.asked if key == payment.key and function in BOOKS
        ]
        if asked and (end is None or end.result != "confirmed" or min(asked) < end.at):
            said = "nothing yet" if end is None or end.at > min(asked) else end.result
            yield Violation("I1", f"{payment.key}: booked, and its card said {said}")
        if leg.facts and leg.facts != {"chip": KEPT + (end.scripts if end else "")}:
            yield Violation("I12", f"{payment.key}: {leg.facts} of its card")

    def _reversals(self, payment: Payment, i: int, leg: Leg) -> Iterator[Violation]:
        """I6: no reversal while the booking may stand; rule 9: none before the bank's time."""
        identities = self._identities.get(payment.key, ())
        undos = undos_of(self._bank, identities)
        times = [at for at, identity, _ in self._bank.reversals if identity in identities]
        times += [self._bank.entries[identity].arrived_at for identity in undos]
        if not times:
            return
        first = min(times)
        for row in self._bookings.get(payment.key, ()):
            if row.cancelled_at is None or row.cancelled_at > first:
                yield Violation("I6", f"{payment.key}: reversed while the hospital had it booked")
        answered = any(
            event["event"].get("kind") == "do_done" and event["event"].get("leg", 0) == i
            for _, _, event in self._trails[payment.key]
        )
        for identity in identities:
            if answered and identity not in undos:
                continue
            written = [(at, sent) for at, sent, one in self._wire if one == identity]
            last = max((at for at, sent in written if sent), default=0.0)
            earliest = last + BANK.response_timeout_ms / 1000 - A_MOMENT_S
            first = min((at for at, sent in written if not sent), default=earliest)
            if first < earliest:
                early_s = earliest - first
                yield Violation(
                    "I3", f"{payment.key}: reversed {early_s:.1f} s before the bank's time"
                )

    def _write_ahead_of_booking(self, payment: Payment, i: int) -> Iterator[Violation]:
        asked = [
            at for at, function, key in self._his.asked if key == payment.key and function in BOOKS
        ]
        if not asked:
            return
        began = [
            self._committed[payment.key, version]
            for version, where, _ in self._trails[payment.key]
            if f"|{payment.legs[i].kind}:doing" in where
        ]
        if not began or min(asked) < min(began):
            yield Violation("I4", f"{payment.key}: booked before it was committed")

    # ---- what belongs to nobody -----------------------------------------------------------------

    def _strangers(self, payments: dict[str, Payment]) -> Iterator[Violation]:
        for identity, entry in self._bank.entries.items():
            key = self._payment_of.get(identity)
            if key is None:
                yield Violation("I4", f"{identity}: at the bank, not in the journal")
                continue
            if entry.times > 1:
                yield Violation("I8", f"{identity}: the bank saw this number {entry.times} times")
            if entry.amount_fen != payments[key].amount_fen:
                yield Violation("I8", f"{identity}: the bank has another payment under it")
            if entry.arrived_at < self._database.named_at[identity]:
                yield Violation("I4", f"{key}: at the bank before it was committed")
        for key in self._bookings:
            if key not in payments:
                yield Violation("I2", f"{key}: booked under a key that the journal does not know")
        live = Counter(
            (payment.hospital, payment.bill)
            for payment in payments.values()
            if payment.bill and not payment.original and payment.rest is Rest.DONE
        )
        for (_, bill), count in live.items():
            if count > 1:
                yield Violation("I8", f"bill {bill} was paid {count} times")

    def _numbers(self) -> Iterator[Violation]:
        """A centre knows a message by F11 alone, whichever terminal it is of."""
        if self._bank.codec.dialect.stan_scope == "bank":
            for stan, count in Counter(identity[-1] for identity in self._bank.entries).items():
                if count > 1:
                    yield Violation("I8", f"{stan}: of {count} messages of one bank")

    # ---- what was told --------------------------------------------------------------------------

    def _told(self, purchase: Purchase, payment: Payment | None) -> Iterator[Violation]:
        key = purchase.key
        if not purchase.final:
            yield Violation("I7", f"{key}: its terminal never heard the end")
        if payment is None:
            if purchase.told:
                yield Violation("I7", f"{key}: told, and not in the journal")
            return
        truth = answer_of(payment)
        heard = [told for told in purchase.told if told.answer.state is not AnswerState.REFUSED]
        for told in heard:
            yield from self._true_when_told(key, told)
            state = told.answer.state
            left = purchase.taking_back  # the origin's own door out of DONE
            if state is AnswerState.APPROVED and truth.state is not state and not left:
                yield Violation("I7", f"{key}: told approved, is {truth.state}")
            if state is AnswerState.UNKNOWN_KEY and truth.state is not AnswerState.UNKNOWN_KEY:
                yield Violation("I7", f"{key}: told unknown, is {truth.state}")
            if state is AnswerState.DECLINED and truth.state is not AnswerState.DECLINED:
                yield Violation("I7", f"{key}: told declined, is {truth.state}")
        if heard and purchase.final and heard[-1].answer.state is not truth.state:
            last = max(heard, key=lambda told: told.answer.version)
            if last.answer.state is not truth.state:
                yield Violation("I7", f"{key}: last heard {last.answer.state}, is {truth.state}")
        kinds = {t.how for t in heard if t.answer.state is not AnswerState.UNKNOWN_KEY}
        if {"start", "other"} <= kinds:
            yield Violation("I8", f"{key}: other content under the same key was taken")

    def _true_when_told(self, key: str, told: Told) -> Iterator[Violation]:
        """ "Approved" only after DONE is durable."""
        if told.answer.state is not AnswerState.APPROVED:
            return
        done = [
            self._committed[key, version]
            for version, where, _ in self._trails[key]
            if where.startswith("done")
        ]
        if not done or told.at < min(done):
            yield Violation("I7", f"{key}: told approved before it was committed as done")


def _wanted(payment: Payment) -> tuple[int, int]:
    """What a payment that is done has at the bank, and how many bookings."""
    kinds = {leg.kind for leg in payment.legs}
    moves = LegKind.DEBIT in kinds or LegKind.CREDIT in kinds
    return payment.amount_fen if moves else 0, int(LegKind.BOOK in kinds)


def _owed(payment: Payment) -> bool:
    """A refund that may be sent once only and is Unknown, or that is behind its pivot."""
    return (
        any(
            leg.kind is LegKind.CREDIT and not leg.policy.ladder and leg.attempt
            for leg in payment.legs
        )
        or payment.past_pivot
    )


def _no_way_back(payment: Payment) -> bool:
    """Its origin took back what no machine can undo (a refund; a booking at a hospital that cancels
    nothing, or refused to): a person's, even after the settlement file."""
    stuck = any(
        leg.state is LegState.STUCK
        and (not leg.policy.ladder or (payment.taken_back and leg.undo_refused))
        for leg in payment.legs
    )
    return stuck and payment.stage is Stage.BACKWARD


def _spent(leg: Leg) -> bool:
    """No rung is left that may be tried: a refund is for what certainly stood when the rung above
    it was refused; an approval that comes later changes nothing."""
    ladder = leg.policy.ladder
    below = ladder[leg.rung + 1 :]
    refunds = bool(below) and below[0].kind is RungKind.REFUND
    certain = leg.took_effect and not leg.undo_unknown and not leg.unknown_seen
    refused = leg.undo_refused and (not below or (refunds and not certain))
    return len(ladder) > 1 and (refused or leg.unvoiding or _refunded(leg))


def _refunded(leg: Leg) -> bool:
    """A refund that came to nothing, or of which nobody knows what: not even evidence lets it be
    sent again (rule 8)."""
    ladder, stuck = leg.policy.ladder, leg.state is LegState.STUCK
    return stuck and bool(ladder) and ladder[leg.rung].kind is RungKind.REFUND


def _shown(payment: Payment) -> str:
    legs = " ".join(f"{leg.kind}:{leg.state}" for leg in payment.legs)
    return f"{payment.phase} {legs}"
