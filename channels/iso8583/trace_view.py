"""A record's lines for people: fields with their names, response codes with their texts.

What is masked was masked when it was recorded (I12); nothing is unmasked here. The record names
its dialect; one that does not come with the program must be given, else fields have ISO's names.
"""

from typing import Any

from channels.iso8583.dialect import Dialect
from channels.iso8583.field_names import ENGLISH, field_name
from channels.iso8583.kind_names import CHINESE
from channels.iso8583.load import BUILT_IN, load_dialect
from channels.iso8583.trace import NOTE, Line
from switch.observe.columns import padded

TEXT = {
    "zh": {
        "out": "发出",
        "in": "收到",
        "note": "判断",
        "bytes": "线上 {0} 字节，报文 {1} 字节",
        "header": "报文头",
        "problem": "问题",
    },
    "en": {
        "out": "out",
        "in": "in",
        "note": "reading",
        "bytes": "{0} bytes on the wire, message {1} bytes",
        "header": "header",
        "problem": "problem",
    },
}
_READINGS = {
    "payment": "支付",
    "proven: ": "已核实，应答码 ",
    "not proven: wrong MAC; it changes nothing": "未通过核实：MAC 错误，不作任何改变",
    "not proven: ": "未通过核实：",
}
"""Beginnings of what is recorded as a reading, in Chinese."""
_NAME_COLUMNS = 24


class TraceView:
    """See the module. ``dialect``: what all lines are read by; None: by the one they name."""

    def __init__(self, dialect: Dialect | None, *, english: bool) -> None:
        self.unnamed: set[str] = set()
        """Dialects that lines name and that nobody has given."""
        self._english = english
        self._text = TEXT["en" if english else "zh"]
        self._given = dialect
        self._latest = dialect

    def rows(self, line: Line) -> list[str]:
        """One line of the record."""
        head = f"{_readable(line.at)}  {self._text[line.way]}  {line.link}"
        if line.way == NOTE:
            said = f"{self._reading(line.text)} {line.payment}".rstrip()
            return [f"{head}  {line.terminal} {line.stan}  {said}"]
        message: dict[str, Any] = line.message
        dialect = self._dialect(message.get("dialect", ""))
        sizes = self._text["bytes"].format(line.wire_bytes, line.message_bytes)
        kind = message.get("kind", "")
        name = kind if self._english else CHINESE.get(kind, kind)
        rows = [f"{head}  {message.get('mti', '')} {name}  {sizes}"]
        header = " ".join(f"{key}={value}" for key, value in message.get("header", {}).items())
        rows += [f"    {self._text['header']}: {header}"] if header else []
        parts = message.get("subfields", {})
        for number, value in message.get("fields", {}).items():
            rows.append(self._field(dialect, number, value))
            rows += [_part(part) for part in parts.get(number, [])]
        if message.get("problem"):
            rows.append(f"    {self._text['problem']}: {message['problem']}")
        return rows

    def _dialect(self, name: str) -> Dialect | None:
        """The dialect of a message, also for the readings behind it."""
        if self._given is None and name:
            self._latest = load_dialect(name) if name in BUILT_IN else None
            if self._latest is None:
                self.unnamed.add(name)
        return self._latest

    def _field(self, dialect: Dialect | None, number: str, value: str) -> str:
        own = field_name(dialect, number, english=self._english)
        name = own or ENGLISH.get(number, "")
        meaning = _meaning(dialect, value) if number == "39" else ""
        note = f"  ({meaning})" if meaning else ""
        return f"{number:>4}  {padded(name, _NAME_COLUMNS)}  {value}{note}"

    def _reading(self, recorded: str) -> str:
        """What we made of a message, with the text of its response code."""
        code = recorded.removeprefix("proven: ")
        meaning = _meaning(self._latest, code) if code != recorded else ""
        said = f"{recorded} {meaning}".rstrip()
        if not self._english:
            for beginning, ours in _READINGS.items():
                if said.startswith(beginning):
                    return ours + said.removeprefix(beginning)
        return said


def _part(part: dict[str, str]) -> str:
    return f"{'':>6}{part['label']:<6}  {padded(part['name'], _NAME_COLUMNS)}  {part['value']}"


def _meaning(dialect: Dialect | None, code: str) -> str:
    row = dialect.codes.get(code) if dialect is not None else None
    return row.text if row is not None else ""


def _readable(at: str) -> str:
    """``YYYYMMDD hhmmss`` as people write it.

    >>> _readable("20260704 101500")
    '2026-07-04 10:15:00'
    """
    return f"{at[:4]}-{at[4:6]}-{at[6:8]} {at[9:11]}:{at[11:13]}:{at[13:15]}"
