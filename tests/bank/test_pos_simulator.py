"""The simulated counter POS: its bytes are those of its dialect, its load is open loop."""

import sys
from random import Random
from subprocess import run
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from channels.bank_simulator.host import BankHost
from channels.bank_simulator.ledger import Ledger
from channels.bank_simulator.world import Card, TerminalKey, World
from channels.iso8583.codec import Codec
from channels.iso8583.errors import RemoteError
from channels.pos_simulator.load import GRACE_S, Load, PosLink
from channels.pos_simulator.terminal import PosTerminal
from channels.pos_simulator.world import CounterError, PosCard, PosKey, load_counter
from switch.net.frames import FrameReader
from tests.bank.rig import DIALECT, MERCHANT, NOON, PAN, PIN, TMK

CODEC = Codec(DIALECT)
TERMINALS = tuple(f"700000{n:02d}" for n in range(1, 5))
CARD = PosCard(pan=PAN, pin=PIN, expiry="4912")


def bank() -> BankHost:
    """A host that knows the terminals: to a POS the switch looks like a bank."""
    world = World(
        terminals=tuple(
            TerminalKey(merchant=MERCHANT, terminal=terminal, tmk=TMK) for terminal in TERMINALS
        ),
        cards=(Card(name="rich", pan=PAN, pin=PIN, balance_fen=1_000_000),),
    )
    return BankHost(
        dialect=DIALECT, world=world, ledger=Ledger(), random=Random(1), now_ms=lambda: NOON * 1000
    )


def ask(host: BankHost, frame: bytes) -> object:
    """The host's answer, decoded."""
    ((_, data),) = host.receive(frame)
    (answer,) = FrameReader(DIALECT.length_prefix, 4_096).receive(data)
    return CODEC.decode(answer)


def signed_on(host: BankHost, terminal: str = TERMINALS[0]) -> PosTerminal:
    """A terminal with working keys."""
    pos = PosTerminal(CODEC, PosKey(merchant=MERCHANT, terminal=terminal, tmk=TMK))
    pos.take_keys(ask(host, pos.sign_on()))
    return pos


def test_a_pos_signs_on_and_sells() -> None:
    """Keys under its own master key, a right MAC and PIN, and an answer that proves itself."""
    host = bank()
    pos = signed_on(host)
    sale = pos.sale(CARD, 100)
    answer = ask(host, sale.frame)
    assert (answer.code, answer.fields["11"]) == ("00", sale.stan)
    assert pos.proves(answer)
    assert host.debits()["net_fen"] == 100


def test_I10_an_answer_that_was_changed_does_not_prove_itself() -> None:
    """One digit of the amount is another: the MAC tells."""
    host = bank()
    pos = signed_on(host)
    answer = ask(host, pos.sale(CARD, 100).frame)
    answer.mab = answer.mab[:-1] + bytes([answer.mab[-1] ^ 1])
    assert not pos.proves(answer)


def test_a_wrong_check_value_is_not_taken() -> None:
    """Of a wrong key block nothing is taken: the terminal stays without keys."""
    host = bank()
    pos = PosTerminal(CODEC, PosKey(merchant=MERCHANT, terminal=TERMINALS[0], tmk=TMK))
    answer = ask(host, pos.sign_on())
    block = answer.fields["62"]
    answer.fields["62"] = block[:32] + "00000000" + block[40:]
    with pytest.raises(RemoteError, match="kcv"):
        pos.take_keys(answer)


def test_a_refused_sign_on_names_the_code() -> None:
    """97 and its like come back as what they are."""
    host = bank()
    pos = PosTerminal(CODEC, PosKey(merchant=MERCHANT, terminal="99999999", tmk=TMK))
    with pytest.raises(RemoteError, match="97"):
        pos.take_keys(ask(host, pos.sign_on()))


# ---- load ----------------------------------------------------------------------------------------


class Transport:
    """Carries the frames of a link to the host; ``slow_s`` is the host's time."""

    def __init__(self, clock: Clock, host: BankHost, link: PosLink, slow_s: float) -> None:
        self._clock, self._host, self._link, self._slow_s = clock, host, link, slow_s
        self.silent = False

    def setTcpNoDelay(self, on: bool) -> None:
        """As TCP has it."""

    def write(self, data: bytes) -> None:
        """One frame: answered after the host's time."""
        (frame,) = FrameReader(DIALECT.length_prefix, 4_096).receive(data)
        for _, answer in self._host.receive(frame):
            if not self.silent:
                self._clock.callLater(self._slow_s, self._link.dataReceived, answer)


def load(rate: int, seconds: int, in_flight: int, slow_s: float = 0.01, silent: bool = False):
    """One run on a Clock: its report."""
    clock, host = Clock(), bank()
    keys = [PosKey(merchant=MERCHANT, terminal=terminal, tmk=TMK) for terminal in TERMINALS]
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        link.transport.silent = silent  # signed on: the first sale is due now

    run = Load(
        codec=CODEC,
        terminals=[PosTerminal(CODEC, key) for key in keys],
        card=CARD,
        links=1,
        rate=rate,
        seconds=seconds,
        in_flight=in_flight,
        reactor=clock,
        tell=tell,
    )
    ends: list = []
    run.done.addBoth(ends.append)
    link = PosLink(run)
    link.transport = Transport(clock, host, link, slow_s)
    link.connectionMade()
    clock.pump([0.005] * int((seconds + GRACE_S + 1) * 200))
    return SimpleNamespace(report=ends[0], told=told, host=host)


def test_every_sale_of_the_schedule_is_sent_and_counted() -> None:
    """20 a second for 2 s: forty sales at the bank, forty approved answers."""
    made = load(rate=20, seconds=2, in_flight=4)
    assert (made.report.due, made.report.sent, made.report.approved) == (40, 40, 40)
    assert made.host.debits()["net_fen"] == 40 * 100
    assert made.told == ["4 terminals signed on"]


def test_a_sale_is_sent_when_it_is_due() -> None:
    """One a second at a host of 10 ms: its time is the host's, and no second is added to it."""
    assert load(rate=1, seconds=3, in_flight=4).report.p99_ms < 30


def test_a_slow_host_cannot_hide_behind_its_own_slowness() -> None:
    """One at a time at a host of half a second, ten a second due: the times count from when a sale
    was due, so they grow; what has not begun at the end is not sent."""
    made = load(rate=10, seconds=4, in_flight=1, slow_s=0.5)
    assert made.report.sent < made.report.due == 40
    assert made.report.p99_ms > 2_000


def test_what_is_never_answered_is_said() -> None:
    """Silence: nothing is approved, and what was out is reported as unanswered."""
    made = load(rate=2, seconds=1, in_flight=4, silent=True)
    assert (made.report.approved, made.report.unanswered) == (0, 2)


# ---- the command ---------------------------------------------------------------------------------


def test_a_counter_file_that_is_wrong_is_told_without_its_keys(tmp_path) -> None:
    """Path and rule; never what stands there (I12)."""
    file = tmp_path / "counter.yaml"
    secret = "ABCDEF" + "0" * 20
    file.write_text(
        f"terminals: [{{merchant: m, terminal: t, tmk: {secret}}}]\n"
        "card: {pan: '1', pin: '2', expiry: '4912'}\n",
        encoding="utf-8",
    )
    with pytest.raises(CounterError, match=r"terminals\[0\]\.tmk is not 32 hex") as caught:
        load_counter(file)
    assert secret not in str(caught.value)


def test_nobody_listens_is_exit_code_2(tmp_path) -> None:
    """The run could not be made: one sentence, no traceback."""
    file = tmp_path / "counter.yaml"
    file.write_text(
        f"terminals: [{{merchant: m, terminal: t, tmk: {TMK}}}]\n"
        "card: {pan: '1', pin: '2', expiry: '4912'}\n",
        encoding="utf-8",
    )
    done = run(
        [sys.executable, "-m", "switch.cli", "pos", "load", "--connect", "127.0.0.1:1",
         "--counter", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no connection" in done.stderr
    assert "Traceback" not in done.stderr
