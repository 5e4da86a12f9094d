"""The real kiosk front before a front of the engine that plays by the bill's name.

Run as a process: ``python fake_switch.py PKI_DIR [key=value …]``; prints one JSON line with its
ports, takes orders on a loopback HTTP port. Bills: ``PENDING…`` stays open until released,
``D51…`` is declined, ``BOOM…`` breaks, ``DOWN…`` has no journal; everything else is approved.
"""

import json
import resource
import sys
from typing import Any

import msgspec
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred

from channels.kiosk import plugin
from hsm.primitives import check_value, ecb_encrypt
from switch.model.answer import Answer, AnswerState
from switch.model.outcome import Reply, Verb
from switch.model.payment import Leg, LegKind, Payment
from switch.model.secret import Secret
from switch.observe import http, logs, metrics
from switch.ports import InquiryReply, JournalDown, Order, PinFor, PinPlan
from switch.store.notices import MemoryNotices, NoticeRows
from switch.timeline import ReactorTimeline

reactor: Any = _reactor

LIMITS: dict[str, Any] = {
    "bind": "127.0.0.1",
    "port": 0,
    "enrol_port": 0,
    "connections_max": 16,
    "handshake_timeout_ms": 1500,
    "silence_timeout_ms": 60_000,
    "heartbeat_ms": 20_000,
    "finish_timeout_ms": 400,
    "finish_ask_times": 3,
    "finish_ask_wait_ms": 100,
    "terminal_timeout_ms": 100,
    "message_bytes_max": 65_536,
    "in_flight_max": 64,
    "outgoing_bytes_max": 200_000,
    "registry_check_ms": 200,
    "enrol_connections_max": 8,
    "enrol_timeout_ms": 5_000,
    "enrol_tries_per_minute": 8,
}
PATIENTS = {f"P200{number}": f"P200{number}" for number in range(2, 7)}
"""Visit card → patient; every other card is P1's."""
BILLS = {"P2002": ("SLOW-1",), "P2003": ("D51-1",), "P2004": ("D55-1",), "P2005": ()}
BANK_TMK, BANK_PIK = "CA5D92598DCA48CE8A4C76361A9269E9", "807A23AD32B36D457AE91FDF927570EA"
"""Of the bank that insists on its own PIN key in the pad."""
BUSINESSES = {
    "outpatient_bill": {"title": "门诊缴费", "clearing": "outpatient"},
    "inpatient_deposit": {"title": "住院预交", "clearing": "inpatient"},
}


class Timeline(ReactorTimeline):
    """Real time, on a fixed day."""

    def wall_clock(self) -> tuple[str, str]:
        return "20260301", "120000"


class Cards:
    """Has cards finished at terminals, and hears what comes late (LateReplies)."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def late(self, payment_key: str, leg_index: int, attempt: int, reply: Reply) -> None:
        self._hear("late", payment_key, reply)

    def order(self, finisher: Any, wish: dict[str, Any]) -> None:
        """Begin the exchange that ``wish`` describes; its reply is heard when it ends."""
        policy = finisher.policy(LegKind.FINISH, "outpatient")
        debit = Leg(
            kind=LegKind.DEBIT, counterparty="b", amount_fen=1, policy=policy, code=wish["code"]
        )
        finish = Leg(
            kind=LegKind.FINISH, counterparty="kiosks", amount_fen=1, policy=policy, attempt=1
        )
        payment = Payment(
            key=wish["finish"],
            hospital="H1",
            business="outpatient_bill",
            terminal=wish["finish"].split("-")[0],
            amount_fen=1,
            request_hash="",
            born_at=0,
            business_date="20260301",
            legs=(debit, finish),
        )
        issuer = None if wish["issuer"] is None else Secret(bytes.fromhex(wish["issuer"]))
        order = Order(
            payment=payment,
            leg_index=1,
            verb=Verb(wish["verb"]),
            issuer=issuer,
            may_send=lambda: bool(wish["may_send"]),
        )
        exchange = Deferred.fromCoroutine(finisher.exchange(order, None))
        exchange.addCallback(lambda reply: self._hear("reply", payment.key, reply))

    def _hear(self, how: str, key: str, reply: Reply) -> None:
        facts = {"outcome": str(reply.outcome), "code": reply.code, "facts": reply.facts}
        self.heard.append({"how": how, "key": key, **facts})


async def now(work: Any) -> Any:
    """A database that answers at once."""
    return work()


class FakeContext:
    """What a front's ``build`` needs of the composition root."""

    def __init__(self) -> None:
        self.timeline = Timeline(reactor)
        self.reactor = reactor
        self.late = Cards()
        self.notices = MemoryNotices(NoticeRows(), now)


class FakeFront:
    """Remembers every key; the same key gets the same answer, other content is refused (I8)."""

    def __init__(self) -> None:
        self.requests: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        self.seen: list[dict[str, Any]] = []
        self.plans: list[list[str]] = []
        self.watchers: dict[str, list[Any]] = {}
        self.waiting: dict[str, list[Deferred[None]]] = {}

    async def start(self, request: Any, secrets: Any) -> Answer:
        pin_block = secrets.pin_block.reveal() if secrets and secrets.pin_block else ""
        made_for = secrets.pin_for if secrets else None
        seen = {
            "start": request.key,
            "pin_block": pin_block,
            "pin_for": None if made_for is None else msgspec.structs.asdict(made_for),
            "finisher": request.finisher,
        }
        self.seen.append(seen)
        if request.bill.startswith("BOOM"):
            raise RuntimeError(f"a fault with {secrets.pan!r}")
        if request.bill.startswith("DOWN"):
            raise JournalDown("away")
        if request.key in self.requests:
            if self.requests[request.key] != request:
                return Answer(
                    key=request.key, state=AnswerState.REFUSED, code="I8", text="内容不一致"
                )
            return self.answers[request.key]
        self.requests[request.key] = request
        answer = _answer(request)
        self.answers[request.key] = answer
        if request.bill.startswith("SLOW"):
            waiter: Deferred[None] = Deferred()
            self.waiting.setdefault(request.key, []).append(waiter)
            await waiter
            answer = self.answers[request.key]
        return answer

    async def query(self, hospital: str, terminal: str, key: str) -> Answer:
        self.seen.append({"query": key})
        known = self.answers.get(key)
        if known is None:
            known = Answer(key=key, state=AnswerState.UNKNOWN_KEY, version=1, text="未找到")
            self.answers[key] = known
        return known

    async def inquire(self, hospital: str, function: str, body: Any) -> InquiryReply:
        if function == "patient_query":
            if body["card_no"] == "NOBODY":
                return InquiryReply(ok=False, code="404", text="未找到患者")
            number = body["card_no"]
            patient = {"patient_id": PATIENTS.get(number, "P1"), "name": "王小明"}
            return InquiryReply(ok=True, body={**patient, "card_no": number, "gender": "M"})
        if function == "choices":
            return InquiryReply(ok=False, code="unknown_function", text="不支持的查询")
        named = {"title": "血常规", "amount_fen": 1234, "department": "检验科"}
        bills = [{"bill_id": bill, **named} for bill in BILLS.get(body["patient_id"], ("B1",))]
        return InquiryReply(ok=True, body=bills)

    async def balance(self, hospital: str, business: str, secrets: Any) -> InquiryReply:
        return InquiryReply(ok=True, body={"balance_fen": 500_000})

    async def pin_plan(
        self, hospital: str, terminal: str, business: str, medium: str, pan: str
    ) -> PinPlan | None:
        """Cards of 9 have no route; those of 8 belong to a bank whose own key sits in the pad."""
        self.plans.append([hospital, terminal, business, medium, pan])
        if pan.startswith("9"):
            return None
        return through(terminal) if pan.startswith("8") else PinPlan()

    def watch(self, terminal: str, tell: Any) -> Any:
        self.watchers.setdefault(terminal, []).append(tell)
        return lambda: self.watchers[terminal].remove(tell)

    def release(self, key: str, state: str) -> None:
        """The outcome of an open payment becomes known."""
        old = self.answers[key]
        receipt = {"F37": "012345678901", "masked_pan": "622588******0001"}
        new = msgspec.structs.replace(
            old, state=AnswerState(state), version=old.version + 1, receipt=receipt
        )
        self.answers[key] = new
        for tell in list(self.watchers.get(self.requests[key].terminal, ())):
            tell(new)
        for waiter in self.waiting.pop(key, ()):
            waiter.callback(None)


def through(kiosk: str) -> PinPlan:
    """The plan of a bank that insists on its own key."""
    made_for = PinFor(
        bank="icbc", merchant="M" * 15, terminal="10000001", generation=3, kiosk=kiosk
    )
    return PinPlan(
        pin_for=made_for,
        slot="icbc.outpatient",
        cryptogram=ecb_encrypt(bytes.fromhex(BANK_TMK), bytes.fromhex(BANK_PIK)).hex().upper(),
        check_value=check_value(bytes.fromhex(BANK_PIK)).hex().upper()[:8],
    )


def _answer(request: Any) -> Answer:
    facts = {
        "masked_pan": "622588******0001",
        "F11": "000001",
        "F37": "012345678901",
        "F41": "10000001",
        "F42": "123456789012345",
        "batch": "000001",
        "his_receipt": "R0001",
    }
    if request.bill.startswith(("PENDING", "SLOW")):
        return Answer(
            key=request.key, state=AnswerState.PENDING, version=1, amount_fen=request.amount_fen
        )
    if request.bill.startswith("D55"):
        return Answer(
            key=request.key,
            state=AnswerState.DECLINED,
            version=4,
            amount_fen=request.amount_fen,
            code="55",
            text="密码错误",
        )
    if request.bill.startswith("D51"):
        return Answer(
            key=request.key,
            state=AnswerState.DECLINED,
            version=4,
            amount_fen=request.amount_fen,
            code="51",
            text="余额不足",
        )
    return Answer(
        key=request.key,
        state=AnswerState.APPROVED,
        version=4,
        amount_fen=request.amount_fen,
        receipt=facts,
    )


def main() -> None:
    """Start, print the ports, turn until killed."""
    logs.configure("info", sys.stderr.buffer)
    limits = dict(LIMITS, pki=sys.argv[1], businesses=BUSINESSES)
    for argument in sys.argv[2:]:
        name, _, value = argument.partition("=")
        limits[name] = int(value)
    front, context = FakeFront(), FakeContext()
    config = msgspec.convert(limits, plugin.config_schema)
    service = plugin.build("kiosks", config, front, context)  # type: ignore[arg-type]
    service.start()

    def do(order: dict[str, Any]) -> object:
        if "release" in order:
            front.release(order["release"], order["state"])
        if "drop" in order:
            for session in list(service._sessions.values()):
                session._guard.abort()
        if "push" in order:
            service._sessions[order["push"]].push(order["name"], order["body"])
        if "reset" in order:
            front.requests.clear()
            front.answers.clear()
            front.seen.clear()
            context.late.heard.clear()
        if "finish" in order:
            context.late.order(service.finisher, order)
        if "tell" in order:
            for tell in list(front.watchers.get(order["tell"], ())):
                for _ in range(order["times"]):
                    tell(Answer(key="K-1", state=AnswerState.PENDING, text="字" * 1000))
        return {}

    def usage(_body: object) -> object:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {"cpu_s": used.ru_utime + used.ru_stime, "payments": len(front.requests)}

    control = http.serve_json(
        reactor,
        0,
        {
            ("POST", "/do"): do,
            ("GET", "/seen"): lambda _body: front.seen,
            ("GET", "/plans"): lambda _body: front.plans,
            ("GET", "/heard"): lambda _body: context.late.heard,
            ("GET", "/usage"): usage,
            ("GET", "/metrics"): lambda _body: metrics.exposition().decode(),
            ("GET", "/answers"): lambda _body: msgspec.to_builtins(front.answers),
        },
    )
    ports: Any = dict(service.addresses(), control=control.getHost().port)  # type: ignore[attr-defined]
    sys.stdout.write(json.dumps({"event": "ports", **ports}) + "\n")
    sys.stdout.flush()
    reactor.run()


if __name__ == "__main__":
    main()
