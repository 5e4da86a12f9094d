"""What the bits and lists of a data object say, in words: for `yyt emv explain`."""

from collections.abc import Callable, Mapping
from typing import Final

from terminal_agent.emv.dol import parse_dol
from terminal_agent.emv.tags import TAGS, form_of
from terminal_agent.emv.tlv import TlvError

Words = tuple[str, str]
"""(Chinese, English)."""

_BITS: Final[Mapping[str, Mapping[tuple[int, int], Words]]] = {
    "95": {
        (1, 0x80): ("未进行脱机数据认证", "offline data authentication was not performed"),
        (1, 0x40): ("静态数据认证失败", "static data authentication failed"),
        (1, 0x20): ("IC 卡数据缺失", "card data missing"),
        (1, 0x10): ("卡片出现在异常文件中", "card is on the exception file"),
        (1, 0x08): ("动态数据认证失败", "dynamic data authentication failed"),
        (1, 0x04): ("复合动态数据认证失败", "combined data authentication failed"),
        (2, 0x80): ("IC 卡与终端应用版本不一致", "application versions differ"),
        (2, 0x40): ("应用已过期", "expired application"),
        (2, 0x20): ("应用尚未生效", "application not yet effective"),
        (2, 0x10): ("卡片不允许所请求的服务", "requested service not allowed"),
        (2, 0x08): ("新卡", "new card"),
        (3, 0x80): ("持卡人验证未成功", "cardholder verification was not successful"),
        (3, 0x40): ("未知的持卡人验证方法", "unrecognised verification method"),
        (3, 0x20): ("PIN 重试次数超限", "PIN try limit exceeded"),
        (3, 0x10): ("要求输入 PIN，但密码键盘不可用", "PIN required, pad not there or not working"),
        (3, 0x08): ("要求输入 PIN，但未输入", "PIN required, but not entered"),
        (3, 0x04): ("已输入联机 PIN", "online PIN entered"),
        (4, 0x80): ("超过最低限额", "amount reaches the floor limit"),
        (4, 0x40): ("超过连续脱机交易下限", "lower consecutive offline limit exceeded"),
        (4, 0x20): ("超过连续脱机交易上限", "upper consecutive offline limit exceeded"),
        (4, 0x10): ("随机选择联机", "selected at random for online"),
        (4, 0x08): ("商户要求联机", "merchant forced it online"),
        (5, 0x80): ("使用缺省 TDOL", "default TDOL used"),
        (5, 0x40): ("发卡行认证失败", "issuer authentication failed"),
        (5, 0x20): ("最后一次 GENERATE AC 前脚本失败", "script failed before the last GENERATE AC"),
        (5, 0x10): ("最后一次 GENERATE AC 后脚本失败", "script failed after the last GENERATE AC"),
    },
    "9B": {
        (1, 0x80): ("已进行脱机数据认证", "offline data authentication performed"),
        (1, 0x40): ("已进行持卡人验证", "cardholder verification performed"),
        (1, 0x20): ("已进行卡片风险管理", "card risk management performed"),
        (1, 0x10): ("已进行发卡行认证", "issuer authentication performed"),
        (1, 0x08): ("已进行终端风险管理", "terminal risk management performed"),
        (1, 0x04): ("已进行脚本处理", "script processing performed"),
    },
    "82": {
        (1, 0x40): ("支持静态数据认证", "static data authentication"),
        (1, 0x20): ("支持动态数据认证", "dynamic data authentication"),
        (1, 0x10): ("支持持卡人验证", "cardholder verification"),
        (1, 0x08): ("要求终端风险管理", "terminal risk management wanted"),
        (1, 0x04): ("支持发卡行认证", "issuer authentication"),
        (1, 0x01): ("支持复合动态数据认证", "combined data authentication"),
    },
    "9F33": {
        (1, 0x80): ("键盘输入", "manual entry"),
        (1, 0x40): ("磁条", "magnetic stripe"),
        (1, 0x20): ("接触式 IC 卡", "chip with contacts"),
        (2, 0x80): ("脱机明文 PIN", "offline plaintext PIN"),
        (2, 0x40): ("联机 PIN", "online PIN"),
        (2, 0x20): ("签名", "signature"),
        (2, 0x10): ("脱机密文 PIN", "offline enciphered PIN"),
        (2, 0x08): ("无需验证", "no verification"),
        (3, 0x80): ("静态数据认证", "static data authentication"),
        (3, 0x40): ("动态数据认证", "dynamic data authentication"),
        (3, 0x20): ("吞卡", "card capture"),
        (3, 0x08): ("复合动态数据认证", "combined data authentication"),
    },
    "9F07": {
        (1, 0x80): ("国内现金", "domestic cash"),
        (1, 0x40): ("国际现金", "international cash"),
        (1, 0x20): ("国内商品", "domestic goods"),
        (1, 0x10): ("国际商品", "international goods"),
        (1, 0x08): ("国内服务", "domestic services"),
        (1, 0x04): ("国际服务", "international services"),
        (1, 0x02): ("ATM", "at ATMs"),
        (1, 0x01): ("ATM 以外的终端", "at terminals other than ATMs"),
        (2, 0x80): ("国内返现", "domestic cashback"),
        (2, 0x40): ("国际返现", "international cashback"),
    },
}

_METHODS: Final[Mapping[int, Words]] = {
    0x00: ("验证失败", "fail"),
    0x01: ("脱机明文 PIN", "offline plaintext PIN"),
    0x02: ("联机 PIN", "online PIN"),
    0x03: ("脱机明文 PIN 和签名", "offline plaintext PIN and signature"),
    0x04: ("脱机密文 PIN", "offline enciphered PIN"),
    0x05: ("脱机密文 PIN 和签名", "offline enciphered PIN and signature"),
    0x1E: ("签名", "signature"),
    0x1F: ("无需验证", "no verification"),
    0x20: ("证件出示", "identity document"),
    0x3F: ("未执行", "none performed"),
}
_CONDITIONS: Final[Mapping[int, Words]] = {
    0x00: ("总是", "always"),
    0x01: ("无人值守现金", "unattended cash"),
    0x02: ("非现金", "no cash and no cashback"),
    0x03: ("终端支持时", "if the terminal can"),
    0x04: ("人工值守现金", "manual cash"),
    0x05: ("返现", "with cashback"),
    0x06: ("本币且金额低于 X", "own currency, under X"),
    0x07: ("本币且金额高于 X", "own currency, over X"),
    0x08: ("本币且金额低于 Y", "own currency, under Y"),
    0x09: ("本币且金额高于 Y", "own currency, over Y"),
}
_RESULTS: Final[Mapping[int, Words]] = {
    0: ("结果未知", "unknown"),
    1: ("失败", "failed"),
    2: ("成功", "successful"),
}
_CRYPTOGRAMS: Final[Mapping[int, str]] = {0x00: "AAC", 0x40: "TC", 0x80: "ARQC", 0xC0: "RFU"}


def meaning(tag: str, value: bytes, column: int) -> list[str]:
    """Lines that say what ``value`` is; ``column`` 0 Chinese, 1 English. None for plain numbers."""
    if tag in _BITS:
        bits = _BITS[tag].items()
        return [
            f"{byte}.{mask:02X} {words[column]}"
            for (byte, mask), words in bits
            if len(value) >= byte and value[byte - 1] & mask
        ]
    if tag in _SPECIAL:
        return _SPECIAL[tag](value, column)
    form = form_of(tag)
    if form == "dol":
        return _list(value, column)
    if form in ("an", "ans"):
        text = value.decode("gb18030", "replace")
        return ["".join(letter if letter.isprintable() else "·" for letter in text)]
    return []


def _list(value: bytes, column: int) -> list[str]:
    try:
        entries = parse_dol(value)
    except TlvError as error:
        return [str(error)]
    return [f"{tag} {length} {name_of(tag, column)}".rstrip() for tag, length in entries]


def name_of(tag: str, column: int) -> str:
    """The name of a tag; empty when it has none here."""
    return ((TAGS[tag].name_zh, TAGS[tag].name)[column]) if tag in TAGS else ""


def _method(code: int, condition: int, column: int) -> str:
    def word(words: Words | None) -> str:
        return words[column] if words else "?"

    further = (" / 失败则继续", " / next if unsuccessful")[column] if code & 0x40 else ""
    # 3F is "nothing performed" as a result; its bit 6 is not the one that says "go on".
    method = _METHODS.get(code if code == 0x3F else code & 0x3F)
    return f"{word(method)}, {word(_CONDITIONS.get(condition))}{further}"


def _methods(value: bytes, column: int) -> list[str]:
    amounts = [f"X {int.from_bytes(value[:4], 'big')}, Y {int.from_bytes(value[4:8], 'big')}"]
    pairs = zip(value[8::2], value[9::2], strict=False)
    return amounts + [_method(code, condition, column) for code, condition in pairs]


def _method_result(value: bytes, column: int) -> list[str]:
    if len(value) != 3:
        return []
    result = _RESULTS.get(value[2])
    return [_method(value[0], value[1], column), result[column] if result else "?"]


def _locator(value: bytes, column: int) -> list[str]:
    words = ("文件 {}，记录 {} 至 {}", "file {}, records {} to {}")[column]
    parts = [value[at : at + 4] for at in range(0, len(value) - 3, 4)]
    return [words.format(part[0] >> 3, part[1], part[2]) for part in parts]


def _cryptogram(value: bytes, _: int) -> list[str]:
    return [_CRYPTOGRAMS[value[0] & 0xC0]] if value else []


def _priority(value: bytes, column: int) -> list[str]:
    if not value:
        return []
    confirm = ("，需持卡人确认", ", to be confirmed")[column] if value[0] & 0x80 else ""
    return [f"{value[0] & 0x0F}{confirm}"]


_SPECIAL: Final[Mapping[str, Callable[[bytes, int], list[str]]]] = {
    "87": _priority,
    "8E": _methods,
    "94": _locator,
    "9F27": _cryptogram,
    "9F34": _method_result,
}
