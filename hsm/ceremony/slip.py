"""The sealed slip of one component: what is printed, signed, put into an envelope, and read again.

A slip is a text file of mode 0600 on a custodian's own medium; it is the only place where this
project writes a component down.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from hsm.sealing.files import read_guarded, write_new

_FILE_BYTES_MAX: Final = 16 * 1024
_LINE_BYTES: Final = 16
_GROUP: Final = 4
_VALUE = re.compile(r" *([0-9]{2}) \| ([0-9A-F]{4}(?: [0-9A-F]{4}){1,7}) *")
_CHECK = re.compile(r".*CHECK VALUE +: ([0-9A-F]{6}) *")
_RULE: Final = "=" * 72


class SlipError(Exception):
    """The file is no slip, or a line of it is missing."""


class Slip(NamedTuple):
    """One component as its slip has it."""

    value: str
    """Hex."""
    check_value: str

    def __repr__(self) -> str:
        return f"<slip, check value {self.check_value}>"


def layout(
    slip: Slip, *, purpose: str, number: int, count: int, custodian: str, made: datetime
) -> str:
    """The text of a slip: 16 bytes a line, in groups of four characters."""
    lines = [
        _RULE,
        " 绝密 KEY COMPONENT - for its custodian alone 仅限保管人本人拆阅",
        _RULE,
        f" 用途 PURPOSE       : {purpose}",
        f" 分量 COMPONENT     : {number} / {count}",
        f" 保管人 CUSTODIAN   : {custodian}",
        f" 日期 DATE          : {made:%Y-%m-%d %H:%M} UTC",
        "-" * 72,
    ]
    size = 2 * _LINE_BYTES
    for line, at in enumerate(range(0, len(slip.value), size), 1):
        piece = slip.value[at : at + size]
        groups = " ".join(piece[i : i + _GROUP] for i in range(0, len(piece), _GROUP))
        lines.append(f" {line:02d} | {groups}")
    lines += [
        "-" * 72,
        f" 校验值 CHECK VALUE : {slip.check_value}",
        "",
        " 封套号 ENVELOPE NO. ______________   签名 SIGNATURE ______________________",
        _RULE,
    ]
    return "\n".join(lines) + "\n"


def write_slip(path: Path, text: str) -> None:
    """A new file, 0600. BadFileError: something is there already."""
    write_new(path, text.encode("utf-8"))


def read_slip(path: Path) -> Slip:
    """The component of a slip. BadFileError: mode or owner; SlipError: it is none."""
    with read_guarded(path, _FILE_BYTES_MAX) as buffer:
        try:
            lines = bytes(buffer.view).decode("utf-8").splitlines()
        except UnicodeDecodeError:
            raise SlipError(path.name) from None
    values = [found.groups() for line in lines if (found := _VALUE.fullmatch(line))]
    checks = [found[1] for line in lines if (found := _CHECK.fullmatch(line))]
    in_order = [int(number) for number, _ in values] == list(range(1, len(values) + 1))
    if not values or not in_order or len(checks) != 1:
        raise SlipError(path.name)
    return Slip("".join(value.replace(" ", "") for _, value in values), checks[0])
