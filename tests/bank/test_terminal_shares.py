"""Several nodes share logical terminals (rules 15, 16): who holds, who gives up, who signs on."""

from itertools import combinations

import pytest

from channels.iso8583.session import State
from channels.iso8583.terminal import Terminal
from switch.model.outcome import Outcome
from switch.ports import JournalDown
from tests.bank.cluster import LEASE_MS
from tests.bank.rig import (
    SETTINGS,
    Node,
    Peer,
    Rig,
    payment,
    sell,
    undo,
    with_facts,
)

LOOK_S = 0.5
BANK_TIMEOUT_S = 60


def _held(node) -> list[str]:
    return [one.config.terminal for one in node.terminals if one.held]


def _one_terminal(**changes) -> Rig:
    return Rig(terminals=SETTINGS["terminals"][:1], **changes)


def _sign_ons(rig) -> int:
    return rig.host.counts["sign_on"]


class _Wire:
    """When which node had a sale out on which terminal."""

    def __init__(self, rig, *nodes):
        self.clock, self.spans = rig.clock, []
        for node in nodes:
            self._watch(node)

    def _watch(self, node) -> None:
        send = node.bank.send

        async def watched(mti, fields, terminal, write, **more):
            span = [node.node.node, terminal.config.terminal, self.clock.seconds(), None]
            if mti == "0200":
                self.spans.append(span)
            try:
                return await send(mti, fields, terminal, write, **more)
            finally:
                span[3] = self.clock.seconds()

        node.bank.send = watched

    def overlaps(self) -> list[tuple]:
        """Pairs of sales of two nodes that were out on one terminal at once."""
        return [
            (one, two)
            for one, two in combinations(self.spans, 2)
            if one[:2] != two[:2]
            and one[1] == two[1]
            and one[2] < (two[3] or float("inf"))
            and two[2] < (one[3] or float("inf"))
        ]


# ---- who holds -----------------------------------------------------------------------------------


def test_the_first_node_takes_them_all_and_the_second_signs_none_on():
    """I13: one holder, one sign-on for each terminal; the second node is ready all the same."""
    rig = Rig()
    peer = rig.peer()
    peer.settle(5)

    assert (_held(rig), _held(peer)) == (["10000001", "10000002"], [])
    assert _sign_ons(rig) == 2
    assert [one.state for one in peer.terminals] == [State.OFF, State.OFF]
    assert peer.channel.ready("outpatient")
    assert peer.channel.health() == {"icbc.link": "up", "icbc.sign_on": "up"}


def test_a_waiting_payment_gets_an_idle_terminal_of_another_node():
    """Handed over within the payment's wait; no new sign-on: the stored keys are used."""
    rig = Rig()
    peer = rig.peer()

    begun = peer.begin(sell(peer, payment(peer)))
    peer.settle(3 * LOOK_S, steps=150)

    ((_, reply),) = begun
    assert reply.outcome is Outcome.DONE
    assert (len(_held(rig)), len(_held(peer))) == (1, 1)
    assert _sign_ons(rig) == 2
    (mine,) = [one for one in peer.terminals if one.held]
    assert mine.keys.generation == 1


def test_the_next_holder_goes_on_with_the_numbers():
    """I8: STANs of the newest batch, none that another node may have used."""
    rig = _one_terminal()
    _, _ = rig.run(sell(rig, payment(rig, "p1")))
    peer = rig.peer()

    begun = peer.begin(sell(peer, payment(peer, "p2")))
    peer.settle(3 * LOOK_S, steps=150)
    back = rig.begin(sell(rig, payment(rig, "p3")))
    rig.settle(3 * LOOK_S, steps=150)

    sold = [entry.stan for entry in rig.host.ledger.entries()]
    assert len(begun) == len(back) == 1
    assert len(sold) == len(set(sold)) == 3


def test_the_next_holder_signs_on_when_the_stored_keys_are_old():
    """Rule 16: keys due for renewal are renewed by whoever gets the terminal."""
    rig = _one_terminal(key_max_age_ms=3_600_000)
    peer = rig.peer()
    rig.terminals[0].session._renewal.cancel()
    rig.settle(3_500)

    peer.begin(sell(peer, payment(peer)))
    peer.settle(3 * LOOK_S, steps=150)

    assert peer.terminals[0].state is State.READY
    assert (_sign_ons(rig), peer.terminals[0].keys.generation) == (2, 2)


def test_I13_a_terminal_in_use_is_drained_before_it_changes_hands():
    """The holder's sale is out: the other node waits, and gets the terminal when it has ended."""
    rig = _one_terminal(queue_wait_ms=30_000)
    peer = rig.peer()
    wire = _Wire(rig, rig, peer)
    rig.habit("late", delay_ms=10_000)
    first = rig.begin(sell(rig, payment(rig, "p1")))
    rig.settle()

    second = peer.begin(sell(peer, payment(peer, "p2")))
    peer.settle(9, steps=90)
    assert (first, second, _held(rig)) == ([], [], ["10000001"])
    peer.settle(3, steps=60)

    assert [reply.outcome for (_, reply) in (*first, *second)] == [Outcome.DONE] * 2
    assert (_held(rig), _held(peer)) == ([], ["10000001"])
    assert wire.overlaps() == []
    assert len(wire.spans) == 2


def test_I13_two_busy_nodes_share_a_single_terminal_by_turns():
    """Neither starves, and never are both on it (I8)."""
    rig = _one_terminal(queue_wait_ms=30_000, queue_limit=50)
    peer = rig.peer()
    wire = _Wire(rig, rig, peer)
    ends = []
    for n in range(10):
        rig.habit("late", delay_ms=700, times=2)
        ends.append(rig.begin(sell(rig, payment(rig, f"a{n}"))))
        ends.append(peer.begin(sell(peer, payment(peer, f"b{n}"))))

    rig.settle(30, steps=1_200)

    replies = [reply for end in ends for (_, reply) in end]
    assert [reply.outcome for reply in replies] == [Outcome.DONE] * 20
    assert wire.overlaps() == []
    turns = [name for name, _, _, _ in sorted(wire.spans, key=lambda span: span[2])]
    assert "b" in turns[:8]
    assert turns.count("a") == turns.count("b") == 10


def test_two_busy_nodes_come_to_rest_at_half_each():
    """No terminal goes back and forth between nodes that both need theirs."""
    terminals = [{**SETTINGS["terminals"][0], "terminal": f"1000000{n}"} for n in (1, 2, 3)]
    rig = Rig(terminals=terminals, queue_limit=100, queue_wait_ms=60_000)
    peer = rig.peer()
    for n in range(20):
        rig.habit("late", delay_ms=900, times=2)
        rig.begin(sell(rig, payment(rig, f"a{n}")))
        peer.begin(sell(peer, payment(peer, f"b{n}")))

    rig.settle(4, steps=100)
    numbers = {key: row.number for key, row in rig.database.holders.items()}
    shares = {len(_held(rig)), len(_held(peer))}
    rig.settle(4, steps=100)

    assert shares == {1, 2}
    assert {key: row.number for key, row in rig.database.holders.items()} == numbers


def test_a_wish_that_ended_leaves_the_terminal_where_it_is():
    """The payment gave up waiting: the holder keeps its terminal and goes on using it."""
    rig = _one_terminal(queue_wait_ms=1_000)
    peer = rig.peer()
    rig.habit("late", delay_ms=20_000)
    rig.begin(sell(rig, payment(rig, "p1")))
    rig.settle()

    assert peer.run(peer.bank.pool.lease(("p2", 0), "outpatient"), seconds=2) is None
    rig.settle(25, steps=100)
    _, reply = rig.run(sell(rig, payment(rig, "p3")))

    assert reply.outcome is Outcome.DONE
    assert _held(rig) == ["10000001"]


# ---- a node dies, stalls, stops, comes back ------------------------------------------------------


def test_I13_terminals_of_a_dead_node_are_taken_after_its_lease_and_the_banks_time():
    """What it sent last is answered or over by then; stored keys are used, no new sign-on."""
    rig = Rig()
    peer = rig.peer()
    _kill(rig)

    peer.settle(LEASE_MS / 1000 + BANK_TIMEOUT_S - 11, steps=200)
    assert _held(peer) == []
    peer.settle(12, steps=100)

    assert _held(peer) == ["10000001", "10000002"]
    assert [one.state for one in peer.terminals] == [State.READY] * 2
    assert _sign_ons(rig) == 2
    _, reply = peer.run(sell(peer, payment(peer)))
    assert reply.outcome is Outcome.DONE


def test_I13_a_node_whose_lease_ran_out_starts_nothing_and_finds_its_terminals_gone():
    """It wakes, its lease is renewed, and still nothing leaves before it has looked again."""
    rig = Rig()
    peer = rig.peer()
    _freeze(rig)
    peer.settle(LEASE_MS / 1000 + BANK_TIMEOUT_S + 2, steps=300)
    assert _held(peer) == ["10000001", "10000002"]

    rig.node.frozen = False
    rig.node.beat()

    assert rig.node.lease_left_ms() > 0
    assert _held(rig) == []
    assert not any(one.fresh for one in rig.terminals)
    rig.bank._holdings.look_soon()
    rig.settle(1)
    assert [one.state for one in rig.terminals] == [State.OFF] * 2


def test_I13_a_lease_lost_between_prepare_and_write_sends_nothing():
    """The sale was prepared; the terminal may be another's when it is to be written."""
    rig = _one_terminal()
    paid = payment(rig)

    async def late_sale():
        from tests.bank.rig import card, do

        prepared = await rig.channel.prepare(do(paid), card())
        rig.node.term += 1
        return await rig.channel.exchange(do(with_facts(paid, prepared.facts)), card())

    reply = rig.run(late_sale())

    assert reply.outcome is Outcome.NOT_SENT
    assert list(rig.host.ledger.entries()) == []


def test_a_clean_stop_gives_the_terminals_to_whoever_looks_next():
    """No lease and no bank time is waited for."""
    rig = Rig()
    peer = rig.peer()

    rig.run(rig.channel.stop())
    peer.settle(2 * LOOK_S)

    assert _held(peer) == ["10000001", "10000002"]
    assert _sign_ons(rig) == 2


def test_a_restart_of_the_same_node_takes_its_terminals_at_once_and_signs_on():
    """The process before it is dead: nothing is waited for."""
    rig = Rig()
    _kill(rig)

    again = Peer(rig, Node(rig.database, "a"))

    assert _held(again) == ["10000001", "10000002"]
    assert (_sign_ons(rig), again.terminals[0].keys.generation) == (4, 2)


# ---- keys ----------------------------------------------------------------------------------------


def test_a_reversal_of_a_node_that_does_not_hold_the_terminal_uses_the_newest_keys():
    """Rule 16: the holder has signed on anew meanwhile; the bank accepts the other's reversal."""
    rig = _one_terminal()
    paid, _ = rig.run(sell(rig, payment(rig)))
    peer = rig.peer()
    rig.terminals[0].want_sign_on("test")
    rig.settle()
    assert rig.terminals[0].keys.generation == 2

    reply = peer.run(peer.channel.exchange(undo(paid), None))

    assert reply.outcome is Outcome.DONE
    assert _held(peer) == []


def test_an_answer_under_keys_that_another_node_installed_is_proven():
    """The reversal is out when the holder changes keys; the bank's answer comes under the new."""
    rig = _one_terminal()
    paid, _ = rig.run(sell(rig, payment(rig)))
    peer = rig.peer()
    rig.habit("late", on="reversal", delay_ms=5_000)
    begun = peer.begin(peer.channel.exchange(undo(paid), None))
    peer.settle(1)
    rig.terminals[0].want_sign_on("test")

    rig.settle(6)

    assert rig.terminals[0].keys.generation == 2
    assert [reply.outcome for reply in begun] == [Outcome.DONE]


def test_a_reversal_waits_while_the_database_cannot_say_the_keys(monkeypatch):
    """Not ours, and the stored keys cannot be read: nothing is sent, it is tried again."""
    rig = _one_terminal()
    paid, _ = rig.run(sell(rig, payment(rig)))
    peer = rig.peer()

    async def away(_terminal):
        raise JournalDown

    monkeypatch.setattr(peer.node.keys, "load", away)
    reply = peer.run(peer.channel.exchange(undo(paid), None))

    assert reply.outcome is Outcome.NOT_SENT


def test_I11_looks_do_not_grow_with_the_load(monkeypatch):
    """However many payments wait, looks are a quarter of terminal_share_ms apart."""
    rig = _one_terminal(queue_limit=200)
    peer = rig.peer()
    rig.habit("late", delay_ms=20_000)
    rig.begin(sell(rig, payment(rig, "p0")))
    looks = []
    hold = peer.node.terminals.hold

    async def counted(*what):
        looks.append(rig.clock.seconds())
        return await hold(*what)

    monkeypatch.setattr(peer.node.terminals, "hold", counted)
    for n in range(100):
        peer.begin(peer.bank.pool.lease((f"p{n}", 0), "outpatient"))
        rig.settle(0.01)

    assert 2 <= len(looks) <= 10


# ---- terminals of one kiosk ----------------------------------------------------------------------


@pytest.fixture
def dedicated() -> Rig:
    """One terminal for everybody, one for kiosk k9."""
    first, second = SETTINGS["terminals"]
    return Rig(terminals=[first, {**second, "kiosk": "k9"}])


def _leased(rig, name: str, kiosk: str) -> Terminal | None:
    return rig.run(rig.bank.pool.lease((name, 0), "outpatient", kiosk), seconds=4)


def test_I8_a_terminal_of_one_kiosk_serves_that_kiosk_alone(dedicated):
    """Rule 15: others never get it, and its own kiosk never gets another."""
    theirs = [_leased(dedicated, f"p{n}", "k1") for n in range(2)]
    own = [_leased(dedicated, f"q{n}", "k9") for n in range(2)]

    assert [one and one.config.terminal for one in theirs] == ["10000001", None]
    assert [one and one.config.terminal for one in own] == ["10000002", None]


def _freeze(rig) -> None:
    """The process stalls: its lease is not renewed and it looks at nothing."""
    rig.node.frozen = True
    rig.bank._holdings._timer.cancel()


def _kill(rig) -> None:
    """kill -9: the process is gone, its links break."""
    _freeze(rig)
    for door in rig.bank._doors:
        door.stop()
