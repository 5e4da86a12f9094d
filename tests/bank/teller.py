"""A terminal that speaks any dialect with the bank simulator, by the dialect's own templates."""

from random import Random

from channels.bank_simulator.entries import WorkingKeys
from channels.bank_simulator.habits import Habit, Name, On, Order
from channels.bank_simulator.host import BankHost
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.wire import Wire
from channels.bank_simulator.world import Card, PaymentCode, TerminalKey, World
from channels.iso8583.keyblock import cut_keys
from channels.iso8583.load import load_dialect
from channels.iso8583.template import compiled, filled
from hsm import primitives
from switch.model.operation import Operation

MERCHANT = "103290083980001"
TERMINAL = "10000001"
TMK = "CA5D92598DCA48CE8A4C76361A9269E9"
PAN = "6225881234567890"
PIN = "135790"
CODE = "134567890123456789"
NOON_MS = 1_783_166_400_000

WORLD = World(
    terminals=(TerminalKey(merchant=MERCHANT, terminal=TERMINAL, tmk=TMK),),
    cards=(
        Card(name="rich", pan=PAN, pin=PIN, balance_fen=1_000_000),
        Card(name="other", pan="6225881234560000", pin="", balance_fen=1_000_000),
    ),
    branches=(TerminalKey(merchant=MERCHANT, terminal="BRANCH01", tmk=TMK),),
    codes=(PaymentCode(code=CODE, card="rich"), PaymentCode(code="28*", card="other")),
)


class Teller:
    """One signed-on terminal of one bank. ``answers`` are decoded."""

    def __init__(self, dialect="cup-pos", ledger=None, seed=0, host=None):
        self.dialect = load_dialect(dialect) if isinstance(dialect, str) else dialect
        self.now_ms = NOON_MS
        self.ledger = ledger or Ledger()
        self.host = host or BankHost(
            dialect=self.dialect,
            world=WORLD,
            ledger=self.ledger,
            random=Random(seed),
            now_ms=lambda: self.now_ms,
        )
        self.wire = Wire(self.dialect)
        self.stan = 0
        self.said = {}
        self.date = "0704"
        self.sign_on()

    def sign_on(self):
        """Sign on; where keys come by themselves, ask for them and take them."""
        answer = self.send("sign_on")
        if not self.dialect.sign_on.brings_keys:
            self.send("key_request")
            pushed = self.raw[1:]
            while pushed:
                pushed = self.answer(pushed[0])
        return answer

    @property
    def keys(self):
        return self.ledger.keys(MERCHANT, TERMINAL)

    def template(self, kind):
        dialect = self.dialect
        others = {"reversal": dialect.reversal.template, "script_notice": dialect.script_notice}
        settlement = dialect.settlement
        if settlement is not None:
            others |= {"settlement": settlement.request, "upload": settlement.upload}
            others["upload_end"] = settlement.upload_end
        return {**dialect.operations, **dialect.network, **others}[kind]

    def frames(self, kind, stan=None, keys=None, **values):
        """What leaves for the bank, with its length prefix; remembers what it said by STAN."""
        if stan is None:
            self.stan += 1
            stan = f"{self.stan:06d}"
        template = self.template(kind)
        known = {
            "merchant": MERCHANT,
            "terminal": TERMINAL,
            "stan": stan,
            "batch": self.keys.batch if self.keys else "000001",
            "currency": self.dialect.currency,
            "date": self.date,
            "time": "120000",
            "sent_date": self.date,
            "sent_time": "120000",
        }
        if kind in set(Operation) - {"qr_sale", "qr_void", "qr_refund"}:
            known |= {"pan": PAN, "track2": f"{PAN}D4912", "entry_mode": "021", "expiry": "4912"}
            known["pin_block"] = self.pin_block(values.get("pan", PAN), values.pop("pin", PIN))
        fields = filled(compiled(template), known | values)
        if kind != "reversal":
            self.said[stan] = (template.mti, known | values, fields)
        return self.wire.push(template.mti, fields, keys or self.keys)

    def send(self, kind, stan=None, keys=None, **values):
        """The bank's answer; None: silence."""
        answers = self.host.receive(self.cut(self.frames(kind, stan, keys, **values)))
        self.ledger.commit()
        self.raw = [data for _, data in answers]
        self.more = [self.decode(data) for data in self.raw]
        return self.more[0] if self.more else None

    def about(self, stan, prefix="original_"):
        """The values of a message that refers to an earlier one."""
        mti, values, fields = self.said[stan]
        found = {f"{prefix}F{n}": value for n, value in fields.items()}
        for name in ("batch", "sent_date", "sent_time"):
            found[f"{prefix}{name}"] = values[name]
        return {**found, f"{prefix}mti": mti}

    def business(self, kind, amount_fen=100, of=None, **values):
        """One operation and the code it was answered; ``of``: STAN of its original."""
        if of is not None:
            values = self.about(of) | values
        answer = self.send(kind, amount=f"{amount_fen:012d}", **values)
        self.said[f"{self.stan:06d}"][2].update(
            {n: v for n, v in answer.fields.items() if n in ("37", "38")}
        )
        return answer.code

    def reverse(self, stan, amount_fen=None):
        """The reversal of the message with this STAN; the code."""
        values = self.about(stan, "") | {"reason": "98"}
        if amount_fen is not None:
            values["F4"] = f"{amount_fen:012d}"
        values["pan"] = self.said[stan][1].get("pan", "")
        return self.send("reversal", stan=stan if self.same_stan else None, **values).code

    @property
    def same_stan(self):
        """Whether its reversals carry the STAN of what they reverse."""
        return self.dialect.reversal.template.fields["11"] == "{F11}"

    def settle(self, debits=(), given=()):
        """0500 with these amounts; the bank's word."""
        answer = self.send(
            "settlement",
            debit_count=f"{len(debits):03d}",
            debit_amount=f"{sum(debits):012d}",
            credit_count=f"{len(given):03d}",
            credit_amount=f"{sum(given):012d}",
        )
        part = self.dialect.settlement.result
        return answer.fields[part.field][part.at : part.at + part.size]

    def habit(self, name, on="sale", **more):
        self.host.habits.set(Order(next=(Habit(habit=Name(name), on=On(on), **more),)))

    @property
    def net_fen(self):
        return self.host.debits()["net_fen"]

    @property
    def spent_fen(self):
        return self.ledger.spent_fen("rich")

    def rows(self):
        return {row["stan"]: row for row in self.host.debits()["debits"]}

    def pin_block(self, pan, pin):
        if not pin:
            return ""
        block = primitives.pin_block_0(pin, primitives.account12(pan))
        return primitives.ecb_encrypt(self.keys.pik, block).hex().upper()

    def answer(self, data, code="00", proof=None):
        """Answer a key reset, under the key that it brings; what the bank sends then."""
        asked = self.decode(data)
        numbers = {*self.dialect.answers.echo, "60", "62"}
        kept = {n: asked.fields[n] for n in numbers if n in asked.fields}
        proof = proof or self.brought(asked)[-1]
        keys = WorkingKeys(pik=b"", mak=proof, batch="")
        mti = self.dialect.mtis[asked.mti].answer
        more = self.host.receive(self.cut(self.wire.push(mti, kept | {"39": code}, keys)))
        self.ledger.commit()
        return [data for _, data in more]

    def brought(self, message):
        """The keys in a message, in clear: PIK, MAK."""
        block = cut_keys(self.dialect, message.fields)
        tmk = bytes.fromhex(TMK)
        return [
            primitives.ecb_decrypt(tmk, bytes.fromhex(text.removeprefix("X")))
            for text in (block.pik, block.mak)
            if text
        ]

    def cut(self, data):
        return data[4 if self.dialect.length_prefix == "ascii_4" else 2 :]

    def decode(self, data):
        return self.host.codec.decode(self.cut(data))
