"""A hospital information system with a list that an auditor may read, and bad habits.

Independent of the bridge: it reads the envelope with plain expressions and answers by hand. With
level L3 a key is booked once, and a cancel leaves a tombstone; below it a repeated confirm is
booked again, as many real ones do (I2 must not depend on their kindness).
"""

import re
from collections.abc import Callable
from random import Random
from typing import Any
from xml.sax.saxutils import escape, unescape

from twisted.internet.protocol import Protocol

from his_bridge.policy import Level
from tests.sim.clock import SimClock
from tests.sim.mix import Mix

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_CODE = re.compile(r"<tradetype>([^<]*)</tradetype><trademsg>(.*?)</trademsg>", re.DOTALL)
_TAGS = re.compile(r"<([A-Z]+)>([^<]*)</\1>")
BOOKS = ("MENZHENJS", "YUJIAOJIN")
"""Functions that book: a bill, a deposit."""
PROCESSING_MAX_S = 25.0
"""Below the profile's longest_processing_ms."""


class Booking:
    """One row of the hospital's list."""

    __slots__ = ("amount", "bill", "booked_at", "cancelled_at", "key")

    def __init__(self, key: str, bill: str, amount: str, booked_at: float) -> None:
        self.key = key
        self.bill = bill
        self.amount = amount
        self.booked_at = booked_at
        self.cancelled_at: float | None = None


class HisHost:
    """The books and the functions; :class:`HisLink` is one connection."""

    def __init__(
        self, clock: SimClock, random: Random, mix: Mix, trace: Callable[..., None]
    ) -> None:
        self.clock = clock
        self.random = random
        self.mix = mix
        self.trace = trace
        self.bookings: list[Booking] = []
        self.asked: list[tuple[float, str, str]] = []
        """When, function, key: for the auditor."""
        self._of_key: dict[str, list[Booking]] = {}
        self._tombs: set[str] = set()
        self._held: dict[str, str] = {}
        self._refused: set[str] = set()

    def buildProtocol(self, _address: object) -> "HisLink":
        return HisLink(self)

    def handle(self, body: str, answer: Callable[[int, str], None]) -> None:
        """One call: perhaps now, perhaps later, perhaps without an answer."""
        code, inner = _CODE.search(body).groups()  # type: ignore[union-attr]
        function = code.rpartition(".")[2]
        fields = dict(_TAGS.findall(unescape(inner)))
        fields = {tag: unescape(value) for tag, value in fields.items()}
        random, mix = self.random.random, self.mix
        self.asked.append((self.clock.rightNow, function, fields.get("JIAOYILSH", "")))
        if random() < mix.his_silent_before:
            self.trace("his", function, "lost before", fields.get("JIAOYILSH", ""))
            return
        if random() < mix.his_processing:
            delay = self.random.uniform(1, PROCESSING_MAX_S)
            self.clock.callLater(delay, self._work, function, fields, answer)
            return
        self._work(function, fields, answer)

    def _work(
        self, function: str, fields: dict[str, str], answer: Callable[[int, str], None]
    ) -> None:
        random, mix = self.random.random, self.mix
        key = fields.get("JIAOYILSH", "")
        if function in BOOKS and random() < mix.his_500:
            self.trace("his", function, key, "500, not booked")
            answer(500, "<html>error</html>")
            return
        error, tags = _FUNCTIONS[function](self, fields)
        self.trace("his", function, key, error)
        if random() < mix.his_silent_after:
            self.trace("his", function, key, "answer lost")
        elif function in BOOKS and random() < mix.his_500_booked:
            answer(500, "")
        elif random() < mix.his_garbage:
            answer(200, "<html><body>busy</body></html>")
        else:
            answer(200, _envelope(function, error, tags))

    # ---- functions ------------------------------------------------------------------------------

    def probe(self, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
        return "0", {}

    def hold(self, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
        key, bill = fields["JIAOYILSH"], fields["DANJUHAO"]
        if key in self._tombs:
            return "2005", {}
        if self.random.random() < self.mix.his_refuses / 3:
            return "2003", {}
        if self._held.setdefault(bill, key) != key:
            return "2004", {}
        return "0", {**_echo(fields), "YUJIESUANHAO": f"Y{key}"}

    def confirm(self, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
        key, bill = fields["JIAOYILSH"], fields.get("DANJUHAO", "")
        if key in self._tombs or key in self._refused:
            return ("2005" if key in self._tombs else "2003"), {}
        rows = self._of_key.get(key, [])
        if not rows or self.mix.his_level is not Level.L3:
            if not rows and self.random.random() < self.mix.his_refuses:
                self._refused.add(key)
                return "2003", {}
            row = Booking(key, bill, fields["JINE"], self.clock.rightNow)
            self._of_key.setdefault(key, []).append(row)
            self.bookings.append(row)
        return "0", {**_echo(fields), "FAPIAOHAO": f"F{key}", "JIESUANLSH": f"J{key}"}

    def cancel(self, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
        key, bill = fields["JIAOYILSH"], fields.get("DANJUHAO", "")
        rows = [row for row in self._of_key.get(key, []) if row.cancelled_at is None]
        if rows and self.random.random() < self.mix.his_dispensed:
            return "2006", {}
        for row in rows:
            row.cancelled_at = self.clock.rightNow
        self._tombs.add(key)
        if self._held.get(bill) == key:
            del self._held[bill]
        return "0", _echo(fields)

    def query(self, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
        key = fields["JIAOYILSH"]
        for row in self._of_key.get(key, []):
            state = "3" if row.cancelled_at is not None else "2"
            echo = {"JIAOYILSH": key, "DANJUHAO": row.bill, "JINE": row.amount}
            return "0", {**echo, "ZHUANGTAI": state, "FAPIAOHAO": f"F{key}"}
        if key in self._tombs:
            return "0", {"JIAOYILSH": key, "ZHUANGTAI": "3"}
        return "2007", {}


def _echo(fields: dict[str, str]) -> dict[str, str]:
    tags = ("JIAOYILSH", "DANJUHAO", "JINE", "BINGRENID")
    return {tag: fields[tag] for tag in tags if tag in fields}


_FUNCTIONS: dict[str, Callable[..., tuple[str, dict[str, str]]]] = {
    "WANGLUOCS": HisHost.probe,
    "YUJIESUAN": HisHost.hold,
    "MENZHENJS": HisHost.confirm,
    "YUJIAOJIN": HisHost.confirm,
    "JIESUANQX": HisHost.cancel,
    "JIESUANCX": HisHost.query,
}


def _envelope(function: str, error: str, tags: dict[str, str]) -> str:
    ok = error == "0"
    inner = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in tags.items())
    out = (
        f"<{function}_OUT><OUTMSG><ERRNO>{error}</ERRNO><ERRMSG></ERRMSG></OUTMSG>"
        f"{inner}</{function}_OUT>"
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        '<runserviceResponse xmlns="http://tempurl.org">'
        f"<runserviceResult>{1 if ok else -1}</runserviceResult>"
        f"<tradeout>{escape(out)}</tradeout>"
        "</runserviceResponse></soap:Body></soap:Envelope>"
    )


class HisLink(Protocol):
    """One connection: requests one after the other."""

    transport: Any

    def __init__(self, host: HisHost) -> None:
        self._host = host
        self._buffer = b""

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(_HEAD_END)
            if not found:
                return
            length = int(_LENGTH.search(head)[1])  # type: ignore[index]
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._host.handle(rest[:length].decode(), self._answer)

    def _answer(self, status: int, body: str) -> None:
        data = body.encode()
        self.transport.write(
            b"HTTP/1.1 %d X\r\nContent-Type: text/xml; charset=utf-8\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (status, len(data), data)
        )
