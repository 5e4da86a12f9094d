"""The bank's own kiosk or counter, sans-IO: asks for bills, pays them with money that the bank has
taken already, takes it back, and settles the day, all by the dialect's section ``origin``.

What it sends goes to the switch's door (docs/inbound.md). It remembers what it did in memory alone.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct, structs

from channels.bank_simulator.entries import WorkingKeys
from channels.bank_simulator.wire import Wire
from channels.bank_simulator.world import TerminalKey
from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Part, Template
from channels.iso8583.errors import RemoteError
from channels.iso8583.hosting import Column, Listing
from channels.iso8583.keyblock import cut_keys
from channels.iso8583.message import Message
from channels.iso8583.rules import approves
from channels.iso8583.template import compiled, filled
from hsm import primitives
from switch.model.operation import Operation

FIRST_BATCH = "000001"
PAYMENTS_MAX = 100_000
"""Payments remembered; the oldest go first (I11)."""
_STANS = 999_999
_KEYED = "012"
_AMOUNTS = frozenset({"amount", "count"})

Do = Literal["sign_on", "query", "pay", "reverse", "settle"]


class Task(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to do at the branch. Amounts in 分."""

    do: Do
    card: str = ""
    """query: the visit card."""
    patient: str = ""
    bill: str = ""
    amount_fen: int = 0
    stan: str = ""
    """reverse: of which payment, the last one if empty; pay: the same message again."""
    within_ms: int = 60_000


class Paid(Struct, frozen=True, kw_only=True):
    """One payment of the branch."""

    batch: str
    stan: str
    amount_fen: int
    bill: str
    state: Literal["unknown", "booked", "refused", "reversed"] = "unknown"
    fields: dict[str, str] = {}
    """As it was sent: what its repeat and its reversal are made of."""
    sent_date: str = ""


class Branch:
    """See the module. ``date_time`` gives YYYYMMDD and hhmmss."""

    def __init__(
        self, dialect: Dialect, key: TerminalKey, date_time: Callable[[], tuple[str, str]]
    ) -> None:
        """Raises ValueError for a dialect in which a bank begins nothing."""
        if dialect.origin is None or dialect.inbound is None:
            raise ValueError(f"dialect {dialect.name} has no section origin")
        self.wire = Wire(dialect)
        self.paid: dict[str, Paid] = {}
        """By batch and STAN."""
        self.batch = FIRST_BATCH
        self._dialect = dialect
        self._origin = dialect.origin
        self._inbound = dialect.inbound
        self._key = key
        self._date_time = date_time
        self._stan = 0
        self._keys: WorkingKeys | None = None

    @property
    def signed_on(self) -> bool:
        """Whether it has keys."""
        return self._keys is not None

    def request(self, task: Task) -> tuple[str, bytes]:
        """Its STAN, and the bytes with their length prefix. Raises ValueError."""
        match task.do:
            case "sign_on":
                return self._plain(self._dialect.network["sign_on"], {})
            case "query":
                return self._query(task)
            case "pay":
                return self._pay(task)
            case "reverse":
                return self._reverse(task)
            case "settle":
                return self._settle()

    def answered(self, task: Task, stan: str, answer: Message | None) -> dict[str, object]:
        """What the answer says, ``{"stan", "code", …}``; None: silence (the code is empty then).
        An answer that does not prove itself is silence. Raises RemoteError: a sign-on without
        keys."""
        if answer is not None and not self._proves(task, answer):
            answer = None
        said: dict[str, object] = {"stan": stan, "code": answer.code if answer else ""}
        if answer is None:
            return said
        good = approves(self._dialect, answer.code)
        if task.do == "sign_on" and good:
            self._take_keys(answer)
        elif task.do == "query" and good:
            said |= _bills(self._origin.listing, answer.fields)
        elif task.do == "pay":
            self._note(stan, "booked" if good else "refused")
            said["receipt"] = answer.fields.get(self._origin.receipt, "") if good else ""
        elif task.do == "reverse" and good:
            self._note(stan, "reversed")
        elif task.do == "settle" and good:
            said["balanced"] = self._balanced(answer)
        return said

    # ---- requests --------------------------------------------------------------------------------

    def _query(self, task: Task) -> tuple[str, bytes]:
        fields = dict(self._origin.query.fields)
        return self._business(self._origin.query, fields, [(self._origin.card, task.card)])[:2]

    def _pay(self, task: Task) -> tuple[str, bytes]:
        """A repeat (its STAN is known) is the same bytes but for the MAC's key."""
        template = self._origin.pay
        known = self.paid.get(self._id(task.stan)) if task.stan else None
        if known is not None:
            return task.stan, self.wire.request(template.mti, known.fields, self._keys)
        date, _ = self._date_time()
        parts = [
            (self._origin.patient, task.patient),
            (self._origin.bill, task.bill),
            (self._origin.date, date[4:]),
        ]
        fields = dict(template.fields) | {"4": f"{task.amount_fen:012d}"}
        stan, data, sent = self._business(template, fields, parts)
        self.paid[self._id(stan)] = Paid(
            batch=self.batch,
            stan=stan,
            amount_fen=task.amount_fen,
            bill=task.bill,
            fields=sent,
            sent_date=date[4:],
        )
        if len(self.paid) > PAYMENTS_MAX:
            del self.paid[next(iter(self.paid))]
        return stan, data

    def _reverse(self, task: Task) -> tuple[str, bytes]:
        last = next(reversed(self.paid.values()), None)
        known = self.paid.get(self._id(task.stan)) if task.stan else last
        if known is None:
            raise ValueError(f"no payment {task.stan} in batch {self.batch}")
        template = self._dialect.reversal.template
        values = {f"F{number}": value for number, value in known.fields.items()}
        values |= {
            "batch": known.batch,
            "sent_date": known.sent_date,
            "sent_time": known.fields.get("12", ""),
            "mti": self._origin.pay.mti,
            "reason": self._dialect.reversal.codes.reason_timeout,
            "pan": known.fields.get("2", ""),
        }
        fields = filled(compiled(template), values)
        return known.stan, self.wire.request(template.mti, fields, self._keys)

    def _settle(self) -> tuple[str, bytes]:
        settlement = self._dialect.settlement
        if settlement is None:
            raise ValueError(f"dialect {self._dialect.name} has no settlement")
        booked = [
            one.amount_fen
            for one in self.paid.values()
            if one.batch == self.batch and one.state == "booked"
        ]
        totals = {
            "debit_count": f"{len(booked):03d}",
            "debit_amount": f"{sum(booked):012d}",
            "credit_count": "000",
            "credit_amount": "0" * 12,
        }
        return self._plain(settlement.request, totals)

    def _plain(self, template: Template, values: Mapping[str, str]) -> tuple[str, bytes]:
        known = self._values()
        fields = filled(compiled(template), known | dict(values))
        return known["stan"], self.wire.request(template.mti, fields, self._keys)

    def _business(
        self, template: Template, fields: Mapping[str, object], parts: list[tuple[Part, str]]
    ) -> tuple[str, bytes, dict[str, str]]:
        """What every payment message of this dialect has (as its sale), and then our own."""
        known = self._values() | {"entry_mode": _KEYED}
        sale = self._dialect.operations[Operation.SALE]
        whole = filled(compiled(sale), known)
        whole |= {number: text for number, text in fields.items() if isinstance(text, str)}
        for part, text in parts:
            _put(whole, part, text)
        if "37" in self._dialect.fields:
            whole["37"] = known["stan"].rjust(12, "0")
        return known["stan"], self.wire.request(template.mti, whole, self._keys), whole

    # ---- answers ---------------------------------------------------------------------------------

    def _proves(self, task: Task, answer: Message) -> bool:
        if not self._dialect.mtis[answer.mti].maced or task.do == "sign_on":
            return True
        if self._dialect.mac.field not in answer.fields:
            return not approves(self._dialect, answer.code)
        return self._keys is not None and self.wire.is_proven(answer, self._keys)

    def _take_keys(self, answer: Message) -> None:
        """Raises RemoteError when there are none: the old ones stay."""
        block = cut_keys(self._dialect, answer.fields)
        tmk = bytes.fromhex(self._key.tmk)
        pik, mak = (
            primitives.ecb_decrypt(tmk, bytes.fromhex(text.removeprefix("X")))
            for text in (block.pik, block.mak)
        )
        part = self._dialect.sign_on.batch
        if part is not None:
            self.batch = answer.fields[part.field][part.at : part.at + part.size]
        if not mak:
            raise RemoteError("keys", "no MAC key")
        self._keys = WorkingKeys(pik=pik, mak=mak, batch=self.batch)

    def _balanced(self, answer: Message) -> bool:
        settlement = self._dialect.settlement
        assert settlement is not None  # it was asked for
        part = settlement.result
        said = answer.fields.get(part.field, "")[part.at : part.at + part.size]
        return said in settlement.balanced

    # ---- small things ----------------------------------------------------------------------------

    def _note(self, stan: str, state: Literal["booked", "refused", "reversed"]) -> None:
        known = self.paid.get(self._id(stan))
        if known is not None and known.state != "reversed":
            self.paid[self._id(stan)] = structs.replace(known, state=state)

    def _id(self, stan: str) -> str:
        return f"{self.batch}/{stan}"

    def _values(self) -> dict[str, str]:
        self._stan = self._stan % _STANS + 1
        date, time = self._date_time()
        return {
            "stan": f"{self._stan:06d}",
            "batch": self.batch,
            "terminal": self._key.terminal,
            "merchant": self._key.merchant,
            "currency": self._dialect.currency,
            "sent_date": date[4:],
            "sent_time": time,
        }


def _put(fields: dict[str, str], part: Part, text: str) -> None:
    """Write a part of a field, the places before it blank. Raises ValueError: it is too long."""
    if len(text) > part.size:
        raise ValueError(f"field {part.field}: more than {part.size} characters")
    before = fields.get(part.field, "")[: part.at].ljust(part.at)
    fields[part.field] = before + text.ljust(part.size)


def _bills(listing: Listing, fields: Mapping[str, str]) -> dict[str, object]:
    """The columns of an answer to a query."""
    coded = fields.get(listing.field, "").encode("gbk")
    head, rest = _columns(listing.head, coded)
    bills = []
    while listing.row and rest.strip():
        bill, rest = _columns(listing.row, rest)
        bills.append(bill)
    return {**head, "bills": bills}


def _columns(columns: tuple[Column, ...], coded: bytes) -> tuple[dict[str, object], bytes]:
    found: dict[str, object] = {}
    at = 0
    for column in columns:
        text = coded[at : at + column.size].decode("gbk", "replace").strip()
        found[column.name] = int(text or 0) if column.name in _AMOUNTS else text
        at += column.size
    return found, coded[at:]
