"""The simulated HIS itself, without I/O: trade code and XML in, return value and XML out.

It speaks the interface of profiles/demo-h1.yaml from the other side, written by hand so that a
mistake in the profile cannot hide in both. Levels as in docs/his-profile.md: at L3 confirms are
idempotent and a cancel leaves a tombstone; below, a second confirm of a key **books twice**.
"""

import zlib
from collections.abc import Callable, Mapping

from msgspec import Struct

from his_bridge.errors import ReplyError
from his_bridge.policy import Level
from his_bridge.simulator_ledger import BillRow, BookingRow, HoldRow, Ledger
from his_bridge.xml import Element, escape, parse, text_at
from switch.model.money import AmountError, fen_from_yuan, yuan

HOLD_MS = 600_000
"""A hold lapses after ten minutes, as slot locks do."""
ID_CHARACTERS = 18
"""Of an ID card's number; codes to be scanned are as long or longer."""
DEPTH_LIMIT = 16

NO_PATIENT = ("1001", "查无此患者")
NO_BILL = ("2001", "单据不存在")
PAID = ("2002", "单据已缴费")
OTHER_AMOUNT = ("2003", "单据金额已变更")
HELD = ("2004", "单据正在其他窗口缴费")
CANCELLED = ("2005", "该笔交易已取消")
NO_ORDER = ("2007", "无此交易流水")
NOT_THE_SAME = ("2008", "流水号重复且内容不一致")
REFUSED = ("2009", "医院系统拒绝受理")
NOT_IN = ("2011", "患者不在院,不能缴纳预交金")
NOT_OFFERED = ("9001", "功能未开通")
BAD_REQUEST = ("9002", "报文格式错误")

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"


class Called(Struct, frozen=True):
    """What the method returns: below 0 is failure; ``xml`` goes out by reference."""

    returned: int
    xml: str


class HisHost:
    """One hospital."""

    def __init__(self, ledger: Ledger, now_ms: Callable[[], int], level: Level = Level.L3) -> None:
        self.ledger = ledger
        self.level = level
        self._now_ms = now_ms
        self._functions: Mapping[str, tuple[str, Callable[[Element], Called]]] = {
            "HIS1.Biz.WANGLUOCS": ("probe", self._probe),
            "HIS1.Biz.RENYUANXX": ("patient_query", self._patient_query),
            "HIS1.Biz.FEIYONGMX": ("bill_query", self._bill_query),
            "HIS1.Biz.YUJIESUAN": ("hold", self._hold),
            "HIS1.Biz.MENZHENJS": ("confirm", self._confirm),
            "HIS1.Biz.YUJIAOJIN": ("deposit", self._deposit),
            "HIS1.Biz.JIESUANQX": ("cancel", self._cancel),
            "HIS1.Biz.JIESUANCX": ("order_query", self._order_query),
        }

    def function_of(self, trade_code: str) -> str:
        """The canonical name, ``unknown`` for a code that is not offered."""
        return self._functions[trade_code][0] if trade_code in self._functions else "unknown"

    def read(self, message: str) -> Element | None:
        """The request's tree, None if it is none."""
        try:
            return parse(message, DEPTH_LIMIT)
        except ReplyError:
            return None

    def call(self, trade_code: str, message: str) -> Called:
        """Do it. What it wrote is durable only after ``ledger.commit()``."""
        request = self.read(message)
        return self.call_parsed(trade_code, request)

    def call_parsed(self, trade_code: str, request: Element | None) -> Called:
        """As :meth:`call`, for a request that :meth:`read` has read."""
        if request is None:
            return _failed("ERROR", BAD_REQUEST)
        if trade_code not in self._functions:
            return _failed("ERROR", NOT_OFFERED)
        try:
            return self._functions[trade_code][1](request)
        except (ReplyError, AmountError):
            return _failed(f"{trade_code.rpartition('.')[2]}_OUT", BAD_REQUEST)

    def refuse(self, trade_code: str, request: Element | None) -> Called:
        """A business refusal without any work, echoing the key."""
        key = text_at(request, "JIAOYILSH") if request is not None else None
        return _failed(f"{trade_code.rpartition('.')[2]}_OUT", REFUSED, JIAOYILSH=key or "")

    # ---- queries -------------------------------------------------------------------------------

    def _probe(self, _request: Element) -> Called:
        return _succeeded("WANGLUOCS_OUT")

    def _patient_query(self, request: Element) -> Called:
        card = text_at(request, "JIUZHENKH") or ""
        if not card or card.startswith("0"):
            return _failed("RENYUANXX_OUT", NO_PATIENT)
        mark = zlib.crc32(card.encode())
        name = _SURNAMES[mark % len(_SURNAMES)] + _GIVEN[mark // 16 % len(_GIVEN)]
        return _succeeded(
            "RENYUANXX_OUT",
            BINGRENID=_number_of(card),
            XINGMING=name,
            JIUZHENKH=card,
            XINGBIE=str(1 + mark % 2),
            CHUSHENGRQ=f"{1940 + mark % 80}-{1 + mark % 12:02d}-{1 + mark % 28:02d}",
        )

    def _bill_query(self, request: Element) -> Called:
        patient = text_at(request, "BINGRENID") or ""
        if not patient:
            return _failed("FEIYONGMX_OUT", NO_PATIENT)
        rows = "".join(
            f"<FEIYONG><DANJUHAO>{escape(bill.bill)}</DANJUHAO><FEIYONGMC>{bill.title}</FEIYONGMC>"
            f"<JINE>{yuan(bill.amount_fen)}</JINE><KESHIMC>{bill.department}</KESHIMC></FEIYONG>"
            for bill in self.ledger.unpaid(patient)[:200]
        )
        return _out("FEIYONGMX_OUT", 0, ("0", ""), f"<FEIYONGLB>{rows}</FEIYONGLB>")

    def _order_query(self, request: Element) -> Called:
        if self.level is Level.L1:
            return _failed("JIESUANCX_OUT", NOT_OFFERED)
        key = text_at(request, "JIAOYILSH") or ""
        booking = self.ledger.booking_of_key(key)
        if booking is not None:
            state = "2" if booking.state == "booked" else "3"
            return _succeeded("JIESUANCX_OUT", ZHUANGTAI=state, **_echo(booking))
        if self.ledger.tombstoned(key):
            return _succeeded("JIESUANCX_OUT", ZHUANGTAI="3", JIAOYILSH=key)
        hold = self.ledger.hold_of_key(key)
        if hold is not None:
            return _succeeded("JIESUANCX_OUT", ZHUANGTAI="1", JIAOYILSH=key, DANJUHAO=hold.bill)
        return _failed("JIESUANCX_OUT", NO_ORDER)

    # ---- money ---------------------------------------------------------------------------------

    def _hold(self, request: Element) -> Called:
        key, patient, bill_id, amount = _money(request)
        refusal = self._why_not(key, patient, bill_id, amount)
        if refusal is not None:
            return _failed("YUJIESUAN_OUT", refusal, JIAOYILSH=key)
        expires_at = self._now_ms() + HOLD_MS
        self.ledger.put_hold(HoldRow(bill_id, key, patient, amount, expires_at))
        return _succeeded(
            "YUJIESUAN_OUT",
            JIAOYILSH=key,
            DANJUHAO=bill_id,
            JINE=yuan(amount),
            YUJIESUANHAO=f"YJ{zlib.crc32(key.encode()):010d}",
        )

    def _confirm(self, request: Element) -> Called:
        key, patient, bill_id, amount = _money(request)
        mine = self.ledger.booking_of_key(key)
        if mine is not None and mine.state == "booked":
            if (mine.patient, mine.bill, mine.amount_fen) != (patient, bill_id, amount):
                return _failed("MENZHENJS_OUT", NOT_THE_SAME, JIAOYILSH=key)
            if self.level is Level.L3:
                return _booked(mine)
        else:
            refusal = self._why_not(key, patient, bill_id, amount)
            if refusal is PAID:
                other = self.ledger.booking_of_bill(bill_id)
                return _failed("MENZHENJS_OUT", PAID, **(_echo(other) if other else {}))
            if refusal is not None:
                return _failed("MENZHENJS_OUT", refusal, JIAOYILSH=key)
        bill = self.ledger.bill(bill_id, patient, amount)
        assert bill is not None
        self.ledger.drop_hold(key)
        return _booked(self.ledger.book(key, bill))

    def _deposit(self, request: Element) -> Called:
        """Money for no bill; a patient whose number begins with 9 is not in the wards."""
        key, patient, _bill, amount = _money(request)
        mine = self.ledger.booking_of_key(key)
        if mine is not None and mine.state == "booked":
            if (mine.patient, mine.amount_fen) != (patient, amount):
                return _failed("YUJIAOJIN_OUT", NOT_THE_SAME, JIAOYILSH=key)
            if self.level is Level.L3:
                return _deposited(mine)
        if self.ledger.tombstoned(key):
            return _failed("YUJIAOJIN_OUT", CANCELLED, JIAOYILSH=key)
        if patient.startswith("9"):
            return _failed("YUJIAOJIN_OUT", NOT_IN, JIAOYILSH=key)
        account = BillRow("", patient, amount, "", "")
        return _deposited(self.ledger.book(key, account))

    def _cancel(self, request: Element) -> Called:
        key, _patient, _bill_id, _amount = _money(request)
        if self.level is not Level.L3:
            return _failed("JIESUANQX_OUT", NOT_OFFERED, JIAOYILSH=key)
        self.ledger.cancel(key)
        return _succeeded("JIESUANQX_OUT", JIAOYILSH=key)

    def _why_not(
        self, key: str, patient: str, bill_id: str, amount_fen: int
    ) -> tuple[str, str] | None:
        if self.ledger.tombstoned(key):
            return CANCELLED
        bill = self.ledger.bill(bill_id, patient, amount_fen)
        if bill is None:
            return NO_BILL
        if self.ledger.booking_of_bill(bill_id) is not None:
            return PAID
        if bill.amount_fen != amount_fen:
            return OTHER_AMOUNT
        hold = self.ledger.hold_of_bill(bill_id, self._now_ms())
        return HELD if hold is not None and hold.key != key else None


def _money(request: Element) -> tuple[str, str, str, int]:
    """Key, patient, bill, amount. Raises ReplyError or AmountError."""
    key = text_at(request, "JIAOYILSH")
    if not key:
        raise ReplyError("no_key", "a money call without a key")
    patient, bill = text_at(request, "BINGRENID") or "", text_at(request, "DANJUHAO") or ""
    return key, patient, bill, fen_from_yuan(text_at(request, "JINE") or "")


def _echo(booking: BookingRow) -> dict[str, str]:
    return {
        "JIAOYILSH": booking.key,
        "DANJUHAO": booking.bill,
        "JINE": yuan(booking.amount_fen),
        "FAPIAOHAO": f"F{booking.number:08d}",
        "JIESUANLSH": str(booking.number),
    }


def _booked(booking: BookingRow) -> Called:
    return _succeeded("MENZHENJS_OUT", **_echo(booking))


def _deposited(booking: BookingRow) -> Called:
    return _succeeded("YUJIAOJIN_OUT", BINGRENID=booking.patient, **_echo(booking))


def _succeeded(root: str, **values: str) -> Called:
    return _out(root, 0, ("0", ""), _tags(values))


def _failed(root: str, why: tuple[str, str], **values: str) -> Called:
    return _out(root, -1, why, _tags(values))


def _tags(values: Mapping[str, str]) -> str:
    return "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in values.items())


def _number_of(card: str) -> str:
    """The hospital's own number of a patient: that of the visit card, but never that of an ID card
    or of a code, which are nobody's to show."""
    return card if len(card) < ID_CHARACTERS else f"N{zlib.crc32(card.encode()):010d}"


def _out(root: str, returned: int, why: tuple[str, str], inside: str) -> Called:
    """The prolog lies, as it does in the field: the text is long decoded."""
    return Called(
        returned,
        f'<?xml version="1.0" encoding="gb2312"?><{root}><OUTMSG><ERRNO>{why[0]}</ERRNO>'
        f"<ERRMSG>{why[1]}</ERRMSG></OUTMSG>{inside}</{root}>",
    )
