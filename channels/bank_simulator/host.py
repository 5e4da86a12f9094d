"""The bank host itself, sans-IO: a frame in, answers with their delays out.

It does what a real host does: signs terminals on with fresh keys under their TMK, believes no MAC
and no PIN it has not checked, knows a sale by (merchant, terminal, batch, STAN), and reverses once.
What it answers may leave only after ``ledger.commit()`` (the caller batches that over a turn).
"""

import time
from collections.abc import Callable, Mapping
from random import Random

from channels.bank_simulator.chip import ChipIssuer
from channels.bank_simulator.habits import Habit, Habits, Name, On
from channels.bank_simulator.ledger import Entry, Key, Ledger, State, WorkingKeys
from channels.bank_simulator.world import ISSUED, Holder, Issuer, World
from channels.iso8583.codec import Codec
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import RemoteError
from channels.iso8583.mac import BLANK, FOLDS, MAC_CHARS
from channels.iso8583.message import Message
from channels.iso8583.recognise import Recogniser
from channels.iso8583.rules import check_complete
from hsm import primitives
from switch.net.frames import framed

Answers = list[tuple[int, bytes]]
"""(delay in ms, bytes for the wire with their length prefix), in order."""

FIRST_BATCH = "000001"
_PIK_BYTES = 16
_MAK_BYTES = 8


class BankHost:
    """One bank. ``random`` seeds its keys and its chances; ``now_ms`` is the epoch time."""

    def __init__(
        self,
        *,
        dialect: Dialect,
        world: World,
        ledger: Ledger,
        random: Random,
        now_ms: Callable[[], int],
    ) -> None:
        self.ledger = ledger
        self.habits = Habits(random.random)
        self.counts: dict[str, int] = {}
        self.hang_up = False
        """The link must be dropped after the answers; the caller does it and clears this."""
        self._dialect = dialect
        self._codec = Codec(dialect)
        self._recogniser = Recogniser(dialect)
        self._fold = FOLDS[dialect.mac.rule]
        self._tmks = {(t.merchant, t.terminal): bytes.fromhex(t.tmk) for t in world.terminals}
        self._issuer = Issuer(world)
        self._chips = ChipIssuer(world)
        self._random = random
        self._now_ms = now_ms

    def receive(self, frame: bytes) -> Answers:
        """One frame without its length prefix. A frame that is none is answered by silence."""
        if not frame:
            return []
        try:
            message = self._codec.decode(frame)
            check_complete(self._dialect, message)
        except RemoteError:
            self._count("not_understood")
            return []
        on = self._kind(message)
        if on is None:
            self._count("unknown_type")
            return []
        self._count(on)
        habit = self.habits.draw(on)
        if habit is not None:
            self._count(f"habit_{habit.habit}")
            if habit.habit is Name.LOSE:
                return []
        return self._answer(on, message, habit)

    def debits(self) -> dict[str, object]:
        """What ``GET /ledger`` shows: debits and reversals, no card numbers."""
        rows: list[dict[str, object]] = []
        net_fen = 0
        for entry in self.ledger.entries():
            entry_net_fen = entry.amount_fen if entry.state is State.DEBITED else 0
            net_fen += entry_net_fen
            row = {
                "merchant": entry.merchant,
                "terminal": entry.terminal,
                "batch": entry.batch,
                "stan": entry.stan,
                "date": entry.date,
                "rrn": entry.rrn,
                "amount_fen": entry.amount_fen,
                "state": str(entry.state),
                "net_fen": entry_net_fen,
            }
            rows.append(row)
        return {"debits": rows, "net_fen": net_fen}

    # ---- by kind of message ----------------------------------------------------------------------

    def _kind(self, message: Message) -> On | None:
        kind = self._recogniser.kind(message)
        return _KINDS.get(kind)

    def _answer(self, on: On, message: Message, habit: Habit | None) -> Answers:
        if _terminal(message) not in self._tmks:
            return self._send(message, {"39": "97"}, None, None)
        if on is On.SIGN_ON:
            return self._send(message, self._sign_on(message, habit), None, habit)
        if on is On.ECHO:
            return self._send(message, {"39": "00"}, None, habit)
        keys = self.ledger.keys(*_terminal(message))
        if keys is None or not self._mac_is_right(message, keys):
            return self._send(message, {"39": "A0"}, None, None)
        if on is On.SALE:
            fields = self._sale(message, keys, habit)
        elif on is On.BALANCE:
            fields = self._balance(message, keys)
        else:
            fields = self._reversal(message, habit)
        return self._send(message, fields, keys, habit)

    def _sign_on(self, message: Message, habit: Habit | None) -> dict[str, str]:
        """Fresh keys, under the terminal's TMK, in field 62."""
        if habit is not None and habit.habit is Name.DECLINE:
            return {"39": habit.code}
        merchant, terminal = _terminal(message)
        tmk = self._tmks[merchant, terminal]
        pik, mak = self._new_key(_PIK_BYTES), self._new_key(_MAK_BYTES)
        old = self.ledger.keys(merchant, terminal)
        batch = old.batch if old else FIRST_BATCH
        self.ledger.set_keys(merchant, terminal, WorkingKeys(pik=pik, mak=mak, batch=batch))
        kcv = primitives.check_value(pik)[:4]
        if habit is not None and habit.habit is Name.WRONG_KCV:
            kcv = bytes(byte ^ 0xFF for byte in kcv)
        block = primitives.ecb_encrypt(tmk, pik) + kcv
        block += primitives.ecb_encrypt(tmk, mak) + bytes(_PIK_BYTES - _MAK_BYTES)
        block += primitives.check_value(mak)[:4]
        return {
            "39": "00",
            "32": "01020304",
            "37": self.ledger.next_rrn(),
            "60": f"00{batch}003",
            "62": block.hex().upper(),
        }

    def _sale(self, message: Message, keys: WorkingKeys, habit: Habit | None) -> dict[str, str]:
        key = self._key(message, message.fields["60"][2:8])
        if key[2] != keys.batch:
            return {"39": "77"}
        known = self.ledger.find(key)
        holder = self._issuer.holder(message.fields.get("2", ""))
        if known is not None:
            fields = self._again(known)
            return fields | self._chips.answer(message, holder, fields["39"], habit)
        code = self._judge(message, keys)
        if code == "00":
            code = self._chips.judge(message, holder)
        if code == "00" and habit is not None and habit.habit is Name.DECLINE:
            code = habit.code
        state = State.DEBITED if code == "00" else State.DECLINED
        entry = self._book(key, message, state, code)
        if habit is not None and habit.habit is Name.ANSWER_94:
            return {"39": "94"}
        fields = {"39": code, "37": entry.rrn, "15": entry.date[4:]}
        fields |= self._chips.answer(message, holder, code, habit)
        if code == "00":
            fields["44"] = "01020000   01030000   "
        return fields

    def _again(self, known: Entry) -> dict[str, str]:
        """The same sale a second time moves nothing; a buried one never does."""
        if known.state is State.TOMBSTONE:
            return {"39": "12"}
        if known.state is State.REVERSED:
            return {"39": "94"}
        return {"39": known.code, "37": known.rrn, "15": known.date[4:]}

    def _book(self, key: Key, message: Message, state: State, code: str) -> Entry:
        holder = self._issuer.holder(message.fields.get("2", ""))
        merchant, terminal, batch, stan = key
        entry = Entry(
            merchant=merchant,
            terminal=terminal,
            batch=batch,
            stan=stan,
            date=self._date_time()[0],
            amount_fen=int(message.fields["4"]),
            state=state,
            code=code,
            rrn=self.ledger.next_rrn(),
            card=holder.name if holder else "",
        )
        self.ledger.add(entry)
        return entry

    def _judge(self, message: Message, keys: WorkingKeys) -> str:
        """The issuer's word: 14 no such card, 55 wrong PIN, 51 not enough money, 00."""
        holder = self._issuer.holder(message.fields.get("2", ""))
        if holder is None:
            return "14"
        if not _pin_is_right(message, keys.pik, holder):
            return "55"
        return "00" if int(message.fields.get("4", "0")) <= self._free_fen(holder) else "51"

    def _free_fen(self, holder: Holder) -> int:
        if holder.name == ISSUED:
            return holder.balance_fen
        return holder.balance_fen - self.ledger.spent_fen(holder.name)

    def _balance(self, message: Message, keys: WorkingKeys) -> dict[str, str]:
        code = self._judge(message, keys)
        fields = {"39": code, "37": self.ledger.next_rrn()}
        holder = self._issuer.holder(message.fields.get("2", ""))
        if code == "00" and holder is not None:
            free_fen = self._free_fen(holder)
            sign = "D" if free_fen < 0 else "C"
            fields["54"] = f"1002156{sign}{abs(free_fen):012d}"
        return fields

    def _reversal(self, message: Message, habit: Habit | None) -> dict[str, str]:
        """00 when it is undone, now or before; 25 when the sale was never seen."""
        if habit is not None and habit.habit is Name.DECLINE:
            return {"39": habit.code}
        original = message.fields["61"]
        key = self._key(message, original[:6])
        known = self.ledger.find((*key[:3], original[6:12]))
        if known is None or known.state is State.TOMBSTONE:
            if known is None and self.habits.tombstone:
                self._book(key, message, State.TOMBSTONE, "25")
            forgets = habit is not None and habit.habit is Name.FORGET_REVERSAL
            return {"39": "00" if forgets else "25"}
        if known.amount_fen != int(message.fields["4"]):
            return {"39": "64"}
        if known.state is State.DEBITED:
            self.ledger.reverse(known)
        return {"39": "00", "37": known.rrn}

    # ---- answers ---------------------------------------------------------------------------------

    def _send(
        self,
        message: Message,
        fields: Mapping[str, str],
        keys: WorkingKeys | None,
        habit: Habit | None,
    ) -> Answers:
        """Echo, add, MAC, and misbehave if told to."""
        rule = self._dialect.mtis[message.mti]
        answer = {n: message.fields[n] for n in self._dialect.answers.echo if n in message.fields}
        date, now = self._date_time()
        answer |= {"12": now, "13": date[4:], **fields}
        name = habit.habit if habit is not None else None
        if name is Name.WRONG_AMOUNT_ECHO and "4" in answer:
            answer["4"] = f"{(int(answer['4']) + 1) % 10**12:012d}"
        if name is Name.WRONG_STAN and "11" in answer:
            answer["11"] = f"{(int(answer['11']) + 500_000) % 1_000_000:06d}"
        if keys is not None and rule.maced:
            answer[self._dialect.mac.field] = BLANK
        data = self._codec.answer(message, rule.answer, answer)
        if keys is not None and rule.maced:
            data = data[:-MAC_CHARS] + self._mac(data, keys.mak)
        if name is Name.WRONG_MAC:
            data = data[:-1] + (b"0" if data[-1:] != b"0" else b"1")
        return self._misbehave(framed(data, self._dialect.length_prefix), habit)

    def _misbehave(self, data: bytes, habit: Habit | None) -> Answers:
        if habit is None:
            return [(0, data)]
        match habit.habit:
            case Name.SILENT:
                return []
            case Name.LATE:
                return [(habit.delay_ms, data)]
            case Name.DUPLICATE:
                return [(0, data), (habit.delay_ms, data)]
            case Name.HALF_FRAME:
                self.hang_up = True
                return [(0, data[: len(data) // 2])]
            case Name.DROP_LINK:
                self.hang_up = True
                return []
            case Name.SLOW_DRIP:
                return [(at * habit.delay_ms, data[at : at + 1]) for at in range(len(data))]
            case _:
                return [(0, data)]

    def _mac_is_right(self, message: Message, keys: WorkingKeys) -> bool:
        mac = message.fields.get(self._dialect.mac.field, "").encode()
        return mac == self._keyed(self._fold(message.mab), keys.mak)

    def _mac(self, encoded: bytes, mak: bytes) -> bytes:
        return self._keyed(self._fold(self._codec.mab(encoded, MAC_CHARS)), mak)

    def _keyed(self, folded: bytes, mak: bytes) -> bytes:
        return primitives.cbc_mac(mak, folded).hex().upper()[:MAC_CHARS].encode()

    # ---- small things ----------------------------------------------------------------------------

    def _new_key(self, size: int) -> bytes:
        while True:
            key = primitives.odd_parity(self._random.randbytes(size))
            if not primitives.is_weak(key):
                return key

    def _key(self, message: Message, batch: str) -> Key:
        merchant, terminal = _terminal(message)
        return (merchant, terminal, batch, message.fields["11"])

    def _date_time(self) -> tuple[str, str]:
        now = time.localtime(self._now_ms() / 1000)
        return time.strftime("%Y%m%d", now), time.strftime("%H%M%S", now)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


_KINDS = {str(on): on for on in On}


def _terminal(message: Message) -> tuple[str, str]:
    return message.fields.get("42", ""), message.fields.get("41", "")


def _pin_is_right(message: Message, pik: bytes, holder: Holder) -> bool:
    """Decrypt field 52 and compare; a sale without a PIN is not taken."""
    block = message.fields.get("52")
    if block is None:
        return False
    clear = primitives.ecb_decrypt(pik, bytes.fromhex(block))
    account = primitives.account12(message.fields["2"])
    return clear == primitives.pin_block_0(holder.pin, account)
