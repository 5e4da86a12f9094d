"""Keys that change at a bad moment: what leaves is under one set, what is old stays old."""

import msgspec
import pytest
from twisted.internet.defer import Deferred

from channels.iso8583.session import State
from switch.model.outcome import Outcome
from switch.ports import LogicalTerminal
from tests.bank.rig import MERCHANT, SETTINGS, Rig, card, payment, sell

OWNER = (MERCHANT, "10000001")
SHARED = LogicalTerminal(bank="icbc", merchant="", terminal="")


def _host(**changes) -> Rig:
    rig = Rig(dialect="cups-host", **changes)
    rig.said = []
    rig.host.watch = rig.said.append
    return rig


@pytest.fixture
def host() -> Rig:
    """A switch and a bank that speak host to host."""
    return _host()


@pytest.fixture
def one() -> Rig:
    """A POS-style bank and one logical terminal."""
    return Rig(terminals=SETTINGS["terminals"][:1])


def push(rig, owner=OWNER, link=0, data=()) -> list[str]:
    """The bank resets its keys, or sends such bytes; what its messages were answered."""
    before = len(rig.said)
    for one in data or [data for _, data in rig.host.pushes.keys(owner)]:
        rig.service.links[link].send(one)
    rig.settle()
    return [said.code for said in rig.said[before:] if said.answer and said.kind == "key_reset"]


def held(monkeypatch, owner, name) -> Deferred:
    """The next call of this method waits behind its work until the returned Deferred fires."""
    gate, real = Deferred(), getattr(owner, name)

    async def waits(*what, **named):
        monkeypatch.setattr(owner, name, real)
        result = await real(*what, **named)
        await gate
        return result

    monkeypatch.setattr(owner, name, waits)
    return gate


# ---- one set for PIN block and MAC ---------------------------------------------------------------


@pytest.mark.parametrize("call", ["translate_pin", "make_mac"])
def test_a_right_pin_is_never_refused_because_keys_change_while_the_hsm_is_asked(
    host, monkeypatch, call
):
    """Rule 16: both keys are reset behind the translation, or behind the MAC; PIN block and MAC of
    what leaves are under the new set, and the bank finds the PIN right."""
    gate = held(monkeypatch, host.key_service, call)
    selling = host.begin(sell(host, payment(host)))
    host.settle()

    assert push(host) == ["00", "00"]
    gate.callback(None)
    host.settle()

    assert [(reply.outcome, reply.code) for _, reply in selling] == [(Outcome.DONE, "00")]
    assert len(host.host.ledger.entries()) == 1


def test_keys_that_change_all_the_time_end_a_sale_unsent(host, monkeypatch):
    """Bounded (I11): after the third change nothing has left, and the payment is NotSent."""
    new_keys, real = host.bank.sessions[0].new_keys, host.key_service.make_mac

    async def changes(*what):
        keys = new_keys.newest
        new_keys.newest = msgspec.structs.replace(keys, generation=keys.generation + 1)
        return await real(*what)

    monkeypatch.setattr(host.key_service, "make_mac", changes)
    _, reply = host.run(sell(host, payment(host)))

    assert reply.outcome is Outcome.NOT_SENT
    assert host.host.ledger.entries() == []


# ---- whose reset it is ---------------------------------------------------------------------------


@pytest.mark.parametrize("named", [("41", "10000003"), ("42", "103290083980009")])
def test_a_reset_for_another_institution_changes_nothing(host, named):
    """It proves itself, but names a terminal or a merchant that is not ours: 30."""
    before = host.key_rows[SHARED]
    owner = (named[1], OWNER[1]) if named[0] == "42" else (OWNER[0], named[1])
    keyring = host.host.keyring
    keyring._tmks[owner] = keyring._tmks[OWNER]

    assert push(host, owner) == ["30"]

    assert host.key_rows[SHARED] == before == host.bank.sessions[0].keys


# ---- a reset that comes again --------------------------------------------------------------------


@pytest.mark.parametrize("link", [0, 1])
def test_I10_a_key_reset_that_comes_again_later_brings_no_old_keys_back(host, capsys, link):
    """The same bytes prove themselves for ever; they are older than what was taken since, whichever
    node of ours gets them: 30, an alarm, and the newest keys stay."""
    host.peer()
    old = [data for _, data in host.host.pushes.keys(OWNER)]
    assert push(host, data=old) == ["00", "00"]
    host.settle(2)
    assert push(host) == ["00", "00"]
    newest = host.key_rows[SHARED]

    assert push(host, link=link, data=old) == ["30"]

    assert host.key_rows[SHARED] == newest
    assert "older than the newest key reset" in capsys.readouterr().out
    host.settle(1, steps=20)
    assert host.run(sell(host, payment(host)))[1].outcome is Outcome.DONE


def test_a_key_reset_whose_answer_was_lost_is_answered_again(host):
    """The bank sends it once more: 00, and no new generation."""
    same = [data for _, data in host.host.pushes.keys(OWNER)]
    assert push(host, data=same) == ["00", "00"]
    newest = host.key_rows[SHARED]

    assert push(host, data=same) == ["00"]

    assert host.key_rows[SHARED] == newest


# ---- keys that grow old --------------------------------------------------------------------------


def test_a_reset_of_one_key_leaves_the_other_as_old_as_it_is(monkeypatch):
    """Rule 16: the MAC key is new at half its time, the PIN key is not; at key_max_age debits
    stop."""
    rig = _host(key_max_age_ms=100_000)
    keyring = rig.host.keyring
    resets = keyring.resets
    monkeypatch.setattr(keyring, "resets", lambda *what, **named: resets(*what, **named)[:1])
    rig.settle(50, steps=50)
    assert push(rig) == ["00"]
    rig.host.pushes.keys = lambda *_owner, **_more: []

    rig.settle(45, steps=45)
    assert rig.channel.ready("outpatient")
    rig.settle(6, steps=6)

    assert not rig.channel.ready("outpatient")


def test_keys_that_grow_old_are_renewed_without_a_pause(capsys):
    """The host is slow with new keys: asked for, again and with an alarm, and payments go on under
    the old ones until they are too old; with the new ones at once again."""
    rig = _host(key_max_age_ms=100_000)
    real = rig.host.pushes.keys
    rig.host.pushes.keys = lambda *_owner, **_more: []

    for second in range(1, 99):
        rig.settle(1, steps=1)
        assert rig.channel.ready("outpatient"), second
    assert rig.run(sell(rig, payment(rig)))[1].outcome is Outcome.DONE
    assert (rig.host.counts["sign_on"], rig.host.counts["key_request"]) == (1, 3)
    assert "no new keys come" in capsys.readouterr().out
    rig.settle(2, steps=2)
    assert not rig.channel.ready("outpatient")

    rig.host.pushes.keys = real
    rig.settle(6, steps=12)

    assert rig.channel.ready("outpatient")
    assert rig.key_rows[SHARED].generation == 4
    assert rig.host.counts["sign_on"] == 1


def test_A0_for_keys_that_another_node_has_replaced_needs_no_sign_on(host):
    """The reset came on the other node's link; the holder hears A0, finds the newer set, and the
    payment's one retry is done under it."""
    host.peer()
    host.settle(1)
    host.bank._holdings._timer.cancel()
    assert push(host, link=1) == ["00", "00"]
    host.settle(70, steps=7)
    secrets = card()
    paid, first = host.run(sell(host, payment(host), secrets))
    assert (first.code, first.again) == ("A0", True)

    _, second = host.run(sell(host, paid, secrets))

    assert second.outcome is Outcome.DONE
    assert (host.host.counts["sign_on"], host.host.counts["key_request"]) == (1, 1)


# ---- the batch of a sign-on ----------------------------------------------------------------------


def _batch(rig, batch) -> None:
    keys = rig.host.ledger.keys(*OWNER)
    rig.host.ledger.set_keys(*OWNER, msgspec.structs.replace(keys, batch=batch))


def test_a_batch_counts_only_with_keys_that_proved_themselves(one):
    """A sign-on whose check value is wrong names a new batch: neither is ours; the next brings
    both."""
    (terminal,) = one.terminals
    _batch(one, "000007")
    one.habit("wrong_kcv", on="sign_on")
    terminal.want_sign_on("test")
    one.settle()
    assert terminal.state is State.WAITING
    assert one.database.counters.batches[terminal.identity] == "000001"

    one.settle(5.1)

    assert terminal.state is State.READY
    assert one.database.counters.batches[terminal.identity] == "000007"


def test_an_earlier_sign_ons_answer_names_no_batch_any_more(one, monkeypatch):
    """Its answer comes when a later sign-on has brought a newer batch."""
    (terminal,) = one.terminals
    _batch(one, "000007")
    gate = held(monkeypatch, one.bank, "manage")
    terminal.want_sign_on("test")
    one.settle()
    _batch(one, "000008")
    for end, _ in tuple(one.net.ends):
        end.loseConnection()
    one.settle(2)
    assert one.database.counters.batches[terminal.identity] == "000008"

    gate.callback(None)
    one.settle()

    assert terminal.state is State.READY
    assert one.database.counters.batches[terminal.identity] == "000008"


def test_I12_a_key_set_shows_no_key(one):
    """Not even wrapped, in whatever prints it."""
    keys = one.terminals[0].keys

    assert not any(key in repr(keys) for key in (keys.pik, keys.mak))
