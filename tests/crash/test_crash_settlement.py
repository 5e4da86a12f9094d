"""Goal: killed at any point of a settlement, a batch settles once, not mixed with the next."""

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from switch.cli import main
from switch.store.embedded import embedded_dsn
from tests.crash.cases import SETTLEMENTS
from tests.crash.rig import Rig, until

pytestmark = pytest.mark.xdist_group("crash")

OPEN = ("ordered", "settling", "uploading")
UNDER_WAY = 3


def rows(rig: Rig, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    """From the journal, as an operator would ask it."""
    with closing(psycopg2.connect(embedded_dsn(rig.stage.postgres))) as session:
        with session.cursor() as cursor:
            cursor.execute(query, arguments)
            return cursor.fetchall()


def pay(rig: Rig, patient: str) -> None:
    """A patient pays, once the kiosk has its link again and the switch its bank."""

    def approved() -> bool:
        paid = rig.pay(patient).result()
        assert paid.get("state", "approved") == "approved", paid
        return "state" in paid

    until(approved, "the payment is approved")


@pytest.mark.parametrize("point", SETTLEMENTS)
def test_I1_a_settlement_killed_at(rig: Rig, point: str) -> None:
    """Goal: a payment, then an order to settle; the switch dies there. Afterwards every batch that
    had something is closed as balanced, the bank and the journal agree on its totals, the next
    payment goes by another batch, and the audit is clean."""
    pay(rig, f"S{SETTLEMENTS.index(point)}")
    newest = max((row[0] for row in rows(rig, "SELECT id FROM settlement")), default=0)
    start = rig.arm("switch", point)
    dsn = embedded_dsn(rig.stage.postgres)
    assert main(["bank", "settle", "demo-bank", "--wait", "0", "--dsn", dsn]) == UNDER_WAY
    rig.dies("switch", start)

    def ended() -> bool:
        states = [row[0] for row in rows(rig, "SELECT state FROM settlement WHERE id > %s", newest)]
        return not set(states) & {*OPEN}

    until(ended, "every batch is settled")
    found = rows(rig, "SELECT state, result FROM settlement WHERE id > %s", newest)
    assert {("closed", "balanced")} <= set(found) <= {("closed", "balanced"), ("empty", "")}
    pay(rig, "S9")
    assert rig.settled().violations == []
    numbers = rows(
        rig,
        "SELECT count(*) FROM exchange_identity x JOIN settlement s USING (bank, merchant,"
        " terminal, batch) JOIN payment p ON p.key = x.payment_key"
        " WHERE s.state = 'closed' AND p.born_at > s.closed_at",
    )
    assert numbers == [(0,)]
