"""From a request to the payment it would become, or a Refusal that names the rule."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from switch.catalogue import BUSINESSES, CHANNEL_KINDS, Birth, Business, new_payment, operation_of
from switch.engine.asked import asked_for
from switch.engine.originals import Referred, refer
from switch.engine.refusal import Refusal
from switch.engine.routes import Routes
from switch.model.operation import Operation
from switch.model.outcome import Millis
from switch.model.payment import LegKind, LegPolicy, Payment
from switch.observe.logs import get_logger
from switch.ports import CardSecrets, Counterparty, PaymentRequest, Reserve, Service

log = get_logger("engine")

_HOSPITAL_KINDS = frozenset({LegKind.HOLD, LegKind.BOOK, LegKind.UNBOOK})


class Plan(Struct, frozen=True, kw_only=True):
    """A payment not begun, and what it reserves of its original."""

    payment: Payment
    reserve: Reserve | None = None


class _Way(Struct, frozen=True, kw_only=True):
    """Who does the money legs, for which merchant role, by which operation."""

    channel: str
    clearing: str
    operation: Operation


class Planner:
    """Plans by the catalogue, the routes and who is ready."""

    def __init__(
        self,
        *,
        services: Mapping[str, Service],
        hospitals: Mapping[str, str],
        routes: Routes,
        counterparty: Callable[[str], Counterparty],
        deadline_ms: int,
        profile_version: str,
    ) -> None:
        self._services = services
        self._hospitals = hospitals
        self._routes = routes
        self._counterparty = counterparty
        self._deadline_ms = deadline_ms
        self._profile_version = profile_version

    def plan(
        self,
        request: PaymentRequest,
        digest: str,
        card: CardSecrets | None,
        original: Payment | None,
        at: Millis,
    ) -> Plan:
        """``card`` chooses the route; ``original`` is what ``request.original`` names, or None."""
        business = BUSINESSES.get(request.business)
        if business is None:
            raise Refusal("unknown_business", "不支持的业务")
        hospital = self._hospitals.get(request.hospital)
        if hospital is None:
            rule = f"no hospital {request.hospital!r}"
            log.warning("not_taken", key=request.key, field="hospital", rule=rule)
            raise Refusal("no_route", "暂不支持该支付方式")
        referred = refer(business, request, original, card) if business.original else None
        way = self._way(business, request, card, referred)
        if way.channel and not self._services[way.channel].ready(way.clearing):
            raise Refusal("channel_down", "银行通道暂停服务,请稍后再试")
        books = any(kind in _HOSPITAL_KINDS for kind in business.legs)
        if books and not self._services[hospital].ready(way.clearing):
            raise Refusal("hospital_down", "医院系统暂停服务,请稍后再试")

        def assign(kind: LegKind) -> tuple[str, LegPolicy]:
            name = way.channel if kind in CHANNEL_KINDS else hospital
            if kind is LegKind.FINISH:
                name = request.finisher
            operation = way.operation if kind in CHANNEL_KINDS else business.booking
            return name, self._counterparty(name).policy(kind, way.clearing, operation)

        birth = Birth(
            at=at,
            business_date=self._business_date(request, way),
            deadline_ms=self._deadline_ms,
            request_hash=digest,
            clearing=way.clearing,
            operation=way.operation,
            profile_version=self._profile_version,
            finishes=bool(request.finisher),
            reserved_fen=referred.reserve.amount_fen if referred else 0,
            money_facts=referred.money_facts if referred else {},
            hospital_facts=referred.hospital_facts if referred else {},
        )
        payment = new_payment(business, asked_for(request), birth, assign)
        return Plan(payment=payment, reserve=referred.reserve if referred else None)

    def _way(
        self,
        business: Business,
        request: PaymentRequest,
        card: CardSecrets | None,
        referred: Referred | None,
    ) -> _Way:
        """Money goes back the way it came; new money goes by its route."""
        if referred is not None:
            return _Way(
                channel=referred.channel,
                clearing=referred.clearing,
                operation=operation_of(business, request.medium, referred.operation),
            )
        operation = operation_of(business, request.medium, None)
        clearing = request.clearing or business.clearing
        if not any(kind in CHANNEL_KINDS for kind in business.legs):
            return _Way(channel="", clearing=clearing, operation=operation)
        pan = card.pan.reveal() if card is not None else ""
        route = self._routes.find(request.hospital, request.business, request.medium, pan)
        if route is None:
            raise Refusal("no_route", "暂不支持该支付方式")
        if card is not None and card.pin_way not in ("", route.pin):
            # Under a key of ours where the bank insists on its own, or the other way round.
            log.error("alarm", key=request.key, invariant="I8", text=f"PIN block: {card.pin_way}")
            raise Refusal("pin_way", "密码未按该银行的方式加密,请重新办理")
        clearing = request.clearing or route.clearing or business.clearing
        return _Way(channel=route.channel, clearing=clearing, operation=operation)

    def _business_date(self, request: PaymentRequest, way: _Way) -> str:
        """I14: of the bank that takes the money, or has taken it."""
        if way.channel:
            return self._services[way.channel].business_date()
        if not request.business_date:
            raise Refusal("business_date", "缺少银行营业日期")
        return request.business_date
