"""A logical terminal that came at a bad moment is not lost to its holder (I3)."""

from switch.model.outcome import Outcome
from switch.ports import JournalDown
from tests.bank.rig import SETTINGS, Rig, payment, sell, undo


def _taken_at_a_bad_moment(monkeypatch):
    """A node dies behind a sale; its peer takes the terminal over while the peer's own lease has
    just run out and the database does not say the keys."""
    rig = Rig(terminals=SETTINGS["terminals"][:1])
    paid, _ = rig.run(sell(rig, payment(rig)))
    peer = rig.peer()
    keys, failed = peer.terminals[0]._context.keys, []
    load = keys.load

    async def once(terminal):
        if not failed:
            failed.append(terminal)
            peer.node.term += 1
            raise JournalDown
        return await load(terminal)

    monkeypatch.setattr(keys, "load", once)
    rig.node.frozen = True
    peer.settle(200)
    assert failed
    return peer, paid


def test_I3_a_reversal_finds_the_stored_keys(monkeypatch):
    """The keys are read when they are needed, also by who holds the terminal."""
    peer, paid = _taken_at_a_bad_moment(monkeypatch)
    reply = peer.run(peer.channel.exchange(undo(paid), None))

    assert reply.outcome is Outcome.DONE


def test_a_held_terminal_without_a_session_begins_one_at_the_next_look(monkeypatch):
    """What could not begin when it came begins later: new debits go by it."""
    peer, _ = _taken_at_a_bad_moment(monkeypatch)

    assert peer.terminals[0].fresh
