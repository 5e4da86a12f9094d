"""The bank's counter: what each business does to the book, and what it answers.

A sale is known by (merchant, terminal, batch, STAN) and booked once. What refers to an original
never takes more of it than there is; a reversal puts everything back as it was, also the original
of the void that it reverses.
"""

from collections.abc import Callable

from channels.bank_simulator import asked as codes
from channels.bank_simulator.asked import Asked
from channels.bank_simulator.chip import ChipIssuer
from channels.bank_simulator.entries import Entry, Key, State
from channels.bank_simulator.habits import Habits, Name
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.world import ISSUED, Holder, Issuer
from channels.iso8583.dialect import Dialect
from hsm import primitives
from switch.model.operation import Operation

_PERMILLE = 1000
_COMPLETION_LIMIT_PERMILLE = 1150
_BEGINS = frozenset({Operation.SALE, Operation.QR_SALE, Operation.PREAUTH})
_OF = {
    Operation.VOID: Operation.SALE,
    Operation.REFUND: Operation.SALE,
    Operation.QR_VOID: Operation.QR_SALE,
    Operation.QR_REFUND: Operation.QR_SALE,
    Operation.PREAUTH_VOID: Operation.PREAUTH,
    Operation.COMPLETION: Operation.PREAUTH,
    Operation.COMPLETION_VOID: Operation.COMPLETION,
}
"""What each may refer to."""
_SAME_BATCH = frozenset({Operation.VOID, Operation.QR_VOID, Operation.COMPLETION_VOID})
_PARTS = frozenset({Operation.REFUND, Operation.QR_REFUND})
_BY_CODE = frozenset({Operation.QR_SALE, Operation.QR_VOID, Operation.QR_REFUND})
"""Without a card."""


class Counter:
    """See the module. ``date`` gives the settlement date, YYYYMMDD."""

    def __init__(
        self,
        *,
        dialect: Dialect,
        ledger: Ledger,
        issuer: Issuer,
        chips: ChipIssuer,
        habits: Habits,
        date: Callable[[], str],
    ) -> None:
        self._dialect = dialect
        self._ledger = ledger
        self._issuer = issuer
        self._chips = chips
        self._habits = habits
        self._date = date

    def business(self, asked: Asked) -> dict[str, str]:
        """The fields of the answer to an operation, besides those every answer has."""
        key = asked.key
        if key[2] != self._open_batch(asked):
            return {"39": codes.NOT_SIGNED_ON}
        known = self._ledger.find(key)
        holder = self._holder(asked)
        if self._taken(key):
            return {"39": codes.DUPLICATE}
        if known is not None:
            fields = self._again(asked, known)
            return fields | self._chips.answer(asked.message, holder, fields["39"], asked.habit)
        original = self._original(asked)
        code = self._judge(asked, holder, original)
        entry = self._book(asked, holder, original, code)
        if asked.misbehaves(Name.ANSWER_94):
            return {"39": codes.DUPLICATE}
        fields = {"39": code, "37": entry.rrn, "15": entry.date[4:]}
        if entry.authorisation:
            fields["38"] = entry.authorisation
        fields |= self._chips.answer(asked.message, holder, code, asked.habit)
        if code == codes.APPROVED:
            fields["44"] = "01020000   01030000   "
        return fields

    def balance(self, asked: Asked) -> dict[str, str]:
        """What is left on the card."""
        holder = self._holder(asked)
        code = asked.refused or self._card_code(asked, holder)
        fields = {"39": code, "37": self._ledger.next_rrn()}
        if code == codes.APPROVED and holder is not None:
            free_fen = self._free_fen(holder)
            sign = "D" if free_fen < 0 else "C"
            balance = f"1002{self._dialect.currency}{sign}{abs(free_fen):012d}"
            fields[self._dialect.balance_field] = balance
        return fields

    def reversal(self, asked: Asked) -> dict[str, str]:
        """00 when it is undone, now or before; 25 when what it reverses was never seen."""
        if asked.refused:
            return {"39": asked.refused}
        key = (asked.merchant, asked.terminal, asked.batch, asked.values.get("F11", ""))
        known = self._ledger.find(key)
        if known is None or known.state is State.TOMBSTONE:
            if known is None and self._habits.tombstone:
                self._bury(asked, key)
            forgets = asked.misbehaves(Name.FORGET_REVERSAL)
            return {"39": codes.APPROVED if forgets else codes.NOT_FOUND}
        if known.amount_fen != int(asked.values.get("F4", "0")):
            return {"39": codes.WRONG_AMOUNT}
        if known.booked and not self._undo(known):
            return {"39": codes.INVALID}
        return {"39": codes.APPROVED, "37": known.rrn}

    # ---- the judgement ---------------------------------------------------------------------------

    def _judge(self, asked: Asked, holder: Holder | None, original: Entry | None) -> str:
        operation = asked.kind
        if operation in _BEGINS:
            code = self._card_code(asked, holder)
        else:
            code = self._original_code(asked, holder, original)
        if code == codes.APPROVED and operation not in _BY_CODE:
            code = self._chips.judge(asked.message, holder)
        if code == codes.APPROVED and asked.refused:
            code = asked.refused
        if code == codes.APPROVED and operation == Operation.QR_SALE:
            fresh = self._ledger.use_code(asked.values.get("qr_code", ""))
            code = codes.APPROVED if fresh else codes.INVALID
        return code

    def _card_code(self, asked: Asked, holder: Holder | None) -> str:
        """The issuer's word: 14 no such card, 55 wrong PIN, 51 not enough money, 00."""
        if holder is None:
            return codes.NO_SUCH_CARD
        if asked.kind not in _BY_CODE and not _pin_is_right(asked, holder):
            return codes.WRONG_PIN
        enough = _amount_fen(asked) <= self._free_fen(holder)
        return codes.APPROVED if enough else codes.TOO_LITTLE_MONEY

    def _original_code(self, asked: Asked, holder: Holder | None, original: Entry | None) -> str:
        """Whether the original lets itself be voided, refunded or completed so."""
        operation = Operation(asked.kind)
        if original is None or original.operation != _OF[operation]:
            return codes.NOT_FOUND
        said = asked.values.get("original_F38", "")
        if said and original.authorisation and said != original.authorisation:
            return codes.NOT_FOUND
        if not original.booked or (
            operation in _SAME_BATCH and original.batch != self._open_batch(asked)
        ):
            return codes.INVALID
        if operation not in _BY_CODE:
            if holder is None or holder.name != original.card:
                return codes.NO_SUCH_CARD
            if "pin_block" in asked.values and not _pin_is_right(asked, holder):
                return codes.WRONG_PIN
        if operation not in _PARTS and original.given_fen:
            return codes.INVALID
        return codes.APPROVED if _fits(operation, asked, original) else codes.WRONG_AMOUNT

    def _original(self, asked: Asked) -> Entry | None:
        """What it refers to: by batch and STAN, else by the reference number it was given."""
        stan, rrn = asked.values.get("original_F11", ""), asked.values.get("original_F37", "")
        found = None
        if stan:
            batch = asked.values.get("original_batch") or asked.batch
            found = self._ledger.find((asked.merchant, asked.terminal, batch, stan))
        if found is None and rrn and asked.kind in _PARTS:
            found = self._ledger.find_rrn(asked.merchant, rrn)
        return found

    def _holder(self, asked: Asked) -> Holder | None:
        if asked.kind == Operation.QR_SALE:
            return self._issuer.payer(asked.values.get("qr_code", ""))
        return self._issuer.holder(asked.pan)

    def _taken(self, key: Key) -> bool:
        """At a centre that knows a message without its terminal: by another terminal's message."""
        return self._dialect.stan_scope == "bank" and self._ledger.number_taken(key, self._date())

    def _open_batch(self, asked: Asked) -> str:
        keys = self._ledger.keys(asked.merchant, asked.terminal)
        return keys.batch if keys else ""

    def _free_fen(self, holder: Holder) -> int:
        if holder.name == ISSUED:
            return holder.balance_fen
        return holder.balance_fen - self._ledger.spent_fen(holder.name)

    def _again(self, asked: Asked, known: Entry) -> dict[str, str]:
        """The same message a second time moves nothing; a buried one never does. Other content
        under the same numbers is another message."""
        if known.state is State.TOMBSTONE:
            return {"39": codes.REVERSED_BEFORE}
        other = known.operation != asked.kind or known.amount_fen != _amount_fen(asked)
        if other or known.state is State.REVERSED or self._habits.repeats_94:
            return {"39": codes.DUPLICATE}
        fields = {"39": known.code, "37": known.rrn, "15": known.date[4:]}
        return fields | ({"38": known.authorisation} if known.authorisation else {})

    # ---- the book --------------------------------------------------------------------------------

    def _book(
        self, asked: Asked, holder: Holder | None, original: Entry | None, code: str
    ) -> Entry:
        operation, amount_fen = asked.kind, _amount_fen(asked)
        merchant, terminal, batch, stan = asked.key
        booked = code == codes.APPROVED
        card = holder.name if holder else original.card if original else ""
        rrn = self._reference(asked)
        entry = Entry(
            merchant=merchant,
            terminal=terminal,
            batch=batch,
            stan=stan,
            date=self._date(),
            operation=operation,
            amount_fen=amount_fen,
            state=State.BOOKED if booked else State.DECLINED,
            code=code,
            rrn=rrn,
            authorisation=rrn[-6:] if booked and operation == Operation.PREAUTH else "",
            card=card,
            net_fen=_net_fen(operation, amount_fen) if booked else 0,
            held_fen=amount_fen if booked and operation == Operation.PREAUTH else 0,
            original_batch=original.batch if original else "",
            original_stan=original.stan if original else "",
        )
        self._ledger.add(entry)
        if booked and original is not None:
            self._take(entry, original)
        return entry

    def _reference(self, asked: Asked) -> str:
        """Field 37: the acquirer's own where the dialect lets it choose, else ours."""
        theirs = "" if "original_F37" in asked.values else asked.message.fields.get("37", "")
        return theirs or self._ledger.next_rrn()

    def _bury(self, asked: Asked, key: Key) -> None:
        merchant, terminal, batch, stan = key
        tombstone = Entry(
            merchant=merchant,
            terminal=terminal,
            batch=batch,
            stan=stan,
            date=self._date(),
            operation="",
            amount_fen=int(asked.values.get("F4", "0")),
            state=State.TOMBSTONE,
            code=codes.NOT_FOUND,
            rrn=self._ledger.next_rrn(),
            card="",
        )
        self._ledger.add(tombstone)

    def _take(self, entry: Entry, original: Entry) -> None:
        """What a booked entry does to what it refers to."""
        given_fen = original.given_fen + entry.amount_fen
        self._leave(original, given_fen=given_fen)
        if entry.operation == Operation.COMPLETION_VOID:
            self._of_original(original, given_fen=0)

    def _undo(self, entry: Entry) -> bool:
        """Put it back as if it had never been. False: others have built on it, or its batch is
        settled."""
        template = self._dialect.operations.get(entry.operation)
        settled = self._ledger.settled(entry.merchant, entry.terminal, entry.batch)
        closed = settled is not None and settled.closed
        if entry.given_fen or closed or template is None or not template.reversible:
            return False
        self._ledger.change(entry, net_fen=0, held_fen=0, given_fen=0, state=State.REVERSED)
        original = self._ledger.find(entry.original) if entry.original else None
        if original is not None:
            self._leave(original, given_fen=original.given_fen - entry.amount_fen)
            if entry.operation == Operation.COMPLETION_VOID:
                self._of_original(original, given_fen=original.amount_fen)
        return True

    def _leave(self, original: Entry, *, given_fen: int) -> None:
        """So much of an original is taken; what was set aside is free when anything is."""
        held_fen = original.amount_fen if original.operation == Operation.PREAUTH else 0
        self._ledger.change(
            original,
            net_fen=original.net_fen,
            held_fen=0 if given_fen else held_fen,
            given_fen=given_fen,
        )

    def _of_original(self, completion: Entry, *, given_fen: int) -> None:
        """A voided completion leaves its pre-authorisation as it was before it."""
        preauth = self._ledger.find(completion.original) if completion.original else None
        if preauth is not None:
            self._leave(preauth, given_fen=given_fen)


def _amount_fen(asked: Asked) -> int:
    return int(asked.values.get("amount", "0"))


def _net_fen(operation: str, amount_fen: int) -> int:
    if operation in (Operation.PREAUTH, Operation.PREAUTH_VOID):
        return 0
    taken = operation in (Operation.SALE, Operation.QR_SALE, Operation.COMPLETION)
    return amount_fen if taken else -amount_fen


def _fits(operation: Operation, asked: Asked, original: Entry) -> bool:
    amount_fen = _amount_fen(asked)
    if operation in _PARTS:
        return 0 < amount_fen <= original.amount_fen - original.given_fen
    if operation is Operation.COMPLETION:
        return amount_fen * _PERMILLE <= original.amount_fen * _COMPLETION_LIMIT_PERMILLE
    return amount_fen == original.amount_fen


def _pin_is_right(asked: Asked, holder: Holder) -> bool:
    """Decrypt the PIN block and compare; a card that has a PIN pays with nothing else."""
    if not holder.pin:
        return True
    block = asked.values.get("pin_block")
    if block is None or asked.keys is None:
        return False
    clear = primitives.ecb_decrypt(asked.keys.pik, bytes.fromhex(block))
    return clear == primitives.pin_block_0(holder.pin, primitives.account12(asked.pan))
