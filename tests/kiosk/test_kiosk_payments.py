"""Payments of a kiosk over a link that plays tricks, on virtual time."""

import itertools
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from terminal_agent import protocol
from terminal_agent.config import PaymentTimes
from terminal_agent.journal import Journal, PaymentOrder
from terminal_agent.link import Lost
from terminal_agent.payments import Payments

TIMES = PaymentTimes(
    resend_timeout_ms=60_000, resend_wait_ms=500, query_interval_ms=5_000, patient_wait_ms=90_000
)


class HungUp:
    """A link that was hung up, and whose end the reactor has not told yet."""

    up = True

    def __init__(self) -> None:
        self.asked = 0

    async def request(self, *_request: Any, **_named: Any) -> Any:
        self.asked += 1
        raise Lost(sent=False)


def test_I11_a_link_hung_up_but_not_yet_down_does_not_stop_the_kiosk(tmp_path: Path) -> None:
    """The switch said goodbye: until its socket ends the kiosk waits, and never spins."""
    clock, ticks = Clock(), itertools.count()
    journal = Journal(tmp_path / "journal.db", "K1")
    order = PaymentOrder(business="outpatient_bill", amount_fen=100, patient="P1")
    (key,) = journal.create([order], "20260301", 0)
    payments = Payments(
        clock, journal, TIMES, now_ms=lambda: next(ticks), on_news=lambda _told: None
    )
    link: Any = HungUp()
    payments.link = link
    body = protocol.PaymentStart(business="outpatient_bill", amount_fen=100, patient="P1")
    Deferred.fromCoroutine(payments.pay(key, body))
    assert link.asked == 1
    clock.advance(0.6)
    assert link.asked == 2
    journal.close()
