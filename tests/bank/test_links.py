"""Links and sessions: sign-on, keys, echo, hostile peers, reconnecting."""

import msgspec
import pytest

from channels.iso8583.codec import Codec
from channels.iso8583.session import State
from channels.iso8583.stans import Stans
from switch.model.outcome import Outcome
from switch.net.frames import FrameReader
from switch.ports import JournalDown, LogicalTerminal, WorkingKeys
from tests.bank.rig import (
    DIALECT,
    MERCHANT,
    SETTINGS,
    Rig,
    card,
    do,
    payment,
    sell,
    undo,
    with_facts,
)


def _one_terminal(**changes):
    return Rig(terminals=SETTINGS["terminals"][:1], **changes)


def test_sign_on_installs_verified_keys():
    """First link → 0800 → keys under the LMK, generation 1, batch adopted, ready."""
    rig = Rig()

    assert [t.state for t in rig.terminals] == [State.READY, State.READY]
    assert [t.keys.generation for t in rig.terminals] == [1, 1]
    assert rig.channel.ready("outpatient")
    assert rig.channel.health() == {"icbc.link": "up", "icbc.sign_on": "up"}


def test_kcv_mismatch_keeps_the_old_set_whole_and_signs_on_again():
    """A wrong check value installs nothing; the retry after sign_on_retry_ms heals it."""
    rig = _one_terminal()
    (terminal,) = rig.terminals
    old = terminal.keys
    rig.habit("wrong_kcv", on="sign_on")
    terminal.want_sign_on("test")
    rig.settle()
    assert terminal.state is State.WAITING
    assert terminal.keys == old == rig.key_rows[terminal.identity]
    assert not rig.channel.ready("outpatient")

    rig.settle(5.1)

    assert terminal.state is State.READY
    assert terminal.keys.generation == 2


@pytest.mark.parametrize("habit", ["silent", "lose", "decline"])
def test_failed_sign_on_is_tried_again_for_ever(habit):
    """No answer or a refusal: waiting, then 0800 again, until it works."""
    rig = _one_terminal(start=False)
    for _ in range(2):
        rig.habit(habit, on="sign_on", code="91")
    rig.channel.start()

    rig.settle(200)

    assert rig.terminals[0].state is State.READY


def test_keys_installed_by_another_node_are_loaded_first():
    """I13: the compare-and-set lost; the newest set is loaded and signed on over."""
    rig = _one_terminal(start=False)
    terminal = rig.terminals[0]
    rig.channel.start()
    rig.key_rows[terminal.identity] = WorkingKeys(
        generation=5, pik="U0", mak="U0", pik_kcv="", mak_kcv="", installed_at=0
    )

    rig.settle(6)

    assert terminal.state is State.READY
    assert terminal.keys.generation == 6


def test_keys_grow_old_and_are_renewed_before_new_debits_stop():
    """Rule 16: at nine tenths of the age a new sign-on, so the age is never reached."""
    rig = _one_terminal(key_max_age_ms=100_000)

    rig.settle(95)

    assert rig.terminals[0].keys.generation == 2
    assert rig.channel.ready("outpatient")


def test_old_keys_start_no_debit_but_reverse():
    """The bank refuses every renewal: new debits stop, the reversal still goes out."""
    rig = _one_terminal(key_max_age_ms=100_000)
    rig.habit("silent")
    paid, _ = rig.run(sell(rig, payment(rig)), 61)
    rig.habit("decline", on="sign_on", code="91", times=1000)
    rig.settle(40)
    assert not rig.channel.ready("outpatient")

    undone = rig.run(rig.channel.exchange(undo(paid), None))

    assert undone.outcome is Outcome.DONE


def test_drain_before_new_keys():
    """A sign-on that is wanted waits for the sale in flight, and no new sale starts meanwhile."""
    rig = _one_terminal()
    terminal = rig.terminals[0]
    rig.habit("late", delay_ms=2_000)
    selling = rig.begin(sell(rig, payment(rig)))
    rig.settle()
    terminal.want_sign_on("test")
    rig.settle()
    assert terminal.state is State.DRAINING
    assert not rig.channel.ready("outpatient")

    rig.settle(3)

    assert selling[0][1].outcome is Outcome.DONE
    assert (terminal.state, terminal.keys.generation) == (State.READY, 2)


def test_prepared_before_new_keys_is_not_sent():
    """Between prepare and exchange the keys began to change: nothing leaves."""
    rig = _one_terminal()
    paid = payment(rig)
    secrets = card()
    prepared = rig.run(rig.channel.prepare(do(paid), secrets))
    rig.habit("lose", on="sign_on")
    rig.terminals[0].want_sign_on("test")
    rig.settle()

    reply = rig.run(rig.channel.exchange(do(with_facts(paid, prepared.facts)), secrets))

    assert reply.outcome is Outcome.NOT_SENT
    assert rig.host.ledger.entries() == []


def test_reversal_waits_while_keys_change():
    """The bank may be at the new key already: NotSent, and the engine repeats it (I3)."""
    rig = _one_terminal()
    rig.habit("silent")
    paid, _ = rig.run(sell(rig, payment(rig)), 61)
    rig.habit("lose", on="sign_on")
    rig.terminals[0].want_sign_on("test")
    rig.settle()

    reply = rig.run(rig.channel.exchange(undo(paid), None))

    assert reply.outcome is Outcome.NOT_SENT


def test_clock_skew_is_alarmed(capsys):
    """F12/F13 of the sign-on answer are the bank's clock (I14)."""
    rig = Rig(start=False)
    rig.timeline.fixed = ("20260704", "000000")
    rig.host._date_time = lambda: ("20260704", "001001")
    rig.channel.start()

    rig.settle()

    assert "our clock and the bank's differ" in capsys.readouterr().out


def test_header_may_ask_for_a_sign_on():
    """处理要求 3 in a proven answer: sign on again, the answer itself counts."""
    rig = _one_terminal()
    answer = rig.host.codec.answer

    def asking(to, mti, fields):
        header = msgspec.structs.replace(to.header, demand="3")
        return answer(msgspec.structs.replace(to, header=header), mti, fields)

    rig.host.codec.answer = asking
    _, reply = rig.run(sell(rig, payment(rig)))
    rig.host.codec.answer = answer
    rig.settle(6)

    assert reply.outcome is Outcome.DONE
    assert rig.terminals[0].keys.generation >= 2


def test_I10_wrong_macs_in_a_row_suspend_the_link():
    """Three unauthentic answers: the link is dropped, redialled and signed on anew."""
    rig = _one_terminal()
    for n in range(3):
        rig.habit("wrong_mac")
        paid, _ = rig.run(sell(rig, payment(rig, f"p{n}")), 61)
        rig.channel.release(do(paid))

    rig.settle(2)

    assert len(rig.net.ends) == 2
    assert rig.terminals[0].keys.generation == 2


@pytest.mark.parametrize("dialect", ["cup-pos", "gz-ascii", "zj-bcd"])
def test_echo_keeps_an_idle_link(dialect):
    """Nothing received for a while: echo, answered, the link stands."""
    rig = Rig(dialect=dialect)

    rig.settle(400, steps=400)

    assert rig.host.counts["echo"] >= 3
    assert len(rig.net.ends) == 1


def test_half_open_link_is_noticed_and_replaced():
    """The peer swallows everything: echo without answer drops the link; redial signs on."""
    rig = Rig()
    rig.net.black_hole = True
    rig.settle(125, steps=125)
    assert len(rig.net.ends) == 1

    rig.settle(10, steps=100)
    rig.net.black_hole = False
    rig.settle(80, steps=80)

    assert len(rig.net.ends) == 2
    assert rig.channel.ready("outpatient")


def test_reconnect_backs_off_with_jitter():
    """Refused connections: waits double from the first to the ceiling, within their bounds."""
    rig = Rig(start=False)
    rig.net.refuse = True
    rig.channel.start()

    rig.settle(300, steps=3000)

    waits = [b - a for a, b in zip(rig.net.dials, rig.net.dials[1:], strict=False)]
    for n, wait in enumerate(waits):
        full = min(30, 0.5 * 2**n)
        assert full / 2 - 0.2 <= wait <= full + 0.3
    assert max(waits) > 14


def _feed(rig, data):
    rig.net.ends[0][0].take(data)
    rig.settle()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff",
        b"0112" + b"x" * 100,
        b"\x16\x03\x01\x02\x00\x01",
    ],
    ids=["oversize", "ascii-length", "tls"],
)
def test_I11_hostile_prefix_closes_the_link_and_only_it(data, capsys):
    """A length above the limit is refused before buffering; the link is redialled."""
    rig = Rig()

    _feed(rig, data)
    rig.settle(2)

    assert "exceeds the limit" in capsys.readouterr().out
    assert len(rig.net.ends) == 2
    assert rig.channel.ready("outpatient")


def test_I11_slow_drip_is_cut_off():
    """A frame must end within frame_timeout_ms of its first byte, however steady the drip."""
    rig = Rig()
    client, _ = rig.net.ends[0]
    client.take(b"\x00\x50")
    for _ in range(4):
        rig.settle(1)
        client.take(b"x")
    assert client.open

    rig.settle(1.5)

    assert not client.open


def test_slow_drip_of_an_answer_is_unknown_and_reversed():
    """The bank's answer drips: link cut, Unknown, reversed on the next link."""
    rig = _one_terminal()
    rig.habit("slow_drip", delay_ms=1_000)

    paid, reply = rig.run(sell(rig, payment(rig)), 61)
    undone = rig.run(rig.channel.exchange(undo(paid), None))

    assert (reply.outcome, undone.outcome) == (Outcome.UNKNOWN, Outcome.DONE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        bytes.fromhex("6000030000 603100310000 0999 0000000000000000"),
        bytes.fromhex("6000030000 603100310000 0210 FFFFFFFFFFFFFFFF"),
        bytes.fromhex("6000030000 603100310000 0210 0000000000000000"),
        bytes.fromhex("6000030000 603100310000 0200 0000000000000000"),
    ],
    ids=["heartbeat", "garbage", "unknown-mti", "bitmap", "empty", "request"],
)
def test_frames_that_are_no_answer_hurt_nobody(body):
    """Heartbeats, garbage and requests are counted; the link and the sales go on."""
    rig = Rig()

    _feed(rig, len(body).to_bytes(2, "big") + body)
    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.outcome is Outcome.DONE
    assert len(rig.net.ends) == 1


def test_stop_closes_the_links_and_stays_away():
    """After stop no timer brings a link back."""
    rig = Rig()

    rig.run(rig.channel.stop())
    rig.settle(60)

    assert rig.bank.hub.links == []
    assert len(rig.net.dials) == 1


class _Numbers:
    """A database that comes and goes."""

    def __init__(self):
        self.down = True

    async def reserve(self, terminal, count):
        raise JournalDown


def test_database_away_is_not_prepared():
    """No STAN, no sale: prepare says no, and the terminal is free again."""
    rig = _one_terminal(stan_block=1)
    rig.terminals[0].stans._numbers = _Numbers()
    rig.terminals[0].stans._left.clear()

    assert rig.run(rig.channel.prepare(do(payment(rig)), card())) is None
    assert rig.terminals[0].leases == 0


def test_stans_come_from_reserved_blocks_without_gaps_or_repeats():
    """Numbers of one process: 1, 2, 3 … over block borders; they go on from batch to batch."""
    rig = Rig(start=False)
    terminal = LogicalTerminal(bank="icbc", merchant=MERCHANT, terminal="10000009")
    stans = Stans(rig.numbers, terminal, 4)

    taken = [rig.run(stans.take()) for _ in range(10)]
    rig.run(stans.adopt("000002"))
    fresh = rig.run(stans.take())

    assert taken == [("000001", f"{n:06d}") for n in range(1, 11)]
    assert fresh == ("000002", "000013")


def test_a_terminal_says_its_serial_number_at_sign_on():
    """终端信息: `Sequence No`, length and serial number in field 62; none configured, none sent."""
    codec = Codec(DIALECT)
    one, other = SETTINGS["terminals"]
    rig = Rig(terminals=[one | {"serial": "0000123456"}, other])

    client, _ = rig.net.ends[0]
    frames = FrameReader(DIALECT.length_prefix, 4_096).receive(client.written)
    said = {
        m.fields["41"]: m.fields.get("62") for m in map(codec.decode, frames) if m.mti == "0800"
    }

    assert said == {"10000001": b"Sequence No100000123456".hex().upper(), "10000002": None}
