"""Two channels on one real PostgreSQL, each with its own link to one bank: whose a terminal is."""

import queue
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from channels.iso8583.session import State
from switch.model.outcome import Outcome
from switch.store.testing import temporary_postgres
from tests.bank.rig import SETTINGS, Peer, Rig, payment, sell, undo
from tests.store.store_worlds import PostgresWorld

PATIENCE_S = 30


class Pair:
    """The rig's bank; nodes ``a`` and ``b`` with journals on PostgreSQL. The channels' time is
    virtual, the database's is real."""

    def __init__(self, dsn: str, **changes) -> None:
        self.world = PostgresWorld(dsn)
        self.rig = Rig(start=False, **changes)
        self.a, self.b = self.start("a"), self.start("b")

    def start(self, name: str) -> Peer:
        journal = self.world.node(name)
        node = SimpleNamespace(
            node=name,
            numbers=journal.numbers,
            keys=journal.keys,
            terminals=journal.terminals,
            bank_days=journal.bank_days,
        )
        peer = Peer(self.rig, node)
        peer.journal = journal
        self.until(lambda: peer.bank.hub.links and not peer.bank._holdings._looking)
        return peer

    def until(self, true) -> None:
        """Let both kinds of time go on until it is so."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, "it never came"
            self.step()

    def step(self) -> None:
        """What the journals' threads hand over, and a little virtual time."""
        self.rig.clock.advance(0.01)
        try:
            function, arguments = self.world.pump._calls.get(timeout=0.002)
        except queue.Empty:
            return
        function(*arguments)

    def sell(self, peer: Peer, key: str) -> list:
        return peer.begin(sell(peer, payment(peer, key)))


def _held(peer) -> list[str]:
    return [one.config.terminal for one in peer.terminals if one.held]


@pytest.fixture(scope="module")
def server() -> Iterator:
    """A running embedded server."""
    with temporary_postgres() as running:
        yield running


@pytest.fixture
def pair(server, request) -> Iterator[Pair]:
    """Two nodes, started one after the other."""
    made = Pair(server.fresh_database(f"shares_{abs(hash(request.node.nodeid))}"))
    yield made
    made.world.close()


def test_I8_I13_both_nodes_sell_and_no_number_or_terminal_is_used_twice(pair) -> None:
    """Forty sales from both nodes at once over two terminals: one sign-on for each terminal, each
    sale booked once, every message number its own, no terminal used by a node that had it not."""
    pair.until(lambda: [one.state for one in pair.a.terminals] == [State.READY] * 2)
    strange = []
    for peer in (pair.a, pair.b):
        _watch(pair, peer, strange)

    ends, going = [], []
    for n in range(20):
        going = [pair.sell(pair.a, f"a{n}"), pair.sell(pair.b, f"b{n}")]
        pair.until(lambda going=going: all(going))
        ends += [reply.outcome for end in going for (_, reply) in end]

    assert ends == [Outcome.DONE] * 40
    booked = pair.rig.host.ledger.entries()
    assert len({(one.terminal, one.batch, one.stan) for one in booked}) == len(booked) == 40
    assert strange == []
    assert pair.rig.host.counts["sign_on"] == 2
    assert {len(_held(pair.a)), len(_held(pair.b))} == {1}


def test_I13_after_the_death_of_a_node_the_other_goes_on_with_its_keys(pair) -> None:
    """kill -9: its lease and the bank's time pass, its terminals are taken, nobody signs on anew,
    and its sale is reversed under the stored keys."""
    pair.until(lambda: pair.a.terminals[0].state is State.READY)
    end = pair.sell(pair.a, "p1")
    pair.until(lambda: end)
    ((paid, _),) = end
    _kill(pair, pair.a)

    reversed_ = pair.b.begin(pair.b.channel.exchange(undo(paid), None))
    pair.until(lambda: reversed_)
    pair.until(lambda: len(_held(pair.b)) == 2)
    end = pair.sell(pair.b, "p2")
    pair.until(lambda: end)

    assert [reply.outcome for reply in reversed_] == [Outcome.DONE]
    assert [reply.outcome for (_, reply) in end] == [Outcome.DONE]
    assert pair.rig.host.counts["sign_on"] == 2


def test_a_node_that_stops_hands_over_and_gets_its_share_back(pair) -> None:
    """Rolling restart: no payment of the other node waits for a lease."""
    pair.until(lambda: pair.a.terminals[0].state is State.READY)
    stopped = pair.a.begin(pair.a.channel.stop())
    pair.until(lambda: stopped)
    pair.world.run(pair.a.journal.close())
    pair.world.journals.remove(pair.a.journal)
    pair.until(lambda: len(_held(pair.b)) == 2)

    again = pair.start("a")
    end = pair.sell(again, "p1")
    pair.until(lambda: end)

    assert [reply.outcome for (_, reply) in end] == [Outcome.DONE]
    assert (len(_held(again)), len(_held(pair.b))) == (1, 1)
    assert pair.rig.host.counts["sign_on"] == 2


def _watch(pair, peer, strange) -> None:
    """Whoever sends a sale must be the holder in the database, at that moment."""
    send = peer.bank.send

    async def watched(mti, fields, terminal, write, **more):
        def checked(link, encoded):
            if mti == "0200":
                ((fence,),) = pair.world.sql(
                    "SELECT fence FROM terminal_holder WHERE terminal = %s",
                    terminal.config.terminal,
                )
                if fence != peer.journal.epoch:
                    strange.append((peer.node.node, terminal.config.terminal))
            write(link, encoded)

        return await send(mti, fields, terminal, checked, **more)

    peer.bank.send = watched


def _kill(pair, peer) -> None:
    """Its timers and links are gone; in the database it has not renewed for long."""
    peer.bank._holdings._timer.cancel()
    for door in peer.bank._doors:
        door.stop()
    for session in peer.bank.sessions:
        session.stop()
    pair.world.sql(
        "UPDATE node SET lease_until = now() - %s * interval '1 ms' WHERE name = %s",
        SETTINGS["response_timeout_ms"] + 1_000,
        peer.node.node,
    )
