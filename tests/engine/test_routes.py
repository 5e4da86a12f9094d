"""Routes: by hospital, business, medium and BIN, to a bank and its merchant role."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from switch.engine import Route
from tests.engine.rig import House

PAN = "6222020200112233445"


def route(channel: str, **fields: Any) -> Route:
    base = {"hospital": "h1", "business": "outpatient_bill", "medium": "bank_card"}
    return Route(**(base | fields), channel=channel)


@pytest.mark.parametrize(
    ("bins", "channel"),
    [(("622202",), "bank-b"), (("62220202",), "bank-b"), (("622203", "62"), "bank-b"),
     (("622203",), "bank")],
)  # fmt: skip
def test_the_longest_bin_wins_and_the_rest_goes_without(
    bins: tuple[str, ...], channel: str
) -> None:
    """A route with BINs takes its cards; one without takes every other card."""
    house = House(routes=(route("bank"), route("bank-b", bins=bins)))
    house.pay()
    assert house.stored().legs[1].counterparty == channel


def test_a_longer_bin_goes_before_a_shorter_one() -> None:
    """622202 belongs to one bank, 62 to another."""
    house = House(routes=(route("bank", bins=("62",)), route("bank-b", bins=("622202",))))
    house.pay()
    assert house.stored().legs[1].counterparty == "bank-b"


def test_without_a_route_for_the_card_nothing_is_taken() -> None:
    """No default route: a card of another bank is refused."""
    house = House(routes=(route("bank", bins=("4",)),))
    assert house.pay().answer.code == "no_route"


def test_the_merchant_role_is_the_terminals_else_the_routes_else_the_business() -> None:
    """门诊 and 住院 clear apart: whoever has a role of its own says so."""
    plain = House()
    plain.pay()
    assert plain.stored().clearing == "outpatient"
    routed = House(routes=(route("bank", clearing="inpatient"),))
    routed.pay()
    assert routed.stored().clearing == "inpatient"
    own = House(routes=(route("bank", clearing="inpatient"),))
    own.pay(clearing="emergency")
    assert own.stored().clearing == "emergency"


def test_a_terminal_may_ask_for_the_route_before_the_pin() -> None:
    """The beginning of the card number is enough; the way of the PIN block comes with it."""
    house = House(routes=(route("bank"), route("bank-b", bins=("6222",), pin="pass_through")))
    found = house.engine.route("h1", "outpatient_bill", "bank_card", PAN[:6])
    assert found is not None
    assert (found.channel, found.clearing, found.pin) == ("bank-b", "outpatient", "pass_through")
    assert house.engine.route("h1", "nothing", "bank_card", PAN) is None


def test_a_hospital_that_is_not_configured_is_named_in_one_log_line() -> None:
    """Nothing is taken for it, and whoever looks for the reason finds field and rule, no card."""
    house = House()
    with capture_logs() as logs:
        assert house.pay(hospital="h9").answer.code == "no_route"
    [line] = [line for line in logs if line["log_level"] == "warning"]
    assert (line["field"], line["rule"]) == ("hospital", "no hospital 'h9'")
    assert PAN not in repr(logs)
