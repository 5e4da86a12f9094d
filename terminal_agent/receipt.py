"""Slips: hospital part and bank part as text of fixed width, Chinese two columns wide.

A slip is a function of the journal's entry and the configuration: printed again, it is the same
slip with 重打印 on it. The card number is masked by the switch; the name is masked here.
"""

import datetime
from collections.abc import Iterator, Mapping

from terminal_agent.journal import Entry

AMOUNT_TEXT = {
    "approved": "缴费成功",
    "returned": "缴费未成功 款项已退回",
    "declined": "缴费未成功 未扣款",
    "exception": "结果待核实 请到人工窗口",
    "pending": "处理中 请稍候查询",
    "unknown_key": "未受理 未扣款",
    "refused": "未受理 未扣款",
}
BANK_FACTS = (
    ("merchant_name", "商户名称"),
    ("F42", "商户编号"),
    ("F41", "终端编号"),
    ("operator", "操作员号"),
    ("scheme", "卡组织"),
    ("issuer", "发卡机构"),
    ("acquirer", "收单机构"),
    ("masked_pan", "卡号"),
    ("operation", "交易类型"),
    ("batch", "批次号"),
    ("F11", "凭证号"),
    ("F38", "授权码"),
    ("F37", "参考号"),
    ("when", "交易时间"),
    ("F15", "清算日期"),
)
OPERATIONS = {
    "sale": "消费",
    "qr_sale": "扫码消费",
    "preauth": "预授权",
    "completion": "预授权完成",
    "void": "消费撤销",
    "refund": "退货",
    "preauth_void": "预授权撤销",
    "completion_void": "预授权完成撤销",
    "qr_void": "扫码撤销",
    "qr_refund": "扫码退货",
}
REPRINT = "*** 重打印 ***"


def columns_of(text: str) -> int:
    """Columns on the printer: what GB 18030 writes in one byte is one wide, all else two.

    >>> columns_of("卡号 6225")
    9
    """
    return sum(1 if len(character.encode("gb18030")) == 1 else 2 for character in text)


def yuan(amount_fen: int) -> str:
    """分 as 元 with two decimals.

    >>> yuan(1234)
    '12.34'
    """
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def masked_name(name: str) -> str:
    """A patient's name as others may read it.

    >>> masked_name("王小明"), masked_name("李")
    ('王*明', '*')
    """
    if len(name) < 2:
        return "*" * len(name)
    if len(name) == 2:
        return name[0] + "*"
    return name[0] + "*" * (len(name) - 2) + name[-1]


def slip(entry: Entry, *, hospital_name: str, terminal: str, columns: int, copy: bool) -> str:
    """The slip of a payment, lines of at most ``columns`` columns (32 or 48)."""
    return "\n".join(_lines(entry, hospital_name, terminal, columns, copy)) + "\n"


def _lines(
    entry: Entry, hospital_name: str, terminal: str, columns: int, copy: bool
) -> Iterator[str]:
    told = entry.told
    state = told.state if told else "pending"
    facts = told.receipt if told else {}
    order = entry.order
    rule = "-" * columns
    yield _centred(hospital_name, columns)
    yield _centred("自助缴费凭条", columns)
    if copy:
        yield _centred(REPRINT, columns)
    yield rule
    yield from _pair("姓名", masked_name(order.patient_name), columns)
    yield from _pair("患者编号", order.patient, columns)
    yield from _pair("项目", order.title or order.business, columns)
    yield from _pair("账单号", order.bill, columns)
    yield from _pair("医院收据号", facts.get("his_receipt", ""), columns)
    yield from _pair("结果", AMOUNT_TEXT.get(state, state), columns)
    yield from _pair("金额(元)", yuan(order.amount_fen), columns)
    if told and state != "approved":
        yield from _pair("说明", f"{told.text} {told.code}".strip(), columns)
    yield rule
    if any(facts.get(name) for name, _ in BANK_FACTS):
        yield _centred("银行卡签购单", columns)
        said = facts | _said(facts)
        for name, label in BANK_FACTS:
            yield from _pair(label, said.get(name, ""), columns)
        yield from _pair("交易金额", f"RMB {yuan(order.amount_fen)}", columns)
        if _needs_signature(facts):
            yield "持卡人签名:"
            yield "_" * columns
        yield rule
    yield from _pair("自助终端", terminal, columns)
    yield from _pair("时间", _time(entry.told_at or entry.created_at), columns)
    yield from _pair("支付键", entry.key, columns)
    yield _centred("请妥善保管 凭此查询", columns)


def _said(facts: Mapping[str, str]) -> dict[str, str]:
    """The bank's words for people: its business, its own date and time."""
    operation, day, time = (facts.get(name, "") for name in ("operation", "F13", "F12"))
    when = f"{day[:2]}-{day[2:]} {time[:2]}:{time[2:4]}:{time[4:]}" if day and time else ""
    return {"operation": OPERATIONS.get(operation, operation), "when": when}


def _needs_signature(facts: Mapping[str, str]) -> bool:
    """A card without a PIN (third digit of field 22: 2); a scanned code signs nothing."""
    entry_mode = facts.get("F22", "")
    return entry_mode.endswith("2") and not entry_mode.startswith("03")


def _time(at_ms: int) -> str:
    """The kiosk's local time: what the patient's watch says."""
    return datetime.datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _centred(text: str, columns: int) -> str:
    text = next(_wrapped(text, columns))
    return " " * ((columns - columns_of(text)) // 2) + text


def _pair(label: str, value: str, columns: int) -> Iterator[str]:
    """``label: value`` on one line, the value on lines of its own when it is too long."""
    if not value:
        return
    value = "".join(character if character.isprintable() else "?" for character in value)
    line = f"{label}: {value}"
    if columns_of(line) <= columns:
        yield line
        return
    yield f"{label}:"
    for part in _wrapped(value, columns - 2):
        yield "  " + part


def _wrapped(text: str, columns: int) -> Iterator[str]:
    line, used = "", 0
    for character in text:
        wide = columns_of(character)
        if used + wide > columns:
            yield line
            line, used = "", 0
        line += character
        used += wide
    yield line
