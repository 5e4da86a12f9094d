"""One switch node: the real engine, the real bank channel, the real HIS client, on one process.

What the composition root does (build, recover, beat) is done here in a few lines; the rest is the
product's own code.
"""

import time
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from msgspec import Struct, convert
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from channels.iso8583 import bank as bank_module
from channels.iso8583 import channel as channel_module
from channels.iso8583.channel import BankChannel
from channels.iso8583.codec import Codec
from channels.iso8583.config import ClientLink, SettlementConfig, TerminalConfig, UndoConfig
from channels.iso8583.config import Config as BankConfig
from channels.iso8583.dialect import Dialect, KeyLayout, Span
from channels.iso8583.load import load_dialect
from channels.kiosk.config import KioskConfig
from channels.kiosk.finisher import Finisher, Link
from his_bridge.breaker import BreakerSettings
from his_bridge.config import HospitalConfig
from his_bridge.hospital import Hospital
from his_bridge.policy import Level
from his_bridge.profile_file import load_profile
from switch.engine import Engine, Limits, Route
from switch.jobs.notices import NoticeJob
from switch.jobs.settlement import Settlement
from switch.model.outcome import Reply
from switch.model.payment import Payment, RungKind
from switch.ports import CommitResult, JournalDown, Write
from switch.store.memory import MemoryDatabase, MemoryJournal
from switch.timeline import ReactorTimeline
from tests.sim.key_service import SimKeyService
from tests.sim.mix import Mix
from tests.sim.process import Mortal

BANK_PORT, HIS_PORT = 8583, 8080
EPOCH_S = 1_784_700_000.0
"""Virtual time begins in July 2026."""
DAY_TURNS_AT_S = 120.0
ANNOUNCED_S = (60.0, 120.0, 180.0)
"""Of a bank that announces it: the earliest moment, the calendar's, and the last."""
LEASE_MS = 30_000
BEAT_S = 10.0
SWEEP_MS = 20_000

BANK = BankConfig(
    dialect="cup-pos",
    links=(
        ClientLink(host="127.0.0.1", port=BANK_PORT),
        ClientLink(host="127.0.0.1", port=BANK_PORT),
    ),
    terminals=tuple(
        TerminalConfig(
            merchant=merchant,
            terminal=terminal,
            clearing=clearing,
            tmk="U00000000000000000000000000000000",
            in_flight=2,
        )
        for merchant, terminal, clearing in (
            ("898330180620001", "10000001", "outpatient"),
            ("898330180620001", "10000002", "outpatient"),
            ("898330180620002", "20000001", "inpatient"),
        )
    ),
    pin_required=True,
    cutover="23:00",
    connect_timeout_ms=5_000,
    reconnect_first_ms=500,
    reconnect_ceiling_ms=20_000,
    response_timeout_ms=30_000,
    echo_idle_ms=120_000,
    echo_timeout_ms=10_000,
    sign_on_retry_ms=5_000,
    frame_limit_bytes=2_048,
    frame_timeout_ms=70_000,
    in_flight_limit=8,
    queue_limit=8,
    queue_wait_ms=8_000,
    terminal_share_ms=2_000,
    stan_block=4,
    expired_limit=1_000,
    max_wrong_macs=3,
    key_max_age_ms=86_400_000,
    clock_skew_alarm_ms=60_000,
    not_found_waits_ms=(60_000, 600_000),
    reversal_waits_ms=(2_000, 5_000, 15_000, 40_000),
)
LADDER = (RungKind.REVERSAL, RungKind.VOID, RungKind.REFUND)
SETTLEMENT = SettlementConfig(deadline_ms=60_000, waits_ms=(5_000, 20_000), tries=3)
KIOSKS = KioskConfig(
    bind="127.0.0.1",
    port=0,
    enrol_port=0,
    pki="",
    businesses={},
    connections_max=8,
    handshake_timeout_ms=5_000,
    silence_timeout_ms=60_000,
    terminal_timeout_ms=100_000,
    heartbeat_ms=20_000,
    finish_timeout_ms=15_000,
    finish_ask_times=4,
    finish_ask_wait_ms=3_000,
    message_bytes_max=65_536,
    in_flight_max=16,
    outgoing_bytes_max=65_536,
    registry_check_ms=1_000,
    enrol_connections_max=1,
    enrol_timeout_ms=1_000,
    enrol_tries_per_minute=1,
)
LIMITS = Limits(
    payments_in_flight=64,
    answer_wait_ms=60_000,
    payment_deadline_ms=150_000,
    recovery_every_ms=SWEEP_MS,
    recovery_batch=50,
)
ROUTES = [
    Route(hospital="h1", business=business, medium=medium, channel="bank")
    for business, medium in (
        ("outpatient_bill", "bank_card"),
        ("inpatient_deposit", "bank_card"),
        ("pos_sale", "bank_card"),
        ("pos_sale", "qr_code"),
        ("pos_preauth", "bank_card"),
    )
]

PROFILE = load_profile("demo-h1")
DIALECTS = ("cup-pos", "gz-ascii", "zj-bcd", "cups-host")


@cache
def _dialect(name: str) -> Dialect:
    """As its file says. Of a host's key resets also those that bring a check value: the file leaves
    them out, because none was published."""
    dialect = load_dialect(name)
    if dialect.sign_on.brings_keys:
        return dialect
    key = KeyLayout(length=20, key=Span(at=0, size=16), key_kcv=Span(at=16, size=4))
    first, *others = dialect.keys
    return replace(dialect, keys=(replace(first, layouts=(*first.layouts, key)), *others))


@cache
def codec_of(dialect: str) -> Codec:
    """Compiled once, as a process does."""
    return Codec(_dialect(dialect))


@cache
def bank_config(
    dialect: str, undo: RungKind, after_approval: RungKind, *, day_turns: bool
) -> BankConfig:
    """The bank of a world that speaks it. ``undo``: its ladder's last rung. ``day_turns``: at its
    second minute."""
    settles = _dialect(dialect).settlement is not None
    ladder = LADDER[: LADDER.index(undo) + 1]
    config = replace(
        BANK,
        dialect=dialect,
        settlement=SETTLEMENT if settles else None,
        undo=convert({"ladder": ladder, "after_approval": after_approval}, UndoConfig),
    )
    if not day_turns:
        return config
    first_s, by_clock_s, last_s = ANNOUNCED_S if announces_day(dialect) else (DAY_TURNS_AT_S,) * 3
    return replace(
        config,
        cutover=_clock(by_clock_s),
        cutover_earliest=_clock(first_s),
        cutover_latest=_clock(last_s),
    )


def announces_day(dialect: str) -> bool:
    """The bank says itself that its day has turned."""
    return "day_cut_end" in _dialect(dialect).network


def _clock(at_s: float) -> str:
    return time.strftime("%H:%M", time.localtime(EPOCH_S + at_s))


class DatabaseFaults:
    """The road between a node and its database."""

    def __init__(self, random: Random, mix: Mix, now: Callable[[], float]) -> None:
        self.down_until = 0.0
        self._random = random
        self._mix = mix
        self._now = now

    def down(self) -> bool:
        return self._now() < self.down_until

    def commit_ms(self) -> int:
        slow = self._random.random() < self._mix.db_slow
        return self._random.randint(100, 5_000) if slow else 1

    def tell_ms(self) -> int:
        lost = self._random.random() < self._mix.tell_lost
        return self._random.randint(500, 10_000) if lost else 0


class NodeJournal(MemoryJournal):
    """The journal of a process that may die before or after any commit."""

    process: Mortal

    async def commit(self, write: Write) -> CommitResult:
        await self.process.breath("before commit")
        result = await super().commit(write)
        await self.process.breath("after commit")
        return result


class Context(Struct, kw_only=True):
    """ports.Context."""

    timeline: Any
    reactor: Any
    key_service: Any
    numbers: Any
    keys: Any
    terminals: Any
    batches: Any
    notices: Any
    bank_days: Any
    late: Any
    random: Any


class Node:
    """A started process. Everything here is gone with it."""

    def __init__(
        self,
        process: Mortal,
        database: MemoryDatabase,
        faults: DatabaseFaults,
        random: Random,
        mix: Mix,
        now: Callable[[], float],
        link_of: Callable[["Node", str], Link | None],
    ) -> None:
        self.process = process
        timeline = ReactorTimeline(process, now, lambda: EPOCH_S + now())
        self.journal = NodeJournal(database, timeline, process.name, LEASE_MS, faults)
        self.journal.process = process
        context = Context(
            timeline=timeline,
            reactor=process,
            key_service=SimKeyService(process, random, mix),
            numbers=self.journal.numbers,
            keys=self.journal.keys,
            terminals=self.journal.terminals,
            batches=self.journal.batches,
            notices=self.journal.notices,
            bank_days=self.journal.bank_days,
            late=self,
            random=random.random,
        )
        config = bank_config(
            mix.dialect, mix.undo, mix.undo_after_approval, day_turns=mix.day_turns
        )
        self.bank = BankChannel("bank", config, context)
        self.his = Hospital("his", PROFILE, his_config(mix.his_level), context)
        self.engine = Engine(
            journal=self.journal,
            timeline=timeline,
            services={"bank": self.bank, "his": self.his},
            hospitals={"h1": "his"},
            routes=ROUTES,
            limits=LIMITS,
        )
        self.finisher = Finisher(
            "kiosks",
            KIOSKS,
            timeline,
            self,
            lambda terminal: link_of(self, terminal),
            self.journal.notices,
        )
        self.engine.finish_by("kiosks", self.finisher)
        banks = {"bank": self.bank.settling} if mix.settles and self.bank.settling else {}
        self.notices = NoticeJob(
            self.journal.notices, {"bank": self.bank.notifying}, self.journal.load, timeline
        )
        self.settlement = Settlement(self.journal.batches, banks, self.engine, timeline, {})

    def start(self) -> None:
        self.bank.start()
        self.his.start()
        Deferred.fromCoroutine(self.settlement.start())
        self.notices.start()
        self._beat()
        self._sweep()

    def late(self, payment_key: str, leg_index: int, attempt: int, reply: Reply) -> None:
        """ports.LateReplies, known to the channel before there is an engine."""
        self.engine.late(payment_key, leg_index, attempt, reply)

    def _beat(self) -> None:
        self.journal.renew()
        self.process.callLater(BEAT_S, self._beat)

    def _sweep(self) -> None:
        Deferred.fromCoroutine(self._recover())
        self.process.callLater(SWEEP_MS / 1000, self._sweep)

    async def _recover(self) -> None:
        try:
            await self.engine.recover()
            await self.engine.take_late()
        except JournalDown:
            return  # the next sweep tries again

    def stored(self, key: str) -> Payment | None:
        row = self.journal._database.rows.get(key)
        return None if row is None else row.payment()


@cache
def his_config(level: Level) -> HospitalConfig:
    return HospitalConfig(
        profile="demo-h1",
        url=f"http://127.0.0.1:{HIS_PORT}/his.asmx",
        level=level,
        site={"operator": "YYT"},
        connections=8,
        inquiries_limit=2,
        connect_timeout_ms=3_000,
        idle_ms=20_000,
        queue_limit=32,
        queue_wait_ms=5_000,
        breaker=BreakerSettings(failures=5, open_ms=10_000),
    )


_CODECS = {id(_dialect(name)): codec_of(name) for name in DIALECTS}
channel_module.load_dialect = _dialect
bank_module.Codec = lambda dialect: _CODECS.get(id(dialect)) or Codec(dialect)
