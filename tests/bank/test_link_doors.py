"""Several links of one bank: who may come in, how they share the load, and when one goes silent."""

import msgspec
import pytest

from channels.iso8583.config import Config
from switch.model.outcome import Outcome
from switch.net.allowed import AllowList, PeerCounts
from switch.observe import metrics
from tests.bank.rig import SETTINGS, Rig, payment, sell

CLIENTS = [{"mode": "client", "host": "bank", "port": 8583}] * 2
DOOR = {"mode": "server", "host": "0.0.0.0", "port": 9000, "accept_limit": 3, "peer_limit": 2}


def _server(allow=("127.0.0.1",), **changes):
    return Rig(links=[{**DOOR, "allow": list(allow), **changes}])


def _refused(reason):
    return metrics.CONNECTIONS_REFUSED.labels("icbc-1", reason)._value.get()


def test_a_stranger_s_address_is_refused_and_the_bank_still_comes_in():
    """The allow-list decides before a byte is read; the port stays open."""
    rig = _server(allow=["10.9.0.0/16"])
    before = _refused("address")
    rig.dialled(times=2)
    assert not rig.bank.hub.links
    assert _refused("address") == before + 2

    rig.net.caller = "10.9.1.1"
    rig.dialled()

    assert len(rig.bank.hub.links) == 1
    assert rig.channel.ready("outpatient")


@pytest.mark.parametrize(("reason", "changes"), [("peer_limit", {}), ("limit", {"peer_limit": 9})])
def test_I11_one_connection_too_many_is_refused_politely(reason, changes):
    """Of one address, or in all: closed; those that stand go on, and a freed place is given."""
    rig = _server(**changes)
    limit = 2 if reason == "peer_limit" else 3
    before = _refused(reason)
    rig.dialled(times=limit + 1)
    assert len(rig.bank.hub.links) == limit
    assert _refused(reason) == before + 1

    rig.net.ends[0][0].close()
    rig.settle()
    rig.dialled()

    assert len(rig.bank.hub.links) == limit
    _, reply = rig.run(sell(rig, payment(rig)))
    assert reply.outcome is Outcome.DONE


@pytest.mark.parametrize("text", ["10.1.2.3/16", "bank.example", "10.0.0.0/33", ""])
def test_a_range_that_is_none_is_a_mistake_in_the_file(text):
    """conf check says so, not the first connection."""
    links = [{**DOOR, "allow": [text]}]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**SETTINGS, "links": links}, Config, strict=False)


def test_addresses_of_both_versions():
    """IPv4 that arrives inside IPv6 is the same peer; what is no address is nobody."""
    allowed = AllowList(["10.1.0.0/16", "fd00::/8"])

    assert allowed.allows("10.1.9.9")
    assert allowed.allows("::ffff:10.1.9.9")
    assert allowed.allows("fd00::1")
    assert not allowed.allows("fe80::1")
    assert not allowed.allows("10.2.0.1")
    assert not allowed.allows("")


def test_I11_a_peer_s_quota_is_its_own():
    """One peer at its limit takes nothing from another; what is given back can be taken again."""
    counts = PeerCounts(1)

    assert counts.take("a")
    assert not counts.take("a")
    assert counts.take("b")
    counts.give_back("a")
    assert counts.take("a")


def test_sales_are_spread_over_the_links():
    """The least busy link carries the next one."""
    rig = Rig(links=CLIENTS)
    for _ in range(2):
        rig.habit("late", delay_ms=2_000)

    selling = [rig.begin(sell(rig, payment(rig, key))) for key in ("p1", "p2")]
    rig.settle()

    assert sorted(link.in_flight for link in rig.bank.hub.links) == [1, 1]
    rig.settle(3)
    assert [one[0][1].outcome for one in selling] == [Outcome.DONE, Outcome.DONE]


def test_when_a_link_is_lost_the_other_carries_on():
    """No new sign-on, no refused payment, and the lost one is dialled again."""
    rig = Rig(links=CLIENTS)
    signed_on = rig.host.counts["sign_on"]
    rig.net.ends[0][0].close()
    rig.settle()

    replies = [rig.run(sell(rig, payment(rig, f"p{n}")))[1] for n in range(4)]

    assert {reply.outcome for reply in replies} == {Outcome.DONE}
    assert rig.host.counts["sign_on"] == signed_on
    rig.settle(2)
    assert len(rig.bank.hub.links) == 2


def test_a_half_open_link_costs_one_payment_and_is_replaced():
    """One of two links swallows everything. The sale on it is Unknown; from then on the other one
    carries all, the silent one is asked for a sign of life at once, dropped and dialled again."""
    rig = Rig(links=CLIENTS, response_timeout_ms=20_000, echo_idle_ms=3_600_000)
    dead = rig.net.ends[0]
    for end in dead:
        end.deaf = True
    first, second = (rig.begin(sell(rig, payment(rig, key))) for key in ("p1", "p2"))
    rig.settle(21, steps=210)
    assert {first[0][1].outcome, second[0][1].outcome} == {Outcome.UNKNOWN, Outcome.DONE}

    replies = [rig.run(sell(rig, payment(rig, f"q{n}")))[1] for n in range(6)]

    assert {reply.outcome for reply in replies} == {Outcome.DONE}, "the sure link carries them"
    rig.settle(15, steps=150)
    assert not dead[0].open
    assert len(rig.net.ends) == 3
    assert len(rig.bank.hub.links) == 2


def test_a_bank_may_dial_us_and_be_dialled_at_once():
    """One link each way: both carry sales, and either alone is enough."""
    rig = Rig(links=[CLIENTS[0], {**DOOR, "allow": ["127.0.0.1"]}])
    rig.dialled()
    assert {link.name for link in rig.bank.hub.links} == {"icbc-1", "icbc-2.1"}

    rig.net.listeners.pop(8583)
    rig.net.ends[0][0].close()
    rig.settle()

    assert {link.name for link in rig.bank.hub.links} == {"icbc-2.1"}
    _, reply = rig.run(sell(rig, payment(rig)))
    assert reply.outcome is Outcome.DONE
