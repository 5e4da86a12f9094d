"""A host command and its answer, field by field, for people; what is secret stays masked.

Shown are words of the tables, codes, lengths and check values. A key is shown as its scheme and its
first four characters, a key block as its header, an account as its last four digits; a PIN, a PIN
block, data and whatever else has no place in the list below is shown by its length alone.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from hsm import codec
from hsm.codec import Command, Field, Part
from hsm.errors import TEXTS, CommandError
from hsm.keys import KEY_TYPES, Cryptogram
from hsm.kinds import Choice, Values
from hsm.layouts import COMMANDS
from hsm.tail import Tail
from hsm.texts import language

_SHOWN: Final = frozenset(
    {
        "check_value", "lmk_check_value", "firmware", "buffer", "protocol", "sockets", "reserved",
        "pci_setting", "pin_length_max", "source_format", "target_format", "format", "pvk_index",
        "atalla_variant", "count", "mac", "target_mac", "components", "check_length", "expiry",
    }
)  # fmt: skip
"""Fields shown as they are, besides choices between declared words."""

_ACCOUNTS: Final = frozenset({"account", "target_account", "verification_account", "pan"})
_HEADER: Final = 16
_KEPT: Final = 4

_MEANINGS: Final = {
    "key_type": ("密钥类型", "type of the key"),
    "scheme_lmk": ("LMK 下的密钥格式", "how the key is kept under the LMK"),
    "scheme_zmk": ("ZMK 下的密钥格式", "how the key travels under the ZMK"),
    "check_value": ("校验值", "check value"),
    "lmk_check_value": ("LMK 校验值", "check value of the LMK"),
    "zmk": ("区域主密钥", "zone master key"),
    "key": ("密钥密文", "the key, as a cryptogram"),
    "key_lmk": ("LMK 下的密钥", "the key under the LMK"),
    "key_zmk": ("ZMK 下的密钥", "the key under the ZMK"),
    "tpk": ("终端 PIN 密钥", "terminal PIN key"),
    "zpk": ("区域 PIN 密钥", "zone PIN key"),
    "tak": ("终端 MAC 密钥", "terminal MAC key"),
    "bdk": ("基础派生密钥", "base derivation key"),
    "pvk": ("PIN 校验密钥", "PIN verification key"),
    "cvk": ("卡校验密钥", "card verification key"),
    "pin_block": ("PIN 块（不显示）", "PIN block (never shown)"),
    "translated": ("新 PIN 块（不显示）", "the new PIN block (never shown)"),
    "pin": ("PIN（不显示）", "PIN (never shown)"),
    "pin_length": ("PIN 长度（不显示）", "length of the PIN (never shown)"),
    "pin_length_max": ("PIN 最大长度", "longest PIN"),
    "source_format": ("源 PIN 块格式", "format of the PIN block"),
    "target_format": ("目标 PIN 块格式", "format of the new PIN block"),
    "format": ("PIN 块格式", "format of the PIN block"),
    "account": ("账号后 12 位", "account: the 12 digits before the check digit"),
    "mode": ("模式", "mode"),
    "form": ("输入数据形式", "how the data travels"),
    "output_form": ("输出数据形式", "how the result travels"),
    "mac_size": ("MAC 长度", "length of the MAC"),
    "algorithm": ("算法", "algorithm"),
    "padding": ("填充", "padding"),
    "message": ("报文（不显示）", "message (never shown)"),
    "data": ("数据（不显示）", "data (never shown)"),
    "mac": ("MAC", "MAC"),
    "iv": ("初始向量", "initial vector"),
    "firmware": ("版本", "version"),
}


class Row(NamedTuple):
    """One field."""

    name: str
    notation: str
    meaning: str
    shown: str


class Explained(NamedTuple):
    """A request or an answer. ``error``: the code, with its meaning in ``says``."""

    command: str
    title: str
    error: str
    says: str
    rows: tuple[Row, ...]

    def text(self) -> str:
        """As lines for a screen."""
        head = f"{self.command}  {self.title}".rstrip()
        if self.error:
            head += f"  [{self.error} {self.says}]"
        width = max((len(row.name) for row in self.rows), default=0)
        lines = [f"  {r.name:<{width}}  {r.shown:<26}  {r.meaning} ({r.notation})"
                 for r in self.rows]  # fmt: skip
        return "\n".join([head, *lines])

    def record(self, direction: str) -> dict[str, Any]:
        """For a script."""
        fields = [{"name": r.name, "kind": r.notation, "value": r.shown} for r in self.rows]
        return {
            "direction": direction, "command": self.command, "title": self.title,
            "error": self.error, "says": self.says, "fields": fields,
        }  # fmt: skip


def request(body: bytes) -> Explained:
    """A request without its header; one that cannot be read says which field is wrong."""
    code = body[:2].decode("latin-1")
    command = COMMANDS.get(code)
    if command is None:
        return Explained(_plain(code), "", "68", TEXTS["68"], ())
    try:
        values, tail = codec.parse_request(command, body[2:])
    except CommandError as error:
        return Explained(code, command.title, error.code, _why(error), ())
    rows = (*_rows(command.request, values), *_tail_rows(tail))
    return Explained(code, command.title, "", "", rows)


def answer(asked: bytes, back: bytes) -> Explained:
    """The answer (without its header) to a request."""
    code, error = back[:2].decode("latin-1"), back[2:4].decode("latin-1")
    says = TEXTS.get(error, "")
    command = COMMANDS.get(asked[:2].decode("latin-1"))
    if command is None or error not in command.answered:
        return Explained(_plain(code), command.title if command else "", error, says, ())
    try:
        known, _ = codec.parse_request(command, asked[2:])
        _, values, _ = codec.parse_response(command, back, known)
    except CommandError:
        return Explained(code, command.title, error, says, ())
    return Explained(code, command.title, error, says, tuple(_rows(command.response, values)))


def layout(command: Command) -> str:
    """What a command takes and answers."""
    lines = [f"{command.code}/{command.response_code}  {command.title}"]
    for name, parts in (("request", command.request), ("answer", command.response)):
        lines.append(f"  {name}:")
        for field, lead in _fields(parts):
            sometimes = " [sometimes]" if lead or field.when or field.starts else ""
            notation = f"{lead}{field.kind.notation}"
            lines.append(f"    {field.name}: {notation}{sometimes}  {meaning(field.name)}".rstrip())
    return "\n".join(lines)


def listing() -> str:
    """Every command in a line."""
    return "\n".join(f"{code}  {command.title}" for code, command in sorted(COMMANDS.items()))


def meaning(name: str) -> str:
    """What a field is, in the language of the moment; empty when the name says it."""
    both = _MEANINGS.get(name)
    return both[language() == "en"] if both else ""


def masked(value: object) -> str:
    """By its length alone."""
    size = len(value) if isinstance(value, str | bytes) else 0
    unit = "bytes" if isinstance(value, bytes) else "characters"
    return f"<{size} {unit}>"


def _rows(parts: tuple[Part, ...], values: Values) -> Iterator[Row]:
    for field, _ in _fields(parts):
        if field.name in values:
            shown = _shown(field, values[field.name])
            yield Row(field.name, field.kind.notation, meaning(field.name), shown)


def _fields(parts: tuple[Part, ...]) -> Iterator[tuple[Field, str]]:
    for part in parts:
        if isinstance(part, Field):
            yield part, ""
        else:
            for field in part.fields:
                yield field, part.lead.decode("latin-1") + " "


def _shown(field: Field, value: object) -> str:
    if isinstance(value, Cryptogram):
        return _key(value)
    if not isinstance(value, str):
        return masked(value)
    if field.name == "key_type" and value in KEY_TYPES:
        return f"{value} {KEY_TYPES[value].name}"
    if field.name in _SHOWN or isinstance(field.kind, Choice):
        return value
    if field.name in _ACCOUNTS:
        return "*" * (len(value) - _KEPT) + value[-_KEPT:]
    return masked(value)


def _key(key: Cryptogram) -> str:
    kept = _HEADER if key.in_block else _KEPT
    return f"{key.scheme}{key.body[:kept]}… <{len(key.body)} characters>"


def _tail_rows(tail: Tail) -> Iterator[Row]:
    if tail.lmk_id:
        yield Row("%", "2N", "LMK", tail.lmk_id)
    if tail.attributes is not None:
        a = tail.attributes
        header = f"{a.usage} {a.algorithm} {a.mode} {a.key_version} {a.export}"
        yield Row("#", "attributes", "usage, algorithm, mode, version, export", header)
    if tail.trailer:
        yield Row("trailer", "text", "", masked(tail.trailer))


def _plain(code: str) -> str:
    return code if code.isascii() and code.isalnum() else masked(code)


def _why(error: CommandError) -> str:
    return f"{TEXTS.get(error.code, '')} ({error.where})" if error.where else TEXTS[error.code]
