"""How a version of a key comes into the store: made by the HSM, or brought as a cryptogram.

A clear key is never taken: what comes must be under the LMK or under a ZMK that the store holds,
and must have the check value that its sender states.
"""

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from switch.keys.desk import officer
from switch.keys.tools import KeyTools
from switch.model.held_key import KEY_NAME, named_key, split_held
from switch.store.key_store import (
    ONE_PER_TERMINAL,
    KeyConnection,
    KeyRefused,
    Owner,
    State,
    StoredKey,
    active,
)

USAGES: Final = {
    "ZMK": "000", "TMK": "000", "ZPK": "001", "TPK": "002", "PVK": "002", "TAK": "003",
    "ZAK": "008", "BDK": "009", "ZEK": "00A", "DEK": "00B", "CVK": "402",
}  # fmt: skip
"""Usage → key type under a variant LMK. A bank's TMK unwraps working keys, so it is a ZMK to A6."""

OWNER: Final = ("hospital", "bank", "merchant_role", "merchant", "terminal")

_TR31 = re.compile(r"[ABCD][0-9]{4}[A-Z0-9]{2}.{9,}")
_UNDER_LMK = re.compile(r"[UTZ][0-9A-F]+(%[0-9]{2})?|S.{16,}")
_CHECK = re.compile(r"[0-9A-F]{6,16}")
_FILE_MAX: Final = 16_384


class Sent(NamedTuple):
    """What somebody brings: a cryptogram, the check value he states, the ZMK it is under."""

    text: str
    check_value: str
    under: str


class Brought(NamedTuple):
    """A key under the LMK, its whole check value, and how it came."""

    held: str
    check_value: str
    how: str


def wanted(args: argparse.Namespace) -> StoredKey:
    """The key that the arguments describe, without its cryptogram. KeyRefused: they cannot be."""
    if KEY_NAME.fullmatch(args.name) is None:
        raise KeyRefused(f"{args.name!r}: a name is small letters, digits, dot, dash, underscore")
    owner = Owner(**{part: getattr(args, part) for part in OWNER})
    if args.usage in ONE_PER_TERMINAL and not owner.terminal:
        raise KeyRefused(f"a {args.usage} belongs to one terminal: give --terminal (一机一密)")
    return StoredKey(
        name=args.name,
        version=1,
        usage=args.usage,
        key_type=args.type or USAGES[args.usage],
        scheme="",
        lmk_id="",
        held="",
        check_value="",
        state=State.PENDING if args.pending else State.ACTIVE,
        owner=owner,
        not_before=_time(args.not_before),
        not_after=_time(args.not_after),
        changed_by=officer(),
    )


def cryptogram(args: argparse.Namespace) -> str:
    """From the argument, the file or stdin. KeyRefused: there is none."""
    text = args.cryptogram or ""
    if args.cryptogram_file == Path("-"):
        text = sys.stdin.read(_FILE_MAX)
    elif args.cryptogram_file is not None:
        with args.cryptogram_file.open(encoding="ascii", errors="replace") as file:
            text = file.read(_FILE_MAX)
    text = "".join(text.split("\n")).strip()
    if not text:
        raise KeyRefused("no cryptogram: give --cryptogram or --cryptogram-file")
    return text


def stated_check(args: argparse.Namespace) -> str:
    """``--check-value`` in capitals. KeyRefused: it is none."""
    text: str = args.check_value.replace(" ", "").upper()
    if text and _CHECK.fullmatch(text) is None:
        raise KeyRefused("a check value is 6 to 16 hex digits")
    return text


async def bring(
    tools: KeyTools, conn: KeyConnection, key: StoredKey, args: argparse.Namespace
) -> Brought:
    """Have the HSM take a cryptogram in, and compare check values. KeyServiceError, KeyRefused."""
    sent = Sent(cryptogram(args), stated_check(args), args.under)
    if sent.under:
        held, how = await _from_under(tools, conn, key, sent)
    else:
        if _UNDER_LMK.fullmatch(sent.text) is None:
            raise KeyRefused(
                "a cryptogram under the LMK begins with U, T, Z or S; a key under a ZMK needs "
                "--under key:NAME; a clear key is never taken"
            )
        held, how = sent.text, "came under the LMK"
    whole = await tools.check_value(key.key_type, held)
    if not whole.startswith(sent.check_value):
        raise KeyRefused(f"check value {whole} is not {sent.check_value}: nothing was kept")
    return Brought(held, whole, how)


async def make(tools: KeyTools, key: StoredKey, scheme: str, lmk_id: str) -> Brought:
    """Have the HSM make it. KeyServiceError."""
    default = lmk_id in ("", tools.default_lmk)
    held, _ = await tools.generate_key(key.key_type, scheme, "" if default else lmk_id)
    return Brought(held, await tools.check_value(key.key_type, held), "made by the HSM")


def filled(key: StoredKey, brought: Brought, default_lmk: str) -> StoredKey:
    """The key with what was brought."""
    return replace(
        key,
        held=brought.held,
        check_value=brought.check_value,
        scheme=brought.held[0] if brought.held[0] in "UTS" else "Z",
        lmk_id=split_held(brought.held).lmk_id or default_lmk,
    )


async def _from_under(
    tools: KeyTools, conn: KeyConnection, key: StoredKey, sent: Sent
) -> tuple[str, str]:
    text = sent.text
    block = text.startswith("R") or _TR31.fullmatch(text) is not None
    if not (sent.check_value or block):
        raise KeyRefused("a key under a ZMK needs --check-value, as its sender states it")
    zmk = active(conn, named_key(sent.under) or sent.under)
    if block and not text.startswith("R"):
        text = f"R{text}"
    held, _ = await tools.import_key(key.key_type, zmk.held, text)
    return held, f"came {'as TR-31 ' if block else ''}under {zmk.name} version {zmk.version}"


def _time(text: str) -> str:
    """ISO 8601, UTC where it does not say. KeyRefused."""
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise KeyRefused(f"{text}: write 2026-01-31 or 2026-01-31T08:00:00+08:00") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()
