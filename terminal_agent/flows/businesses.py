"""The businesses of the kiosk as data: what is picked on the way, and what stands at the end.

A business that the switch does not list is shown as out of service; nothing here has to change when
the switch begins to serve it.
"""

from enum import StrEnum

from msgspec import Struct


class Source(StrEnum):
    """Who says what may be picked."""

    BILLS = "bills"
    """The hospital: the patient's unpaid bills (Bill.Query)."""
    CHOICES = "choices"
    """The hospital: whatever the step is about (Choice.Query)."""
    AMOUNTS = "amounts"
    """The kiosk's configuration: sums to choose from."""
    SLIPS = "slips"
    """The kiosk's own journal: this patient's latest payments here."""


class Goal(StrEnum):
    """What stands at the end."""

    PAY = "pay"
    READ = "read"
    """The picks of the last step are shown, not picked."""
    PRINT = "print"


class Pick(Struct, frozen=True):
    """One step of picking; ``step`` names it to the switch and on the step bar."""

    step: str
    source: Source


class Flow(Struct, frozen=True, kw_only=True):
    """One tile. ``serves`` is the business that the switch must list, empty for the kiosk's own."""

    business: str
    group: str
    serves: str
    clearing: str = ""
    """Whose merchant and terminal number a chip card hears: outpatient, inpatient."""
    picks: tuple[Pick, ...]
    goal: Goal
    elder: bool = False
    """Also shown in elder mode, which has few tiles."""

    @property
    def steps(self) -> tuple[str, ...]:
        """Words of the step bar."""
        picked = tuple(pick.step for pick in self.picks)
        if self.goal is Goal.PAY:
            return ("identify", *picked, "check", "pay", "done")
        return ("identify", *picked)


def _paid(business: str, group: str, clearing: str, *picks: Pick, elder: bool = False) -> Flow:
    return Flow(
        business=business,
        group=group,
        serves=business,
        clearing=clearing,
        picks=picks,
        goal=Goal.PAY,
        elder=elder,
    )


_BILL = Pick("bill", Source.BILLS)
_AMOUNT = Pick("amount", Source.AMOUNTS)

FLOWS = {
    flow.business: flow
    for flow in (
        _paid("outpatient_bill", "pay", "outpatient", _BILL, elder=True),
        _paid(
            "registration",
            "register",
            "outpatient",
            Pick("department", Source.CHOICES),
            Pick("doctor", Source.CHOICES),
            Pick("slot", Source.CHOICES),
            elder=True,
        ),
        _paid(
            "appointment_pickup",
            "register",
            "outpatient",
            Pick("appointment", Source.CHOICES),
            elder=True,
        ),
        _paid("account_topup", "account", "outpatient", _AMOUNT),
        _paid("inpatient_deposit", "pay", "inpatient", _AMOUNT),
        Flow(
            business="bill_query",
            group="query",
            serves="outpatient_bill",
            picks=(_BILL,),
            goal=Goal.READ,
        ),
        Flow(
            business="report_print",
            group="query",
            serves="report_print",
            picks=(Pick("report", Source.CHOICES),),
            goal=Goal.PRINT,
        ),
        Flow(
            business="slip_reprint",
            group="query",
            serves="",
            picks=(Pick("slip", Source.SLIPS),),
            goal=Goal.PRINT,
            elder=True,
        ),
    )
}
"""In the order of the home page."""
