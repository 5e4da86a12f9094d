"""Keys that change at a bad moment: what leaves is under one set, what is old stays old."""

import msgspec
import pytest
from twisted.internet.defer import Deferred

from channels.iso8583.session import State
from switch.model.outcome import Outcome
from switch.ports import LogicalTerminal
from tests.bank.rig import MERCHANT, SETTINGS, Rig, payment, sell

OWNER = (MERCHANT, "10000001")
SHARED = LogicalTerminal(bank="icbc", merchant="", terminal="")


@pytest.fixture
def host() -> Rig:
    """A switch and a bank that speak host to host."""
    rig = Rig(dialect="cups-host")
    rig.said = []
    rig.host.watch = rig.said.append
    return rig


@pytest.fixture
def one() -> Rig:
    """A POS-style bank and one logical terminal."""
    return Rig(terminals=SETTINGS["terminals"][:1])


def push(rig, owner=OWNER) -> list[str]:
    """The bank resets its keys; what its messages were answered."""
    before = len(rig.said)
    for _, data in rig.host.pushes.keys(owner):
        rig.service.links[0].send(data)
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
