"""What is wrong with a message, for people: which field, by number and name, and the rule.

Rules are raised and logged in English (channels.iso8583.errors); this table has them in Chinese. A
rule that it does not have stays English, and a test finds it.
"""

import re
from collections.abc import Iterable, Mapping

from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import Iso8583Error
from channels.iso8583.field_names import field_name

_PATHS: Mapping[str, tuple[str, str]] = {
    "frame": ("报文", "frame"),
    "length": ("长度前缀", "length prefix"),
    "tpdu": ("TPDU", "TPDU"),
    "header": ("报文头", "header"),
    "mti": ("消息类型", "message type"),
    "bitmap": ("位图", "bitmap"),
}
_CHINESE = {
    r"says (\d+), and (\d+) bytes follow": "写的是 {0}，其后有 {1} 字节",
    r"has (\d+) bytes, expecting (\d+)": "有 {0} 字节，应有 {1} 字节",
    "not BCD digits": "不是 BCD 数字",
    "its first byte is not 2E: not a header of 46 bytes": "首字节不是 2E，不是 46 字节报文头",
    r"says another length than the (\d+) bytes that came": "所写长度与收到的 {0} 字节不符",
    "holds characters that are not ASCII": "含有非 ASCII 字符",
    "holds characters that do not fit their place": "含有与位置不符的字符",
    r"the centre refused it unread: (.+)": "中心未处理即退回，拒绝码 {0}",
    "message type is cut short or not in the dialect": "不完整，或报文规范中没有",
    "is not hexadecimal": "不是十六进制",
    "field is not in the dialect": "报文规范中没有这个域",
    "extra data after the last field": "最后一个域之后还有数据",
    "its length is cut short": "长度不完整，报文在此断开",
    r"cut short: (\d+) bytes are left": "报文在此断开，只剩 {0} 字节",
    r"its length is no number, cut short, or above (\d+)": "长度不是数字、不完整，或大于 {0}",
    r"(\d+) digits are padded with another nibble": "{0} 位数字，补位的半字节与规范不符",
    "content does not fit the field's type": "内容与域的类型不符",
    r"is not (ascii|gbk)": "不是 {0} 编码",
    r"mandatory in (\w+)": "{0} 报文必须有这个域",
    r"mandatory in an approving (\w+)": "批准的 {0} 报文必须有这个域",
    "is not what the request said": "与请求所写不同",
    r"the (object|value) at offset (\d+) is cut short": "偏移 {1} 处的内容不完整",
    r"the tag at offset (\d+) is cut short or too long": "偏移 {0} 处的标签不完整或过长",
    r"the length at offset (\d+) is no number": "偏移 {0} 处的长度不是数字",
    r"the length at offset (\d+) is missing": "偏移 {0} 处缺少长度",
    r"the length at offset (\d+) is indefinite, too long or cut short": "偏移 {0} 处的长度不定、"
    "过长或不完整",
}
_RULES = [(re.compile(rule), text) for rule, text in _CHINESE.items()]


def rule_text(rule: str, *, english: bool) -> str:
    """The rule in the reader's language.

    >>> rule_text("mandatory in 0200", english=False)
    '0200 报文必须有这个域'
    """
    if not english:
        for known, text in _RULES:
            if found := known.fullmatch(rule):
                return text.format(*found.groups())
    return rule


def place_text(path: str, dialect: Dialect | None, *, english: bool) -> str:
    """A field by number and name, or the part of the frame."""
    if not path.isdecimal():
        return _PATHS.get(path, (path, path))[english]
    name = field_name(dialect, path, english=english)
    if english:
        return f"field {path} ({name})" if name else f"field {path}"
    return f"第 {path} 域（{name}）" if name else f"第 {path} 域"


def problem_text(errors: Iterable[Iso8583Error], dialect: Dialect | None, *, english: bool) -> str:
    """Places and rules in one line; never a value (I12)."""
    colon, semicolon = (": ", "; ") if english else ("：", "；")
    return semicolon.join(
        place_text(error.path, dialect, english=english)
        + colon
        + rule_text(error.rule, english=english)
        for error in errors
    )
