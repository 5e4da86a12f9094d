"""批结算 at the bank: totals compared, transactions uploaded one by one when they differ.

A batch whose totals agree is closed at once; one whose totals differ stays open for its upload, is
compared transaction by transaction at the upload's end, and is closed then. A closed batch takes no
business and no reversal; the next sign-on names the next one.
"""

from msgspec import structs

from channels.bank_simulator import asked as codes
from channels.bank_simulator.asked import Asked
from channels.bank_simulator.entries import GIVES, TAKES, Settled, Totals
from channels.bank_simulator.habits import Name
from channels.bank_simulator.ledger import Ledger, totals
from channels.iso8583.dialect import Dialect

_BATCHES = 999_999
_UNBALANCED = "2"
"""Where the dialect does not say it for hosts."""


class Settling:
    """See the module."""

    def __init__(self, dialect: Dialect, ledger: Ledger) -> None:
        self._dialect = dialect
        self._ledger = ledger

    def totals(self, asked: Asked) -> dict[str, str]:
        """The answer to totals: the request's own field with our word in it."""
        settlement = self._dialect.settlement
        assert settlement is not None  # recognised by it
        if asked.refused:
            return {"39": asked.refused}
        owner = (asked.merchant, asked.terminal, asked.batch)
        before = self._ledger.settled(*owner)
        claimed = _claimed(asked)
        balanced = claimed == totals(self._ledger.batch(*owner))
        balanced = balanced and not asked.misbehaves(Name.WRONG_TOTALS)
        if before is None or not before.closed:
            settled = Settled(
                merchant=asked.merchant,
                terminal=asked.terminal,
                batch=asked.batch,
                claimed=claimed,
                balanced=balanced,
                closed=self._closes(balanced),
            )
            self._keep(settled)
        inbound = self._dialect.inbound
        unbalanced = inbound.unbalanced if inbound is not None else _UNBALANCED
        word = min(settlement.balanced) if balanced else unbalanced
        said = asked.message.fields.get(settlement.result.field, "")
        at, end = settlement.result.at, settlement.result.at + settlement.result.size
        return {
            "39": codes.APPROVED,
            settlement.result.field: said[:at].ljust(at, "0") + word + said[end:],
        }

    def upload(self, asked: Asked) -> dict[str, str]:
        """One transaction of a batch whose totals differ."""
        if asked.refused:
            return {"39": asked.refused}
        values = asked.values
        batch = values.get("original_batch") or asked.batch
        key = (asked.merchant, asked.terminal, batch, values.get("original_F11", ""))
        self._ledger.upload(key, int(values.get("original_F4", "0")))
        return {"39": codes.APPROVED}

    def upload_end(self, asked: Asked) -> dict[str, str]:
        """That was all: compare again, transaction by transaction, and close."""
        if asked.refused:
            return {"39": asked.refused}
        owner = (asked.merchant, asked.terminal, asked.batch)
        settled = self._ledger.settled(*owner)
        if settled is None:
            return {"39": codes.NOT_FOUND}
        if settled.closed:
            return {"39": codes.APPROVED}
        uploads = self._ledger.uploads(*owner)
        ours = {
            entry.stan: entry.amount_fen
            for entry in self._ledger.batch(*owner)
            if entry.operation in TAKES | GIVES
        }
        differing = {stan for stan, amount_fen in ours.items() ^ uploads.items()}
        self._keep(
            structs.replace(
                settled,
                balanced=not differing,
                closed=True,
                uploads=len(uploads),
                differences=tuple(sorted(differing)),
            )
        )
        return {"39": codes.APPROVED}

    def _closes(self, balanced: bool) -> bool:
        """Where there are no batches there is nothing to close."""
        settlement = self._dialect.settlement
        has_end = settlement is not None and settlement.upload_end is not None
        return self._dialect.sign_on.batch is not None and (balanced or not has_end)

    def _keep(self, settled: Settled) -> None:
        self._ledger.settle(settled)
        owner = (settled.merchant, settled.terminal)
        keys = self._ledger.keys(*owner)
        if settled.closed and keys is not None and keys.batch == settled.batch:
            following = f"{int(settled.batch) % _BATCHES + 1:06d}"
            self._ledger.set_keys(*owner, structs.replace(keys, batch=following))


def _claimed(asked: Asked) -> Totals:
    values = asked.values
    return Totals(
        debit_count=int(values.get("debit_count", "0")),
        debit_fen=int(values.get("debit_amount", "0")),
        credit_count=int(values.get("credit_count", "0")),
        credit_fen=int(values.get("credit_amount", "0")),
    )
