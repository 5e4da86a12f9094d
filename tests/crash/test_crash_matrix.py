"""Goal: killed at any named point, a payment ends with one story at bank, hospital and terminal."""

import itertools

import pytest

from switch.audit.compare import BookedPayment
from tests.crash.cases import APPROVED, CASES, NOTHING, SETTLEMENTS, Case
from tests.crash.points import named_points
from tests.crash.rig import Rig, until

pytestmark = pytest.mark.xdist_group("crash")

POINTS = named_points()
HITS = sorted({*POINTS, *CASES} - {*SETTLEMENTS})
_patients = itertools.count(1)


def test_the_matrix_is_for_points_that_exist() -> None:
    """Goal: a renamed point leaves no case behind that would kill nothing."""
    assert {point.partition("#")[0] for point in (*CASES, *SETTLEMENTS)} == set(POINTS)


@pytest.mark.parametrize("point", HITS)
def test_I1_killed_at(rig: Rig, point: str) -> None:
    """Goal: the process dies by SIGKILL exactly there, comes back, and everything heals: the audit
    is clean and what docs/payment-law.md promises for the point holds. A point of the source that
    has no case fails here."""
    assert point in CASES, f"{point}: a crash point without a case"
    case = CASES[point]
    known = {*rig.told("kiosk-1"), *(payment.key for payment in rig.books())}
    heard = dict(rig.heard_by_bank())
    if case.his:
        rig.his_habit(case.his)
    if case.bank:
        rig.bank_habit(**case.bank)

    start = rig.arm(case.process, *case.starts_with, point)
    paying = rig.pay(f"M{next(_patients)}", card=case.card)
    for number in range(len(case.starts_with) + 1):
        rig.dies(case.process, start + number)
    audit = rig.settled()

    paying.exception()  # the tap's own answer died with the kiosk, or came; the journal tells
    assert audit.violations == []
    assert (audit.in_flight, audit.exceptions) == (0, 0)
    (told,) = [line for key, line in rig.told("kiosk-1").items() if key not in known]
    if case.may_refuse and told["state"] == "refused":
        assert rig.heard_by_bank() == heard | {"sign_on": rig.heard_by_bank()["sign_on"]}
        return
    (payment,) = [payment for payment in rig.books() if payment.key not in known]
    assert (told["key"], told["state"]) == (payment.key, case.told)
    _money(rig, case, payment)
    _heard(rig, case, heard)
    _last_words(rig, case, payment)
    if case.slip:
        _slip(rig, case, payment)


def _money(rig: Rig, case: Case, payment: BookedPayment) -> None:
    """I1, I2: both have it once, or neither has it."""
    nets = rig.at_bank(payment)
    booked = [line for line in rig.bookings(payment.key) if line["state"] == "booked"]
    if case.told == APPROVED:
        assert nets == [payment.amount_fen]
        assert [line["amount_fen"] for line in booked] == [payment.amount_fen]
    else:
        assert sum(nets) == 0
        assert len(nets) == (case.entries or case.sales)
        assert booked == []


def _heard(rig: Rig, case: Case, before: dict[str, int]) -> None:
    """I4: what was not committed never left; I3: what was not acknowledged is repeated."""
    now = rig.heard_by_bank()
    assert now.get("sale", 0) - before.get("sale", 0) == case.sales
    assert now.get("reversal", 0) - before.get("reversal", 0) in case.reversals


def _last_words(rig: Rig, case: Case, payment: BookedPayment) -> None:
    """Where the journal stood when the process died, by the fence of what it wrote."""
    trails = rig.trails(payment.key)
    if case.last_words == NOTHING:
        assert len(trails) == 1, "a process that died before the birth wrote of it"
    else:
        assert trails[0][-1].startswith(case.last_words)


def _slip(rig: Rig, case: Case, payment: BookedPayment) -> None:
    folder = rig.stage.kiosk(case.process) / "slips"

    def printed() -> bool:
        slips = [path.read_text("utf-8") for path in folder.glob(f"*{payment.key}*")]
        return any(case.slip in slip for slip in slips)

    until(printed, f"a slip with {case.slip}")
