"""One hospital, one kiosk, two banks of different dialects, two merchant numbers at each: the real
engine, channels, key service, pad driver and pad emulator, in memory and virtual time."""

from random import Random
from types import SimpleNamespace

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from channels.bank_simulator.entries import State
from channels.bank_simulator.host import BankHost
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.service import BankListener, BankService
from channels.bank_simulator.world import Card, TerminalKey, World
from channels.iso8583 import plugin
from channels.iso8583.config import Config
from channels.iso8583.load import load_dialect
from channels.kiosk.registry import Terminal
from channels.kiosk.requests import card_secrets, pin_planned
from hsm import primitives
from hsm.testing import wrap_test_key
from switch.engine import Engine, Route
from switch.model.payment import LegKind
from switch.ports import PaymentRequest
from switch.store.memory import MemoryDatabase, MemoryJournal
from terminal_agent.desk import FlowError, card_with
from terminal_agent.devices.interfaces import CardData
from terminal_agent.devices.memory_port import MEMORY, cable
from terminal_agent.devices.zt598 import Zt598, Zt598Options
from terminal_agent.devices.zt598_emulator import Zt598Emulator
from terminal_agent.planned_pad import PlannedPad
from terminal_agent.protocol import Opaque, Pan, Track2
from tests.bank.cluster import Database, Node
from tests.bank.rig import NOON, SETTINGS, KeyService, Net, Timeline
from tests.engine.rig import BOOK, HOLD, LEASE_MS, LIMITS, Faults, Scripted

KIOSK, TPK, PIN = "KIOSK001", "0123456789ABCDEFFEDCBA9876543210", "135790"
DIALECTS = {"icbc": "cup-pos", "ccb": "gz-ascii"}
BINS = {"icbc": "622202", "ccb": "436742"}
PANS = {"icbc": "6222021234567890128", "ccb": "4367421234567890"}
CLEARINGS = {"outpatient": "outpatient_bill", "inpatient": "inpatient_deposit"}
ROLES = [(bank, clearing) for bank in DIALECTS for clearing in CLEARINGS]
SLOTS = {f"{bank}.{clearing}": number for number, (bank, clearing) in enumerate(ROLES, 2)}


def tmk_of(bank, clearing):
    """The master key that a bank gave for one merchant number."""
    number = SLOTS[f"{bank}.{clearing}"]
    return primitives.odd_parity(bytes(range(16 * number, 16 * number + 16)))


def owner_of(bank, clearing, dedicated):
    """(F42, F41): the merchant numbers of a bank differ, and so do terminals."""
    merchant = f"10329008398{list(DIALECTS).index(bank)}{list(CLEARINGS).index(clearing):03d}"
    return merchant, f"{'9' if dedicated else '1'}{SLOTS[f'{bank}.{clearing}']:07d}"


class Bank:
    """One bank's host, and the switch's channel to it."""

    def __init__(self, town, name):
        self.name = name
        dialect = load_dialect(DIALECTS[name])
        self.net = Net(town.clock)
        owners = [(c, d, *owner_of(name, c, d)) for c in CLEARINGS for d in (False, True)]
        world = World(
            terminals=tuple(
                TerminalKey(merchant=m, terminal=t, tmk=tmk_of(name, c).hex().upper())
                for c, _, m, t in owners
            ),
            cards=(Card(name="card", pan=PANS[name], pin=PIN, balance_fen=10_000_000),),
        )
        self.host = BankHost(
            dialect=dialect,
            world=world,
            ledger=Ledger(),
            random=town.random,
            now_ms=town.timeline.now_ms,
        )
        service = BankService(self.host, self.net, dialect.length_prefix)
        self.net.listenTCP(8583, BankListener(service))
        terminals = [
            {
                "merchant": m,
                "terminal": t,
                "clearing": c,
                "tmk": wrap_test_key("000", tmk_of(name, c).hex()),
                "in_flight": 1,
                "kiosk": KIOSK if d else "",
            }
            for c, d, m, t in owners
        ]
        settings = {**SETTINGS, "dialect": DIALECTS[name], "terminals": terminals}
        context = SimpleNamespace(
            timeline=town.timeline,
            reactor=self.net,
            key_service=town.key_service,
            numbers=town.node.numbers,
            keys=town.node.keys,
            terminals=town.node.terminals,
            bank_days=town.node.bank_days,
            late=SimpleNamespace(late=lambda *_what: None),
            random=town.random.random,
        )
        self.channel = plugin.build(name, msgspec.convert(settings, Config, strict=False), context)

    def booked(self):
        """(F42, F41, amount) of every sale in its book."""
        return sorted(
            (entry.merchant, entry.terminal, entry.amount_fen)
            for entry in self.host.ledger.entries()
            if entry.state is State.BOOKED
        )


class Pad:
    """The kiosk's pad: one key shared with the switch, and four banks' slots."""

    def __init__(self, clock):
        self.emulator = Zt598Emulator()
        self.emulator.load_working(0x30, "3", primitives.odd_parity(bytes.fromhex(TPK)))
        for bank, clearing in ROLES:
            number = SLOTS[f"{bank}.{clearing}"]
            self.emulator.load_master(number, tmk_of(bank, clearing))
        slots = " ".join(f"{name}=0{n}/4{n}" for name, n in SLOTS.items())
        options = Zt598Options(
            port=MEMORY, baud=9600, answer_timeout_ms=1_000, reopen_min_ms=20, reopen_max_ms=100,
            poll_ms=600_000, master_slot="01", pin_slot="30", mac_slot="31", data_slot="32",
            mac_form="x919", clear_key="backspace", slots=slots,
        )  # fmt: skip
        self.cable, line = cable(clock, MEMORY, self.emulator)
        self.driver = Zt598(options, clock, **line)
        self.cable.plug()
        self.driver.start()


class Town:
    """Everything, started. ``pin`` is what the routes say."""

    def __init__(self, pin):
        self.random, self.clock = Random(7), Clock()
        self.clock.advance(NOON)
        self.timeline = Timeline(self.clock)
        self.key_service = KeyService(self.random)
        self.node = Node(Database(self.timeline))
        self.banks = {name: Bank(self, name) for name in DIALECTS}
        journal = MemoryJournal(
            MemoryDatabase(), self.timeline, "node-a", LEASE_MS, Faults(self.clock)
        )
        his = Scripted("his", self.timeline, {LegKind.HOLD: HOLD, LegKind.BOOK: BOOK})
        self.engine = Engine(
            journal=journal,
            timeline=self.timeline,
            services={**{n: bank.channel for n, bank in self.banks.items()}, "his": his},
            hospitals={"h1": "his"},
            routes=[
                Route(
                    hospital="h1",
                    business=business,
                    medium="bank_card",
                    channel=bank,
                    bins=(BINS[bank],),
                    pin=pin,
                )
                for bank in DIALECTS
                for business in CLEARINGS.values()
            ],
            limits=LIMITS,
        )
        self.record = Terminal(terminal=KIOSK, hospital="h1", tpk=wrap_test_key("002", TPK))
        self.pad = Pad(self.clock)
        self.planned = PlannedPad(self.pad.driver, self)
        for bank in self.banks.values():
            bank.channel.start()
        self.settle()

    async def pin_plan(self, business, pan):
        """As the kiosk's desk asks the switch."""
        plan = await self.engine.pin_plan("h1", KIOSK, business, "bank_card", pan.reveal()[:12])
        told = pin_planned(plan)
        if not told.ok:
            raise FlowError("unavailable", told.text)
        return told

    def card(self, bank, clearing):
        """A patient puts a card of this bank in and types the PIN: what the kiosk sends."""
        self.planned.begin(CLEARINGS[clearing])
        self.pad.emulator.type(Opaque(PIN))
        pan = Pan(PANS[bank])

        async def entered():
            await self.planned.pin_entry(4, 12, 5_000, pan)
            return await self.planned.get_pin_block(pan)

        block = self.run(entered())
        data = CardData(pan=pan, expiry="3012", track2=Track2(f"{PANS[bank]}=30122010000000000"))
        return card_with(data, block, self.planned.made_for)

    def begin(self, key, bank, clearing, card, amount_fen):
        """The kiosk's payment arrives; the list gets its answer."""
        request = PaymentRequest(
            key=f"{KIOSK}-20260704-{key}",
            hospital="h1",
            business=CLEARINGS[clearing],
            terminal=KIOSK,
            amount_fen=amount_fen,
            patient="P1",
            bill=f"B{key}",
        )
        answers = []
        starting = self.engine.start(request, card_secrets(card, self.record, "1"))
        Deferred.fromCoroutine(starting).addBoth(answers.append)
        return answers

    def settle(self, seconds=0.2, steps=40):
        """Let everything due happen."""
        for _ in range(steps):
            self.clock.advance(seconds / steps)

    def run(self, coroutine):
        """The result of a coroutine that ends soon."""
        results = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        self.settle()
        assert results, "not finished"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]
