"""How many sales a bank may have at once, over all its terminals (``in_flight_limit``, I11).

One terminal with room for more than that, so that what stops the next sale is the bank's limit and
nothing else. The bank counts what has reached it.
"""

import pytest

from channels.bank_simulator.habits import Habit, Name
from channels.bank_simulator.habits import Order as HabitOrder
from switch.model.outcome import Outcome
from tests.bank.rig import SETTINGS, Rig, card, do, payment, sell, undo

LIMIT = 64
QUEUE_LIMIT = 2
QUEUE_WAIT_S = 3
BANK_TIMEOUT_S = 60


class Roomy(Rig):
    """A bank that takes 64 sales at once, and a terminal that would take 128."""

    def __init__(self):
        roomy = SETTINGS["terminals"][0] | {"in_flight": 128}
        super().__init__(terminals=[roomy], in_flight_limit=LIMIT, stan_block=2 * LIMIT)

    def keep_busy(self, **first):
        """64 sales are out; the bank is silent to all of them, or has ``first`` for the first."""
        silent = Habit(habit=Name.SILENT, times=LIMIT - 1 if first else LIMIT)
        self.host.habits.set(HabitOrder(next=(*(Habit(**one) for one in [first] if one), silent)))
        begun = [self.begin(sell(self, payment(self, f"p{n}"))) for n in range(LIMIT)]
        self.settle()
        assert (self.sales_at_the_bank, begun) == (LIMIT, [[]] * LIMIT)
        return begun

    @property
    def sales_at_the_bank(self):
        return self.host.counts.get("sale", 0)


@pytest.fixture
def rig():
    """Signed on, nothing sold yet."""
    return Roomy()


def test_I11_the_sale_above_the_limit_waits_and_goes_when_one_ends(rig):
    """64 are out, the 65th is not sent; it is at the bank as soon as the first is answered."""
    first, *others = rig.keep_busy(habit=Name.LATE, delay_ms=2_000)

    next_one = rig.begin(sell(rig, payment(rig, "next")))
    rig.settle(1.5)
    assert (next_one, rig.sales_at_the_bank) == ([], LIMIT)
    rig.settle(1)

    assert [reply.outcome for _, reply in first + next_one] == [Outcome.DONE] * 2
    assert rig.sales_at_the_bank == LIMIT + 1
    assert others == [[]] * (LIMIT - 1)


def test_I11_the_sale_that_waited_in_vain_is_not_sent(rig):
    """Nobody's end comes within queue_wait_ms: not prepared, and the bank never hears of it."""
    rig.keep_busy()

    next_one = rig.begin(rig.channel.prepare(do(payment(rig, "next")), card()))
    rig.settle(QUEUE_WAIT_S - 0.1)
    assert next_one == []
    rig.settle(0.2)

    assert next_one == [None]
    order = do(payment(rig, "next"))
    assert rig.run(rig.channel.exchange(order, card())).outcome is Outcome.NOT_SENT
    assert rig.sales_at_the_bank == LIMIT


def test_I11_the_line_is_bounded(rig):
    """Two may wait; one more is refused at once, and those in line keep their turn."""
    rig.keep_busy(habit=Name.LATE, delay_ms=2_000)

    waiting = [rig.begin(sell(rig, payment(rig, f"w{n}"))) for n in range(QUEUE_LIMIT)]
    beyond = rig.begin(rig.channel.prepare(do(payment(rig, "beyond")), card()))
    assert beyond == [None]
    rig.settle(2.5)

    # The place of the first one goes from hand to hand: each is answered at once.
    assert [reply.outcome for (_, reply) in (*waiting[0], *waiting[1])] == [Outcome.DONE] * 2
    assert rig.sales_at_the_bank == LIMIT + QUEUE_LIMIT


def test_I3_reversals_go_beside_as_many_sales(rig):
    """The silent ones end Unknown and keep their places, and each is reversed all the same."""
    begun = rig.keep_busy()
    rig.settle(BANK_TIMEOUT_S + 1)
    sold = [result for (result,) in begun]
    assert [reply.outcome for _, reply in sold] == [Outcome.UNKNOWN] * LIMIT

    undone = [rig.begin(rig.channel.exchange(undo(paid), None)) for paid, _ in sold]
    rig.settle(1)

    assert [reply.outcome for (reply,) in undone] == [Outcome.DONE] * LIMIT
    assert rig.host.debits()["net_fen"] == 0
