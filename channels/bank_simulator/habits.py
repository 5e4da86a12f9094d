"""The bad habits of real banks, as switches: scripted for the next message, or drawn by chance.

A scripted habit is used up by the first message it fits; a chance is drawn for every message. At
most one habit applies to a message, scripted ones first.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

PERMILLE = 1000
_COMMAND = re.compile(r"[0-9A-Fa-f]{8}")
SCRIPT_MAX = 1000
"""Scripted habits that may wait (I11)."""


class Name(StrEnum):
    """What the bank can do wrong."""

    LOSE = "lose"
    """The request never arrived: nothing booked, no answer."""
    SILENT = "silent"
    """Booked, no answer."""
    LATE = "late"
    """Booked, answered after ``delay_ms``."""
    DUPLICATE = "duplicate"
    """Answered twice, the second time after ``delay_ms``."""
    HALF_FRAME = "half_frame"
    """Booked, half of the answer, then the link drops."""
    WRONG_MAC = "wrong_mac"
    WRONG_AMOUNT_ECHO = "wrong_amount_echo"
    """A right MAC over a wrong amount."""
    WRONG_STAN = "wrong_stan"
    FORGET_REVERSAL = "forget_reversal"
    """A reversal whose sale never came is answered 00, and nothing is remembered."""
    ANSWER_94 = "answer_94"
    """Booked, but answered 94 (duplicate)."""
    DECLINE = "decline"
    """Answered ``code``; nothing booked."""
    DROP_LINK = "drop_link"
    """Booked, then the link drops."""
    SLOW_DRIP = "slow_drip"
    """Booked, answered byte by byte, ``delay_ms`` apart."""
    NO_ISSUER_DATA = "no_issuer_data"
    """A chip's sale: nothing for the chip in the answer."""
    WRONG_ARPC = "wrong_arpc"
    """A chip's sale: what is for the chip does not prove its issuer."""
    SCRIPT = "script"
    """A chip's sale: a script command for after the card's last word. ``code``: its CLA INS P1 P2
    in hexadecimal."""
    WRONG_KCV = "wrong_kcv"
    """Sign-on, key reset: a check value that is not the key's."""
    WRONG_TOTALS = "wrong_totals"
    """Settlement: totals that agree are said to differ."""
    RESET_KEYS = "reset_keys"
    """A key reset is sent while this message is in flight (where the dialect has one)."""
    FORGET_KEYS = "forget_keys"
    """The bank has lost this terminal's keys: A0, and so is everything until it signs on."""
    CUT_OVER = "cut_over"
    """The bank's day turns with this message, whatever the clock says."""


class On(StrEnum):
    """Which messages a habit is for: the kinds of messages, as the dialects name them."""

    SALE = "sale"
    QR_SALE = "qr_sale"
    PREAUTH = "preauth"
    COMPLETION = "completion"
    VOID = "void"
    REFUND = "refund"
    PREAUTH_VOID = "preauth_void"
    COMPLETION_VOID = "completion_void"
    QR_VOID = "qr_void"
    QR_REFUND = "qr_refund"
    BALANCE = "balance"
    REVERSAL = "reversal"
    SCRIPT_NOTICE = "script_notice"
    SETTLEMENT = "settlement"
    UPLOAD = "upload"
    UPLOAD_END = "upload_end"
    SIGN_ON = "sign_on"
    SIGN_OFF = "sign_off"
    ECHO = "echo"
    KEY_REQUEST = "key_request"
    KEY_RESET = "key_reset"
    DAY_CUT_START = "day_cut_start"
    DAY_CUT_END = "day_cut_end"
    ANY = "any"


class Habit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One habit. ``times`` for scripted ones, ``permille`` for chances."""

    habit: Name
    on: On = On.SALE
    delay_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 0
    code: str = ""
    times: Annotated[int, Meta(ge=1, le=SCRIPT_MAX)] = 1
    permille: Annotated[int, Meta(ge=0, le=PERMILLE)] = 0

    def __post_init__(self) -> None:
        """A script needs a command to send."""
        if self.habit is Name.SCRIPT and _COMMAND.fullmatch(self.code) is None:
            raise ValueError("script: code is not CLA INS P1 P2, 8 hexadecimal digits")


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /habits``. ``next`` is appended; the others replace."""

    next: tuple[Habit, ...] = ()
    chances: tuple[Habit, ...] | None = None
    tombstone: bool | None = None
    repeats_94: bool | None = None
    clear: bool = False
    """Forget every habit first."""


class Habits:
    """The switches. ``random`` gives 0 ≤ x < 1."""

    def __init__(self, random: Callable[[], float]) -> None:
        self.tombstone = False
        """A reversal without its sale refuses the sale that comes after it."""
        self.repeats_94 = False
        """A message that was answered before is answered 94."""
        self._random = random
        self._script: list[Habit] = []
        self._chances: tuple[Habit, ...] = ()

    def set(self, order: Order) -> None:
        """Apply an order. Raises ValueError when more would wait than may."""
        if order.clear:
            self.tombstone = self.repeats_94 = False
            self._script, self._chances = [], ()
        scripted = [one for habit in order.next for one in [habit] * habit.times]
        if len(self._script) + len(scripted) > SCRIPT_MAX:
            raise ValueError(f"more than {SCRIPT_MAX} scripted habits")
        self._script += scripted
        if order.chances is not None:
            self._chances = order.chances
        if order.tombstone is not None:
            self.tombstone = order.tombstone
        if order.repeats_94 is not None:
            self.repeats_94 = order.repeats_94

    def draw(self, kind: str) -> Habit | None:
        """The habit for a message of this kind, if any."""
        for index, habit in enumerate(self._script):
            if habit.on in (kind, On.ANY):
                return self._script.pop(index)
        for habit in self._chances:
            if habit.on in (kind, On.ANY) and self._random() * PERMILLE < habit.permille:
                return habit
        return None
