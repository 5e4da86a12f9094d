"""The bank host itself, sans-IO: a frame in, answers with their delays out.

It does what a real host does: signs terminals on with fresh keys under their TMK, believes no MAC
and no PIN it has not checked, keeps a book of every business, and reverses once. What it answers
may leave only after ``ledger.commit()`` (the caller batches that over a turn). Which message is
which, where its values stand and what an answer repeats is the dialect's to say.
"""

import time
from collections.abc import Callable, Mapping
from random import Random

from channels.bank_simulator import asked as codes
from channels.bank_simulator.asked import Asked, Reader
from channels.bank_simulator.chip import ChipIssuer
from channels.bank_simulator.counter import Counter
from channels.bank_simulator.entries import Notice, WorkingKeys
from channels.bank_simulator.habits import Habits, Name
from channels.bank_simulator.keyring import Keyring, Owner
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.pushes import DAY_CUT_START, KEY_RESET, Pushes
from channels.bank_simulator.settling import Settling
from channels.bank_simulator.sight import Seen, Watch
from channels.bank_simulator.statement import statement
from channels.bank_simulator.wire import Answers, Wire
from channels.bank_simulator.world import Issuer, World
from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Template
from channels.iso8583.errors import RemoteError
from channels.iso8583.message import Message
from channels.iso8583.recognise import (
    REVERSAL,
    SCRIPT_NOTICE,
    SETTLEMENT,
    UPLOAD,
    UPLOAD_END,
    Recogniser,
)
from channels.iso8583.rules import check_complete
from channels.iso8583.template import compiled, filled
from switch.model.chip import SCRIPT_RESULTS, ChipError, parse
from switch.model.operation import Operation

_SIGN_ON, _SIGN_OFF, _KEY_REQUEST = "sign_on", "sign_off", "key_request"
_NETWORK = frozenset({_SIGN_ON, _SIGN_OFF, _KEY_REQUEST, "echo"})
_DAY_S = 86_400


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
        self.watch: Watch | None = None
        """Is told of every message, when somebody looks."""
        self.keyring = Keyring(dialect, world, ledger, random, now_ms)
        self.dialect = dialect
        self._wire = Wire(dialect)
        self.codec = self._wire.codec
        self._recogniser = Recogniser(dialect)
        self._reader = Reader(dialect)
        self._now_ms = now_ms
        settling = Settling(dialect, ledger)
        self.chips = ChipIssuer(world)
        counter = Counter(
            dialect=dialect,
            ledger=ledger,
            issuer=Issuer(world),
            chips=self.chips,
            habits=self.habits,
            date=self.date,
        )
        self._departments: dict[str, Callable[[Asked], dict[str, str]]] = {
            **dict.fromkeys(map(str, Operation), counter.business),
            Operation.BALANCE: counter.balance,
            REVERSAL: counter.reversal,
            SETTLEMENT: settling.totals,
            UPLOAD: settling.upload,
            UPLOAD_END: settling.upload_end,
            SCRIPT_NOTICE: self._notice,
        }
        self._signed_off: set[Owner] = set()
        self._said = {
            kind: compiled(Template(mti="", fields=template.answer))
            for kind, template in dialect.network.items()
        }
        self.pushes = Pushes(dialect, self._wire, self.keyring, self._date_time)

    @property
    def hang_up(self) -> bool:
        """The link must be dropped after the answers; the caller does it and clears this."""
        return self._wire.hangs_up

    @hang_up.setter
    def hang_up(self, value: bool) -> None:
        self._wire.hangs_up = value

    def receive(self, frame: bytes) -> Answers:
        """One frame without its length prefix. A frame that is none is answered by silence."""
        if not frame:
            return []
        try:
            message = self.codec.decode(frame)
            check_complete(self.dialect, message)
        except RemoteError as error:
            self._count("not_understood")
            self._show(Seen(kind="", why=str(error)))
            return []
        kind = self._recogniser.kind(message)
        if kind and not self.dialect.mtis[message.mti].answer:
            return self._answered(kind, message)
        if kind not in _NETWORK and kind not in self._departments:
            self._count("unknown_type")
            self._show(Seen(kind="", mti=message.mti, why="no business of this dialect"))
            return []
        self._count(kind)
        habit = self.habits.draw(kind)
        asked = self._reader.asked(kind, message, habit)
        if habit is not None:
            self._count(f"habit_{habit.habit}")
            if habit.habit is Name.LOSE:
                self._show(Seen.of(asked, {}))
                return []
        return self._answer(asked)

    def push(self, kind: str, owner: Owner, *, wrong_kcv: bool = False) -> Answers:
        """Begin a message of this kind; with ``day_cut_start`` the day turns. Nothing where the
        dialect has none."""
        habit = self.habits.draw(kind)
        if kind == KEY_RESET:
            wrong_kcv = wrong_kcv or (habit is not None and habit.habit is Name.WRONG_KCV)
            sent = self.pushes.keys(owner, wrong=wrong_kcv)
        else:
            sent = self.pushes.send(kind, owner)
        if sent and kind == DAY_CUT_START:
            self.cut_over()
        return self._sent(kind, [one for _, data in sent for one in self._wire.spoilt(data, habit)])

    def debits(self) -> dict[str, object]:
        """What ``GET /ledger`` shows."""
        return statement(self.ledger)

    def date(self) -> str:
        """The settlement date, YYYYMMDD: the calendar's, or that of a day cut before its time."""
        return max(self.ledger.day, self._date_time()[0])

    def cut_over(self) -> str:
        """The day turns now."""
        today = time.mktime(time.strptime(self.date(), "%Y%m%d"))
        following = time.strftime("%Y%m%d", time.localtime(today + _DAY_S * 3 // 2))
        self.ledger.cut_day(following)
        return following

    # ---- by kind of message ----------------------------------------------------------------------

    def _answer(self, asked: Asked) -> Answers:
        owner = self._owner(asked)
        if not self.keyring.knows(owner):
            return self._send(asked, {"39": codes.UNKNOWN_TERMINAL})
        if asked.misbehaves(Name.CUT_OVER):
            self.cut_over()
        if asked.misbehaves(Name.FORGET_KEYS):
            self.keyring.forget(owner)
        first = self.push(KEY_RESET, owner) if asked.misbehaves(Name.RESET_KEYS) else []
        if asked.kind in _NETWORK:
            return [*first, *self._network(asked, owner)]
        newest = self.ledger.keys(*owner)
        maced = self.dialect.mtis[asked.message.mti].maced
        asked.keys = self._proven(asked.message, owner) if maced else newest
        if maced and asked.keys is None:
            fields = {"39": codes.WRONG_MAC}
        elif newest is None or owner in self._signed_off:
            fields = {"39": codes.NOT_SIGNED_ON}
        else:
            fields = self._departments[asked.kind](asked)
        return [*first, *self._send(asked, fields)]

    def _network(self, asked: Asked, owner: Owner) -> Answers:
        if asked.refused:
            return self._send(asked, {"39": asked.refused})
        fields: dict[str, str] = {}
        pushed: Answers = []
        if asked.kind == _SIGN_ON:
            self._signed_off -= {owner} if self.keyring.at_sign_on else set(self.keyring.owners)
            if self.keyring.at_sign_on:
                fields = self._keys_given(asked, owner)
            elif self.ledger.keys(*owner) is None and _KEY_REQUEST not in self.dialect.network:
                pushed = self.push(KEY_RESET, owner)
        elif asked.kind == _SIGN_OFF:
            self._signed_off.update([owner] if self.keyring.at_sign_on else self.keyring.owners)
        elif asked.kind == _KEY_REQUEST:
            pushed = self.push(KEY_RESET, owner)
        said = filled(self._said[asked.kind], {**asked.values, "batch": self._batch(owner)})
        answer = {"39": codes.APPROVED, **said, **fields}
        return [*self._send(asked, answer), *pushed]

    def _keys_given(self, asked: Asked, owner: Owner) -> dict[str, str]:
        """A sign-on: fresh keys under the terminal's TMK, and from now on no others."""
        keys = self.keyring.fresh(owner)
        self.keyring.adopt(owner, keys)
        fields = self.keyring.fields(owner, keys, wrong=asked.misbehaves(Name.WRONG_KCV))
        return {"32": "01020304", "37": self.ledger.next_rrn(), **fields}

    def _notice(self, asked: Asked) -> dict[str, str]:
        """脚本结果通知: remembered; it moves nothing."""
        if asked.refused:
            return {"39": asked.refused}
        try:
            chip = dict(parse(bytes.fromhex(asked.message.fields.get("55", ""))))
        except ChipError:
            return {"39": codes.FORMAT}
        original = asked.values.get("original_F11", "")
        notice = Notice(
            merchant=asked.merchant,
            terminal=asked.terminal,
            batch=asked.values.get("original_batch") or asked.batch,
            stan=asked.values.get("stan", ""),
            original_stan=original,
            result=chip.get(SCRIPT_RESULTS, b"").hex().upper(),
        )
        self.ledger.notice(notice)
        return {"39": codes.APPROVED}

    def _answered(self, kind: str, message: Message) -> Answers:
        """The switch answers something we sent."""
        self._count(f"{kind}_answer")
        self._show(Seen(kind=kind, mti=message.mti, code=message.code, answer=True))
        return self._sent(kind, self.pushes.answered(kind, message))

    def _sent(self, kind: str, answers: Answers) -> Answers:
        if answers:
            self._count(f"{kind}_sent")
            self._show(Seen(kind=kind, mti=self.dialect.network[kind].mti, sent=True))
        return answers

    # ---- answers ---------------------------------------------------------------------------------

    def _send(self, asked: Asked, fields: Mapping[str, str]) -> Answers:
        """Echo, add, MAC, and misbehave if told to."""
        request, dialect = asked.message.fields, self.dialect
        answer = {n: request[n] for n in dialect.answers.echo if n in request}
        date, now = self._date_time()
        answer |= {"12": now, "13": date[4:]}
        answer |= {n: value for n, value in fields.items() if n in dialect.fields}
        if self.watch is not None:
            self.watch(Seen.of(asked, answer))
        data = self._wire.answer(asked.message, answer, asked.keys, asked.habit)
        return self._wire.spoilt(data, asked.habit)

    def _proven(self, message: Message, owner: Owner) -> WorkingKeys | None:
        """The keys its MAC was made with."""
        for keys in self.keyring.candidates(owner):
            if self._wire.is_proven(message, keys):
                return keys
        return None

    # ---- small things ----------------------------------------------------------------------------

    def _owner(self, asked: Asked) -> Owner:
        """Whose keys it is under; the first one where the message names no terminal."""
        owner = (asked.merchant, asked.terminal)
        if owner == ("", "") and self.keyring.owners:
            return self.keyring.owners[0]
        return owner

    def _batch(self, owner: Owner) -> str:
        keys = self.ledger.keys(*owner)
        return keys.batch if keys else ""

    def _date_time(self) -> tuple[str, str]:
        now = time.localtime(self._now_ms() / 1000)
        return time.strftime("%Y%m%d", now), time.strftime("%H%M%S", now)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _show(self, seen: Seen) -> None:
        if self.watch is not None:
            self.watch(seen)
