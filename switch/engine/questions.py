"""What is asked while no money moves: of the hospital, of a bank, and how a PIN block is made."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

from switch.model.hospital import BillQuery, PatientQuery
from switch.model.pin import PassThrough, PinPlan, PinRoute
from switch.ports import BalanceQuery, CardSecrets, InquiryReply, Service

_SHAPES: dict[str, type[Struct]] = {"patient_query": PatientQuery, "bill_query": BillQuery}


async def ask_hospital(
    hospital: Service | None, function: str, body: Mapping[str, Any]
) -> InquiryReply:
    """One bounded exchange."""
    shape = _SHAPES.get(function)
    if shape is None or hospital is None:
        return InquiryReply(ok=False, code="unknown_function", text="不支持的查询")
    try:
        request = msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        return InquiryReply(ok=False, code="bad_request", text=str(error))
    return await hospital.inquire(function, request)


async def ask_balance(
    route: PinRoute | None, services: Mapping[str, Service], secrets: CardSecrets, clearing: str
) -> InquiryReply:
    """Of the channel that the card's payment would go by, in the way that its PIN block must."""
    if route is None or secrets.pin_way not in ("", route.pin):
        return InquiryReply(ok=False, code="no_route", text="暂不支持")
    query = BalanceQuery(clearing=clearing or route.clearing, secrets=secrets)
    return await services[route.channel].inquire("balance", query)


async def plan_pin(
    route: PinRoute | None, services: Mapping[str, Service], terminal: str
) -> PinPlan | None:
    """How a terminal's pad makes the PIN block of a card that goes this way."""
    if route is None or route.pin == "translate":
        return PinPlan() if route is not None else None
    channel = cast(PassThrough, services[route.channel])
    return await channel.pin_plan(route.clearing, terminal)
