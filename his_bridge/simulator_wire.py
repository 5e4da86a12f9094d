"""SOAP over HTTP around the simulated HIS, with its habits; still without I/O."""

from collections.abc import Callable

from msgspec import Struct

from his_bridge.errors import ReplyError
from his_bridge.simulator_habits import NO_WORK, Habit, Habits, Mode
from his_bridge.simulator_host import Called, HisHost
from his_bridge.xml import Element, child, decode, escape, parse, text_at

BODY_LIMIT_BYTES = 262_144
HUGE_BYTES = 10_000_000
_DEPTH_LIMIT = 16

_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
)
_END = "</soap:Body></soap:Envelope>"
_HTML = "<!DOCTYPE html><html><body><h1>Service Unavailable</h1></body></html>"


class Wire(Struct, kw_only=True):
    """What goes back: ``data`` (None: nothing ever) after ``delay_ms``, then close or not.

    ``work``, if there is one, is done after the delay and makes the data.
    """

    data: bytes | None = None
    delay_ms: int = 0
    close: bool = False
    work: Callable[[], bytes] | None = None


class HisWire:
    """One request body in, one wire out."""

    def __init__(self, host: HisHost, habits: Habits) -> None:
        self.host = host
        self.habits = habits

    def receive(self, body: bytes) -> Wire:
        """What the HIS does with it. Writes are durable only after the ledger's commit."""
        try:
            trade_code, message = _unwrap(body)
        except ReplyError:
            return Wire(data=_http(500, _fault("Client", "bad request")))
        request = self.host.read(message)
        patient = (text_at(request, "BINGRENID") or "") if request is not None else ""
        habit = self.habits.take(self.host.function_of(trade_code), patient)
        if habit is None:
            return Wire(data=_reply(self.host.call_parsed(trade_code, request)))
        return self._by_habit(habit, trade_code, request)

    def _by_habit(self, habit: Habit, trade_code: str, request: Element | None) -> Wire:
        mode = habit.mode
        if mode is Mode.SLOW_BOOKING:
            return Wire(
                delay_ms=habit.delay_ms,
                work=lambda: _reply(self.host.call_parsed(trade_code, request)),
            )
        if mode is Mode.REFUSE:
            called = self.host.refuse(trade_code, request)
        elif mode in NO_WORK:
            called = Called(0, "")
        else:
            called = self.host.call_parsed(trade_code, request)
        wire = _spoilt(mode, called)
        wire.delay_ms = habit.delay_ms
        return wire


def _spoilt(mode: Mode, called: Called) -> Wire:
    good = _reply(called)
    match mode:
        case Mode.SILENT | Mode.BOOK_THEN_SILENT:
            return Wire()
        case Mode.ERROR_500 | Mode.BOOK_THEN_500:
            return Wire(data=_http(500, _HTML.encode(), "text/html"))
        case Mode.FAULT:
            return Wire(data=_http(500, _fault("Server", "internal error")))
        case Mode.EMPTY_BODY:
            return Wire(data=_http(200, b""))
        case Mode.HTML:
            return Wire(data=_http(200, _HTML.encode(), "text/html"))
        case Mode.INVALID_XML:
            return Wire(data=_http(200, _body(called)[:-9]))
        case Mode.GBK_LIE:
            return Wire(data=_http(200, _body(called, "单据备注").decode().encode("gbk")))
        case Mode.HUGE_REPLY:
            return Wire(data=_http(200, _body(called).ljust(HUGE_BYTES)))
        case Mode.HALF_REPLY:
            return Wire(data=good[: len(good) // 2], close=True)
        case Mode.DROP_CONNECTION:
            return Wire(data=b"", close=True)
        case _:  # refuse and slow answer in good form
            return Wire(data=good)


def _unwrap(body: bytes) -> tuple[str, str]:
    root = parse(decode(body, "utf-8", BODY_LIMIT_BYTES), _DEPTH_LIMIT)
    soap_body = child(root, "Body")
    call = child(soap_body, "runservice") if soap_body is not None else None
    if call is None:
        raise ReplyError("no_call", "not a call of runservice")
    return text_at(call, "tradetype") or "", text_at(call, "trademsg") or ""


def _body(called: Called, comment: str = "") -> bytes:
    note = f"<!--{comment}-->" if comment else ""
    return (
        f'{_ENVELOPE}{note}<runserviceResponse xmlns="http://tempurl.org"><runserviceResult>'
        f"{called.returned}</runserviceResult><tradeout>{escape(called.xml)}</tradeout>"
        f"</runserviceResponse>{_END}"
    ).encode()


def _reply(called: Called) -> bytes:
    return _http(200, _body(called))


def _fault(code: str, text: str) -> bytes:
    return (
        f"{_ENVELOPE}<soap:Fault><faultcode>soap:{code}</faultcode>"
        f"<faultstring>{text}</faultstring></soap:Fault>{_END}"
    ).encode()


def _http(status: int, body: bytes, kind: str = "text/xml") -> bytes:
    reason = "OK" if status == 200 else "Internal Server Error"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
