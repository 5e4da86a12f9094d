"""Goal: while nobody knows whether a payment was born, nobody is told that it was not taken."""

from switch.model.answer import AnswerState
from tests.engine.rig import House


def test_I7_a_birth_in_doubt_is_pending_and_never_refused() -> None:
    """Goal: the first commit hangs (a database that is coming back, K19) for longer than a
    terminal waits; a repeat of the request is answered PENDING, and the end supersedes that.
    "Refused" would be final to the terminal while the money moves."""
    house = House()
    house.faults.slow_ms = 90_000
    first = house.pay()
    again = house.pay()

    house.pass_s(70)
    assert first.results == []
    assert again.answer.state is AnswerState.PENDING

    house.faults.slow_ms = 0
    house.pass_s(30)
    assert first.answer.state is AnswerState.APPROVED
    assert first.answer.version > again.answer.version


def test_I7_a_repeat_of_a_birth_that_failed_is_refused() -> None:
    """Goal: once the commit is known to have failed, every caller hears that nothing was taken."""
    house = House()
    house.faults.slow_ms = 1_000
    first = house.pay()
    again = house.pay()
    house.faults.is_down = True
    house.pass_s(2)

    assert first.answer.state is AnswerState.REFUSED
    assert again.answer.state is AnswerState.REFUSED
    assert house.bank.sent == []
