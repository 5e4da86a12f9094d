"""A view for every screen and every state worth looking at, with long names and sentences."""

from typing import Any

import msgspec

from terminal_agent.flows.view import (
    Button,
    DeviceLine,
    Fact,
    Line,
    PaymentLine,
    Screen,
    Tile,
    View,
)

NOW_MS = 1_750_000_000_000
TOOLS = (Button.LANGUAGE, Button.ELDER, Button.CONTRAST, Button.VOICE)
PAY_STEPS = ("identify", "bill", "check", "pay", "done")
REGISTER_STEPS = ("identify", "department", "doctor", "slot", "check", "pay", "done")
LONG_SENTENCE = (
    "根据医院财务科规定，2024年1月1日以前开立的门诊处方已经超过三日有效期，不能在自助终端缴费;"
    "请携带就诊卡、身份证和原处方笺到门诊楼一层东侧3号人工窗口办理重新划价，咨询电话010-12345678转2。"
)

TILES = (
    Tile(id="outpatient_bill", title="门诊缴费", group="pay", open=True),
    Tile(id="registration", title="当日挂号", group="register", open=True),
    Tile(id="appointment_pickup", title="预约取号", group="register", open=True),
    Tile(id="account_topup", title="就诊卡充值", group="account", open=True),
    Tile(id="bill_query", title="费用清单查询", group="query", open=True),
    Tile(id="balance_query", title="就诊卡余额查询", group="query", open=True),
    Tile(id="slip_reprint", title="凭条补打", group="query", open=True),
    Tile(id="report_print", title="检验检查报告打印", group="query", open=False),
)

BILLS = tuple(
    Line(
        id=f"B{number}",
        title=title,
        detail=f"2025-06-{number:02d} · {where}",
        amount_fen=amount_fen,
    )
    for number, (title, where, amount_fen) in enumerate(
        [
            ("西药费", "心血管内科一门诊 · 王建国主任医师", 12_345),
            ("检验费（血常规、肝功能全项、肾功能全项、血脂四项、糖化血红蛋白）", "检验科", 36_800),
            ("CT检查费", "放射科", 58_000),
            ("中成药", "中医科", 9_960),
            ("治疗费", "康复医学科", 15_000),
            ("挂号费", "门诊部", 5_000),
            ("材料费", "急诊外科", 1),
            ("超声检查费", "超声医学科", 22_000),
            ("注射费", "门诊治疗室", 1_200),
            ("特需门诊诊查费", "国际医疗部", 123_456_789),
            ("心电图", "心电图室", 2_500),
            ("病理诊断费", "病理科", 45_000),
        ],
        1,
    )
)

PATIENT_FACTS = (
    Fact(label="name", value="张*明"),
    Fact(label="visit_card", value="0012****3456"),
)


def _view(screen: Screen, **fields: Any) -> View:
    shown: dict[str, Any] = {
        "revision": 1,
        "screen": screen,
        "terminal": "KIOSK001",
        "hospital": "示范市第一人民医院",
        "now_ms": NOW_MS,
        **fields,
    }
    more = (Button.STAY, *TOOLS) if shown.get("countdown_ms") else TOOLS
    shown["buttons"] = (*shown.get("buttons", ()), *more)
    return View(**shown)


def _pay(screen: Screen, step: int, **fields: Any) -> View:
    shown: dict[str, Any] = {
        "business": "outpatient_bill",
        "title": "门诊缴费",
        "steps": PAY_STEPS,
        "step": step,
        "countdown_ms": 70_000,
        "countdown_whole_ms": 90_000,
        "buttons": (Button.BACK, Button.HOME),
        **fields,
    }
    return _view(screen, **shown)


def _register(screen: Screen, step: int, **fields: Any) -> View:
    shown: dict[str, Any] = {
        "business": "registration",
        "title": "当日挂号",
        "steps": REGISTER_STEPS,
        "step": step,
        "countdown_ms": 50_000,
        "countdown_whole_ms": 90_000,
        "buttons": (Button.BACK, Button.HOME),
        **fields,
    }
    return _view(screen, **shown)


def _result(outcome: str, **fields: Any) -> View:
    shown: dict[str, Any] = {
        "outcome": outcome,
        "amount_fen": 12_345,
        "facts": PATIENT_FACTS,
        "countdown_ms": 25_000,
        "countdown_whole_ms": 30_000,
        "buttons": (Button.HOME,),
        **fields,
    }
    return _pay(Screen.RESULT, 4, **shown)


VIEWS: dict[str, View] = {
    "home": _view(Screen.HOME, tiles=TILES, buttons=(Button.ATTENDANT,)),
    "home-notice": _view(Screen.HOME, tiles=TILES[:3], notice="timeOut", buttons=()),
    "identify": _pay(
        Screen.IDENTIFY, 0, prompt="identify", media=("visit", "id", "social", "scan")
    ),
    "identify-one": _pay(
        Screen.IDENTIFY, 0, media=("visit",), prompt="identify", notice="no_patient"
    ),
    "busy": _pay(Screen.BUSY, 1, prompt="asking_hospital", buttons=(Button.CANCEL,)),
    "pick-bills": _pay(Screen.PICK, 1, choices=BILLS, facts=PATIENT_FACTS),
    "pick-empty": _pay(Screen.PICK, 1, choices=(), notice="no_bill"),
    "pick-department": _register(
        Screen.PICK,
        1,
        choices=tuple(
            Line(id=f"D{number}", title=title, open=number != 4)
            for number, title in enumerate(
                [
                    "心血管内科",
                    "呼吸与危重症医学科",
                    "消化内科",
                    "神经内科",
                    "骨科",
                    "眼科",
                    "口腔科",
                ]
            )
        ),
    ),
    "pick-doctor": _register(
        Screen.PICK,
        2,
        choices=(
            Line(
                id="a", title="欧阳修远", detail="主任医师 · 心血管内科 · 余号 3", amount_fen=5_000
            ),
            Line(id="b", title="王芳", detail="副主任医师 · 余号 12", amount_fen=3_000),
            Line(id="c", title="普通门诊", detail="余号 40", amount_fen=1_500),
            Line(id="d", title="李雷", detail="主任医师 · 已约满", amount_fen=5_000, open=False),
        ),
    ),
    "pick-amount": _view(
        Screen.PICK,
        business="account_topup",
        title="就诊卡充值",
        steps=("identify", "amount", "check", "pay", "done"),
        step=1,
        countdown_ms=9_000,
        countdown_whole_ms=90_000,
        choices=tuple(
            Line(id=f"A{yuan}", title="", amount_fen=yuan * 100)
            for yuan in (50, 100, 200, 500, 1000, 2000)
        ),
        buttons=(Button.BACK, Button.HOME),
    ),
    "check": _pay(
        Screen.CHECK,
        2,
        facts=(
            *PATIENT_FACTS,
            Fact(label="bill", value="检验费（血常规、肝功能全项、肾功能全项、血脂四项）"),
            Fact(label="department", value="心血管内科一门诊"),
            Fact(label="doctor", value="王建国"),
            Fact(label="insured", value="¥245.30"),
        ),
        amount_fen=36_800,
        buttons=(Button.CONFIRM, Button.BACK, Button.HOME),
    ),
    "check-hurry": _pay(
        Screen.CHECK,
        2,
        facts=PATIENT_FACTS,
        amount_fen=123_456_789,
        countdown_ms=9_000,
        buttons=(Button.CONFIRM, Button.BACK, Button.HOME),
    ),
    "card-insert": _pay(
        Screen.CARD, 3, prompt="insert", amount_fen=12_345, buttons=(Button.CANCEL,)
    ),
    "card-reading": _pay(Screen.CARD, 3, prompt="reading", amount_fen=12_345, buttons=()),
    "card-application": _pay(
        Screen.CARD,
        3,
        prompt="application",
        amount_fen=12_345,
        choices=(Line(id="0", title="借记应用"), Line(id="1", title="贷记应用")),
        buttons=(Button.CANCEL,),
    ),
    "card-remove": _pay(Screen.CARD, 3, prompt="remove", notice="card_gone", buttons=()),
    "pin": _pay(
        Screen.PIN,
        3,
        digits=4,
        amount_fen=12_345,
        facts=(Fact(label="bank_card", value="622588******0001"),),
        buttons=(Button.CANCEL,),
    ),
    "pin-empty": _pay(
        Screen.PIN, 3, digits=0, amount_fen=12_345, notice="cancelling", buttons=(Button.CANCEL,)
    ),
    "paying": _pay(
        Screen.PAYING, 3, amount_fen=12_345, countdown_ms=0, countdown_whole_ms=0, buttons=()
    ),
    "paying-restarted": _pay(
        Screen.PAYING,
        3,
        prompt="keep_card",
        notice="after_restart",
        amount_fen=12_345,
        countdown_ms=0,
        countdown_whole_ms=0,
        buttons=(),
    ),
    "result-approved": _result("approved", slip="printed", next="take_slip"),
    "result-approved-register": _register(
        Screen.RESULT,
        6,
        outcome="approved",
        amount_fen=5_000,
        facts=(
            Fact(label="name", value="张*明"),
            Fact(label="department", value="心血管内科"),
            Fact(label="doctor", value="欧阳修远"),
            Fact(label="slot", value="2025-06-15 上午 09:30-10:00"),
            Fact(label="number", value="17"),
            Fact(label="room", value="门诊楼三层 305 诊室"),
        ),
        slip="waiting",
        next="take_slip",
        buttons=(Button.HOME,),
    ),
    "result-declined": _result(
        "declined", text="余额不足", code="51", next="other_card_or_counter"
    ),
    "result-returned": _result(
        "returned", text=LONG_SENTENCE, slip="printed", code="H17", next="slip_to_counter"
    ),
    "result-pending": _result("pending", slip="", next="wait_or_counter", code="P01"),
    "result-exception": _result(
        "exception", slip="printed", next="slip_to_counter", code="KIOSK001-20250615-000123"
    ),
    "result-refused": _result("refused", text=LONG_SENTENCE, code="closed", next="slip_to_counter"),
    "result-failed": _result("failed", notice="card_gone", slip="failed", next="try_later"),
    "result-retry": _result(
        "declined",
        text="密码错误",
        code="55",
        next="other_card_or_counter",
        buttons=(Button.CONFIRM, Button.HOME),
    ),
    "result-nothing": _result(
        "failed", amount_fen=None, notice="no_bill", text="没有待缴费账单", next="try_later"
    ),
    "result-hospital": _result(
        "failed", amount_fen=None, notice="HIS-17", text=LONG_SENTENCE, next="try_later"
    ),
    "result-printing": _view(
        Screen.RESULT,
        business="slip_reprint",
        steps=("identify", "slip"),
        step=1,
        slip="printed",
        next="take_slip",
        buttons=(Button.HOME,),
    ),
    "result-cancelled": _result("cancelled", amount_fen=None, next="nothing_taken"),
    "listing": _view(
        Screen.LISTING,
        business="bill_query",
        title="费用清单查询",
        steps=("identify", "done"),
        step=1,
        choices=BILLS,
        facts=PATIENT_FACTS,
        amount_fen=sum(bill.amount_fen or 0 for bill in BILLS),
        countdown_ms=60_000,
        countdown_whole_ms=90_000,
        buttons=(Button.BACK, Button.HOME),
    ),
    "listing-empty": _view(
        Screen.LISTING,
        business="bill_query",
        title="费用清单查询",
        steps=("identify", "done"),
        step=1,
        notice="no_bill",
        buttons=(Button.HOME,),
    ),
    "take-card": _pay(
        Screen.TAKE_CARD, 4, outcome="approved", countdown_ms=0, countdown_whole_ms=0, buttons=()
    ),
    "closed": _view(Screen.CLOSED, notice="offline", buttons=(Button.ATTENDANT,)),
    "closed-locked": _view(
        Screen.CLOSED, notice="locked", text=LONG_SENTENCE, code="L2", buttons=(Button.ATTENDANT,)
    ),
    "code": _view(
        Screen.CODE,
        digits=3,
        notice="wrong_code",
        countdown_ms=25_000,
        countdown_whole_ms=30_000,
        buttons=(Button.DIGIT, Button.CLEAR, Button.CONFIRM, Button.CANCEL),
    ),
    "attendant": _view(
        Screen.ATTENDANT,
        devices=(
            DeviceLine(role="card_reader", driver="pcsc", state="online"),
            DeviceLine(role="pin_pad", driver="zt598", state="online"),
            DeviceLine(role="printer", driver="escpos", state="paperOut"),
            DeviceLine(role="id_reader", driver="sam", state="noDevice"),
        ),
        payments=tuple(
            PaymentLine(
                key=f"KIOSK001-20250615-{number:06d}",
                at_ms=NOW_MS - number * 600_000,
                patient="张*明",
                title="门诊缴费",
                amount_fen=12_345 * number,
                state=state,
                copies=number % 3,
            )
            for number, state in enumerate(
                [
                    "approved",
                    "declined",
                    "returned",
                    "pending",
                    "exception",
                    "approved",
                    "approved",
                ],
                1,
            )
        ),
        versions={"yinyitong": "0.1.0", "protocol": "2", "python": "3.11.2"},
        buttons=(Button.LOCK, Button.RESTART, Button.HOME),
        countdown_ms=100_000,
        countdown_whole_ms=120_000,
    ),
}


def dressed(
    view: View, *, language: str = "zh", elder: bool = False, contrast: bool = False
) -> View:
    """The same view for another patient."""
    return msgspec.structs.replace(view, language=language, elder=elder, contrast=contrast)
