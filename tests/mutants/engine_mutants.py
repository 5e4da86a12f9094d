"""Mutants of the shell and of its plugins: each breaks one rule of the law of money on purpose.

A net is trusted only while it catches these. Every mutant is a context manager that patches the
product for the time of a run. Layer: ``sim``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import msgspec
from msgspec.structs import replace

from channels.iso8583.channel import BankChannel
from channels.iso8583.hub import Hub
from channels.kiosk import finisher
from his_bridge import hospital
from switch import payment as machine
from switch.engine import engine as engine_module
from switch.engine import preparing
from switch.engine.driver import Driver
from switch.engine.engine import Engine
from switch.engine.late import LateAnswers
from switch.model.hospital import Confirm
from switch.model.outcome import Millis, Outcome, Verb
from switch.model.payment import (
    Effect,
    EffectKind,
    Event,
    EventKind,
    LegKind,
    LegPolicy,
    LegState,
    OnUnknown,
    Payment,
    Rest,
    Stage,
)
from switch.payment import machine as machine_module
from switch.payment import moves, steps, undos
from switch.payment.table import RULES, Move
from switch.ports import CommitResult, JournalDown, Order, Prepared, StanBlock, Write
from switch.store.memory import MemoryDatabase, MemoryJournal, MemoryNumbers
from switch.store.terminals import Seen
from tests.mutants.mutant import Mutant


@contextmanager
def _moved(old: Move, new: Move, events: frozenset[str] = frozenset()) -> Iterator[None]:
    """Every row (of these events) that made ``old`` makes ``new``."""
    rows = {
        where: row
        for where, row in RULES.items()
        if row.move is old and (not events or where[2] in events)
    }
    assert rows, "the mutant no longer touches the table"
    RULES.update({where: row._replace(move=new) for where, row in rows.items()})
    try:
        yield
    finally:
        RULES.update(rows)


# ---- the engine ---------------------------------------------------------------------------------


def _act_before_commit() -> Any:
    """Bytes first, journal second."""

    async def commit(
        self: Driver, event: Any, after: Payment, effects: tuple[Effect, ...], reserve: Any
    ) -> CommitResult:
        self._term = self._house.journal.lease_term()
        prepared, acts, identities = await preparing.prepare(
            self._house, after, effects, self._card.secrets, sending=True
        )
        before, self.payment = self.payment, prepared
        self._act(acts)
        entry = msgspec.json.encode({"event": event, "effects": acts})
        result = await self._house.journal.commit(
            Write(payment=prepared, event=entry, identities=identities, reserve=reserve)
        )
        if result.committed:
            self._settle(before, prepared)
        else:
            self._lost(result)
        return result

    return mock.patch.object(Driver, "_commit", commit)


def _told_before_durable() -> Any:
    """ "Approved" as soon as it is decided."""
    true = Driver._commit

    async def commit(
        self: Driver, event: Any, after: Payment, effects: tuple[Effect, ...], reserve: Any
    ) -> CommitResult:
        if after.rest is Rest.DONE:
            before, self.payment = self.payment, after
            self._house.told(self)
            self.payment = before
        return await true(self, event, after, effects, reserve)

    return mock.patch.object(Driver, "_commit", commit)


def _drop_late() -> Any:
    """A late answer is logged and thrown away."""
    return mock.patch.object(LateAnswers, "found", return_value=None)


def _no_tombstone() -> Any:
    """ "Unknown key" is said and nothing is written down."""

    async def bury(self: Engine, hospital: str, terminal: str, key: str) -> Payment:
        return Payment(
            key=key,
            hospital=hospital,
            business="",
            terminal=terminal,
            amount_fen=0,
            request_hash=engine_module.TOMBSTONE,
            born_at=0,
            business_date="",
            rest=Rest.DECLINED,
            version=1,
        )

    return mock.patch.object(Engine, "_bury", bury)


def _content_not_compared() -> Any:
    """A repeat is known by its key alone."""
    return mock.patch.object(engine_module, "request_digest", lambda request: request.key)


def _no_fence() -> Any:
    """A commit overwrites whatever is there: no fence, no version compared."""
    apply = MemoryDatabase.apply

    def blind(self: MemoryDatabase, write: Write, fence: int, node: str, at: int) -> CommitResult:
        row = self.rows.get(write.payment.key)
        if row is not None and write.payment.version > 1:
            row.fence, row.version = fence, write.payment.version - 1
        return apply(self, write, fence, node, at)

    return _all(mock.patch.object(MemoryDatabase, "apply", blind), _no_lease())


def _no_lease() -> Any:
    """The lease is not looked at before a write."""
    return mock.patch.object(Driver, "may_send", return_value=True)


def _terminal_for_ever() -> Any:
    """A logical terminal once taken is ours, whatever became of the lease."""

    def ever(seen: Any, terminal: Any) -> bool:
        return terminal in seen._terms

    return mock.patch.object(Seen, "holds", ever)


def _renewed_is_held() -> Any:
    """A lease that ran out and was renewed is taken for one that never ran out."""
    return mock.patch.object(MemoryJournal, "lease_term", return_value=0)


def _out_without_identity() -> Any:
    """What could not be prepared is journaled as out all the same."""

    async def out(self: BankChannel, order: Order, secrets: Any) -> Prepared:
        return await true(self, order, secrets) or Prepared()

    true = BankChannel.prepare
    return mock.patch.object(BankChannel, "prepare", out)


def _reclaim_once() -> Any:
    """A payment let go of while the database was away is forgotten."""

    async def once(self: Engine, key: str) -> None:
        try:
            if key not in self._live:
                await self._claim(key)
        except JournalDown:
            return

    return mock.patch.object(Engine, "_reclaim", once)


# ---- the machine, seen from outside -------------------------------------------------------------


def _late_approval_resurrects() -> Any:
    """The payment goes on when the approval comes after all."""
    decide = machine.decide

    def resurrecting(payment: Payment, event: Event) -> steps.Step:
        leg = payment.legs[event.leg]
        late = event.kind is EventKind.DO_DONE and leg.kind is LegKind.DEBIT
        if late and leg.state in (LegState.UNDOING, LegState.UNDO_WAIT, LegState.UNPROVEN):
            forward = replace(payment, stage=Stage.FORWARD, rest=None)
            after, effects = moves.done(forward, event.leg, event)
            return replace(after, version=payment.version + 1), effects
        return decide(payment, event)

    return mock.patch.object(machine, "decide", resurrecting)


def _recovery_declines() -> Any:
    """A debit that was out at the crash is taken for declined."""
    recover = machine.recover

    def declining(payment: Payment, at: Millis) -> Any:
        events, effects = recover(payment, at)
        believed = tuple(
            replace(event, kind=EventKind.DO_REFUSED)
            if event.kind is EventKind.DO_UNKNOWN
            else event
            for event in events
        )
        return believed, effects

    return mock.patch.object(machine, "recover", declining)


def _three_reversals() -> Any:
    """After the third Unknown it is called undone."""

    def give_up(payment: Payment, i: int, event: Event) -> steps.Step:
        if payment.legs[i].undos < 3:
            return undos.undo_unknown(payment, i, event)
        return undos.undone(payment, i, event)

    return _moved(undos.undo_unknown, give_up)


def _no_original_is_proof() -> Any:
    """25 is taken for an acknowledgement."""
    return _moved(undos.undo_not_found, undos.undone)


def _impatient_reversal() -> Any:
    """The reversal does not wait for the bank's time."""
    settle = moves.settle_by_undo

    def at_once(payment: Payment, i: int, event: Event) -> steps.Step:
        payment, effects = settle(payment, i, event)
        if payment.legs[i].state is not LegState.UNDO_WAIT:
            return payment, effects
        sent_at = payment.legs[i].sent_at
        payment = steps.set_leg(payment, i, wake_at=sent_at)
        return payment, tuple(
            replace(effect, at=sent_at) if effect.kind is EffectKind.WAKE else effect
            for effect in effects
        )

    return mock.patch.object(moves, "settle_by_undo", at_once)


def _recovery_counts_from_decision() -> Any:
    """After a crash the bank's time is counted from the decision, not from the latest write."""
    return mock.patch.object(machine_module, "_unknown_at", lambda leg, at: at)


def _booked_before_finished() -> Any:
    """The bank's approval is enough: the hospital is told while the card is still being asked."""
    true = steps.advance

    def hasty(payment: Payment, i: int, event: Event) -> steps.Step:
        payment, effects = true(payment, i, event)
        if payment.rest is not None or payment.legs[i + 1].kind is not LegKind.FINISH:
            return payment, effects
        payment, more = steps.start(payment, i + 2, event)
        return payment, (*effects, *more)

    return mock.patch.object(moves, "advance", hasty)


def _silent_card_confirms() -> Any:
    """Nobody says how the card ended, so it is taken for finished."""
    true = moves.give_up

    def believe(payment: Payment, i: int, event: Event) -> steps.Step:
        if payment.legs[i].kind is LegKind.FINISH and payment.stage is Stage.FORWARD:
            return moves.done(payment, i, event)
        return true(payment, i, event)

    return mock.patch.object(moves, "give_up", believe)


# ---- the plugins --------------------------------------------------------------------------------


def _his_timeout_reverses() -> Any:
    """A booking without an answer is taken for no booking."""
    true = hospital.leg_policy

    def hasty(profile: Any, kind: LegKind, *how: Any) -> LegPolicy:
        policy = true(profile, kind, *how)
        if kind is not LegKind.BOOK:
            return policy
        return LegPolicy(timeout_ms=policy.timeout_ms, on_unknown=OnUnknown.UNDO, lapses=True)

    return mock.patch.object(hospital, "leg_policy", hasty)


def _new_key_on_resend() -> Any:
    """Every resend of a booking carries a key of its own."""
    true = hospital.request_of

    def fresh(order: Any) -> Any:
        function, request = true(order)
        if isinstance(request, Confirm) and order.verb is Verb.DO and order.leg.attempt > 1:
            request = replace(request, idem=f"{request.idem}-{order.leg.attempt}")
        return function, request

    return mock.patch.object(hospital, "request_of", fresh)


def _wrong_mac_accepted() -> Any:
    """The verdict of the HSM is not looked at."""

    async def believed(self: Hub, exchange: Any, message: Any) -> bool:
        return True

    return mock.patch.object(Hub, "_authentic", believed)


def _stan_reused() -> Any:
    """The counter starts again with the process, and nothing in the database minds."""
    apply = MemoryDatabase.apply

    async def from_one(self: MemoryNumbers, terminal: Any, count: int) -> StanBlock:
        counted = self.__dict__.setdefault("counted", {})
        first = counted.get(terminal, 0) + 1
        counted[terminal] = first + count - 1
        return StanBlock(batch="000001", first=first, last=first + count - 1)

    def lenient(self: MemoryDatabase, write: Write, fence: int, node: str, at: int) -> CommitResult:
        for identity in write.identities:
            self.identities.pop(
                (
                    identity.bank,
                    identity.merchant,
                    identity.terminal,
                    identity.batch,
                    identity.stan,
                    identity.business_date,
                ),
                None,
            )
        return apply(self, write, fence, node, at)

    return _all(
        mock.patch.object(MemoryNumbers, "reserve", from_one),
        mock.patch.object(MemoryDatabase, "apply", lenient),
    )


def _word_unfiltered() -> Any:
    """What a terminal says of its card is journaled whole."""
    return mock.patch.object(finisher, "journaled", lambda data: data.hex().upper())


def _declined_is_booked() -> Any:
    """Whatever a terminal says, its card has confirmed."""
    true = finisher._reply

    def kind(word: Any) -> Any:
        return replace(true(word), outcome=Outcome.DONE)

    return mock.patch.object(finisher, "_reply", kind)


@contextmanager
def _all(*patches: Any) -> Iterator[None]:
    with patches[0], patches[1]:
        yield


MUTANTS: tuple[Mutant, ...] = (
    Mutant("act_before_commit", _act_before_commit, "I4"),
    Mutant("told_before_durable", _told_before_durable, "I7"),
    Mutant(
        "drop_late",
        _drop_late,
        "I1",
        weather={"bank_forgets": True, "bank_repeats": True, "bank_processing": 0.5},
    ),
    Mutant("no_tombstone", _no_tombstone, "I7"),
    Mutant("content_not_compared", _content_not_compared, "I8"),
    Mutant("no_fence", _no_fence, "I13"),
    Mutant("no_lease", _no_lease, "I13", weather={"stall": 0.04}),
    Mutant(
        "terminal_for_ever",
        _terminal_for_ever,
        "I13",
        weather={"dialect": "cup-pos", "stories": 16, "freeze": 2.0, "stall": 0.03}
        | {"db_slow": 0.4, "crash": 0.0},
    ),
    Mutant("renewed_is_held", _renewed_is_held, "I13", weather={"stall": 0.04}),
    Mutant(
        "out_without_identity",
        _out_without_identity,
        "I3",
        weather={"hsm_down": 0.2, "crash": 0.03},
    ),
    Mutant("reclaim_once", _reclaim_once, "I3", weather={"stall": 0.04, "db_down": 3.0}),
    Mutant(
        "late_approval_resurrects",
        _late_approval_resurrects,
        "I5",
        "I1",
        weather={"bank_late": 0.4},
    ),
    Mutant("recovery_declines", _recovery_declines, "I1"),
    Mutant("three_reversals", _three_reversals, "I1"),
    Mutant(
        "no_original_is_proof",
        _no_original_is_proof,
        "I1",
        weather={"bank_forgets": True, "bank_processing": 0.3},
    ),
    Mutant("impatient_reversal", _impatient_reversal, "I3"),
    Mutant(
        "recovery_counts_from_decision",
        _recovery_counts_from_decision,
        "I3",
        weather={"stall": 0.0, "crash": 0.04, "db_slow": 0.4, "bank_silent_after": 0.5},
    ),
    Mutant("his_timeout_reverses", _his_timeout_reverses, "I6", "I1"),
    Mutant("new_key_on_resend", _new_key_on_resend, "I2"),
    Mutant("wrong_mac_accepted", _wrong_mac_accepted, "I1"),
    Mutant("booked_before_finished", _booked_before_finished, "I1"),
    Mutant(
        "silent_card_confirms",
        _silent_card_confirms,
        "I1",
        weather={"finish_late": 0.4, "kiosk_power": 0.2},
    ),
    Mutant("declined_is_booked", _declined_is_booked, "I1"),
    Mutant("word_unfiltered", _word_unfiltered, "I12"),
    Mutant("stan_reused", _stan_reused, "I8", "I4"),
)
