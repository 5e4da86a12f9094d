"""Slips as text and picture."""

import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from terminal_agent import preview
from terminal_agent.journal import Entry, PaymentOrder
from terminal_agent.protocol import Told
from terminal_agent.receipt import columns_of, slip

FACTS = {
    "masked_pan": "622588******0001",
    "F11": "000042",
    "F37": "012345678901",
    "F41": "10000001",
    "F42": "123456789012345",
    "F15": "0301",
    "batch": "000007",
    "his_receipt": "R20260301001",
}

GOLDEN = """\
            示范医院
          自助缴费凭条
--------------------------------
姓名: 王*明
患者编号: P1
项目: 血常规
账单号: B1
医院收据号: R20260301001
结果: 缴费成功
金额(元): 12.34
--------------------------------
          银行卡签购单
商户编号: 123456789012345
终端编号: 10000001
卡号: 622588******0001
批次号: 000007
凭证号: 000042
参考号: 012345678901
清算日期: 0301
交易金额: RMB 12.34
--------------------------------
自助终端: KIOSK001
时间: 2026-03-01 10:00:00
支付键: KIOSK001-20260301-000042
      请妥善保管 凭此查询
"""


def entry(state: str = "approved", **order: object) -> Entry:
    """A payment as the journal gives it."""
    known = {"bill": "B1", "patient_name": "王小明", "title": "血常规", **order}
    return Entry(
        key="KIOSK001-20260301-000042",
        state="answered",
        order=PaymentOrder(
            business="outpatient_bill",
            amount_fen=1234,
            patient="P1",
            **known,  # type: ignore[arg-type]
        ),
        created_at=0,
        told=Told(key="k", state=state, amount_fen=1234, receipt=FACTS, code="91", text="说明"),
        told_at=1772330400000,
        copies=0,
        slip=True,
    )


def text_of(given_entry: Entry, columns: int = 32, *, copy: bool = False) -> str:
    """Its slip."""
    return slip(
        given_entry, hospital_name="示范医院", terminal="KIOSK001", columns=columns, copy=copy
    )


def test_the_slip_looks_like_this(monkeypatch: pytest.MonkeyPatch) -> None:
    """Golden text: hospital part, bank part, masked name and card."""
    import time

    monkeypatch.setenv("TZ", "Etc/GMT-8")
    time.tzset()

    text = text_of(entry())
    monkeypatch.undo()
    time.tzset()

    assert text == GOLDEN


CERTIFIED = FACTS | {
    "merchant_name": "示范医院门诊",
    "operator": "01",
    "scheme": "CUP",
    "issuer": "01020000",
    "acquirer": "01030000",
    "operation": "sale",
    "F38": "123456",
    "F13": "0301",
    "F12": "095959",
    "F22": "022",
}


def bank_part(facts: dict[str, str], *, copy: bool = False) -> list[str]:
    """The lines between the bank part's heading and its rule."""
    made = entry()
    told = msgspec.structs.replace(made.told, receipt=facts)
    lines = text_of(msgspec.structs.replace(made, told=told), copy=copy).splitlines()
    start = lines.index("          银行卡签购单") + 1
    return lines[start : lines.index("-" * 32, start)]


def test_a_slip_has_everything_that_certification_asks_for() -> None:
    """商户, 终端, 操作员, 卡组织, 机构, 卡号, 类型, 批次, 凭证, 授权, 参考, 时间, 金额; and a line
    to sign on where no PIN was given."""
    assert bank_part(CERTIFIED) == [
        "商户名称: 示范医院门诊",
        "商户编号: 123456789012345",
        "终端编号: 10000001",
        "操作员号: 01",
        "卡组织: CUP",
        "发卡机构: 01020000",
        "收单机构: 01030000",
        "卡号: 622588******0001",
        "交易类型: 消费",
        "批次号: 000007",
        "凭证号: 000042",
        "授权码: 123456",
        "参考号: 012345678901",
        "交易时间: 03-01 09:59:59",
        "清算日期: 0301",
        "交易金额: RMB 12.34",
        "持卡人签名:",
        "_" * 32,
    ]
    assert bank_part(CERTIFIED, copy=True) == bank_part(CERTIFIED)


@pytest.mark.parametrize("entry_mode", ["021", "051", "032", ""])
def test_who_gave_a_pin_or_a_code_signs_nothing(entry_mode: str) -> None:
    """Third digit 1, or a scanned code."""
    assert "持卡人签名:" not in bank_part(CERTIFIED | {"F22": entry_mode})


def test_a_reprint_says_so() -> None:
    """重打印 stands on it, and nothing else differs."""
    reprint = text_of(entry(), copy=True).splitlines()

    assert reprint[2].strip() == "*** 重打印 ***"
    assert reprint[:2] + reprint[3:] == text_of(entry()).splitlines()


@pytest.mark.parametrize("state", ["returned", "exception", "declined", "pending"])
def test_other_ends_never_say_paid(state: str) -> None:
    """Only *approved* reads 缴费成功; the others give their reason."""
    text = text_of(entry(state))

    assert "缴费成功" not in text
    assert "说明 91" in text


@given(
    st.text(st.characters(codec="gb18030", exclude_categories=["Cs"]), max_size=80),
    st.sampled_from([32, 48]),
)
def test_no_line_is_wider_than_the_paper(title: str, columns: int) -> None:
    """Whatever stands in the fields: every line fits and can be printed."""
    lines = text_of(entry(title=title, patient_name=title, bill=title), columns).splitlines()

    assert all(columns_of(line) <= columns for line in lines)


def test_the_picture_is_no_blank_paper() -> None:
    """PNG of the right size with ink in it, and different texts make different pictures."""
    font = preview.find_font("")
    one = preview.picture(text_of(entry()), 32, font)
    two = preview.picture(text_of(entry(), copy=True), 32, font)

    image = Image.open(io.BytesIO(one))
    assert image.width == 32 * preview.CELL_WIDTH + 2 * preview.MARGIN
    assert image.getextrema()[0] == 0
    dark = sum(count for shade, count in enumerate(image.histogram()) if shade < 128)
    assert dark > 2000
    assert one != two


def test_chinese_glyphs_are_drawn_and_not_boxes() -> None:
    """Two different characters give different ink: the font has them."""
    font = preview.find_font("")

    assert preview.picture("医", 32, font) != preview.picture("院", 32, font)


def test_a_missing_font_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong path, and a machine without any font."""
    with pytest.raises(preview.NoFontError, match="not there"):
        preview.find_font(str(tmp_path / "none.ttf"))
    monkeypatch.setattr(preview, "SYSTEM_FONTS", ())
    monkeypatch.setattr(preview, "PACKAGED_FONT", ("no_such_package", "x"))
    with pytest.raises(preview.NoFontError, match=r"receipt\.font"):
        preview.find_font("")
