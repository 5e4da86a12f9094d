"""What operators want of terminals: files below ``orders/TERMINAL/`` of the PKI folder.

``KIND.json`` is written by the operator's command alone, ``KIND.answer.json`` by the front alone,
both whole and renamed; an answer belongs to the order with its id. So neither overwrites the other,
and whoever may write the folder may give orders, as with the registry.

One order of a kind at a time: a newer one replaces the older (I11). An order waits until it is
answered, over restarts of the switch and of the terminal.
"""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from channels.kiosk.registry import TERMINAL_ID, alone, write_durably
from terminal_agent import protocol

Do = Literal["settings", "lock", "unlock", "restart", "logs"]
KINDS = ("settings", "lock", "restart", "logs")
"""``lock`` and ``unlock`` are one kind: the newer is what is wanted."""
LOGS_MAX = 16
"""Log files kept for each terminal."""
TEXT_CHARACTERS_MAX = 64
NANO = 1_000_000_000
SETTLED_NS = 2 * NANO

F = TypeVar("F", bound=Struct)


class OrderError(ValueError):
    """The order cannot be given; says why in one sentence."""


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One order."""

    id: str
    do: Do
    text: str = ""
    """With ``lock``: what the terminal shows."""
    version: int = 0
    """With ``settings``: grows with every push to this terminal."""
    settings: dict[str, str] = {}
    made_at: int
    """Seconds since 1970."""

    @property
    def kind(self) -> str:
        """The file it stands in."""
        return "lock" if self.do == "unlock" else self.do


class Reply(Struct, frozen=True, kw_only=True):
    """What the terminal said to an order."""

    id: str
    ok: bool
    text: str = ""
    at: int
    """Seconds since 1970."""


class Placed(Struct, frozen=True, kw_only=True):
    """An order and what became of it; ``reply`` None: it waits."""

    order: Order
    reply: Reply | None


class OrderBook:
    """The orders below one PKI folder. ``now_s`` is the wall clock, for people."""

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.time) -> None:
        self._folder = folder / "orders"
        self._logs = folder / "logs"
        self._now_s = now_s
        self._known: dict[str, tuple[int, list[Placed]]] = {}
        """Terminal → (when its folder changed, what it held): most checks read nothing."""

    def place(
        self,
        terminal: str,
        do: Do,
        *,
        text: str = "",
        settings: dict[str, str] | None = None,
        above: int = 0,
    ) -> Order:
        """Give an order, durably; an older one of its kind ends. ``above`` is a settings version
        that the new one must pass. Raises OrderError."""
        settings = settings or {}
        mistake = protocol.first_mistake(settings) if do == "settings" else ""
        if mistake:
            raise OrderError(mistake)
        if len(text) > TEXT_CHARACTERS_MAX or not (text.isprintable()):
            raise OrderError(f"text: must be at most {TEXT_CHARACTERS_MAX} printable characters")
        with alone(self._of(terminal)):
            version = 0
            if do == "settings":
                former = self._order(terminal, "settings")
                version = max(above, former.version if former else 0) + 1
            order = Order(
                id=secrets.token_hex(8),
                do=do,
                text=text,
                version=version,
                settings=settings,
                made_at=int(self._now_s()),
            )
            path = self._of(terminal) / f"{order.kind}.json"
            write_durably(path, msgspec.json.encode(order))
        return order

    def placed(self, terminal: str) -> list[Placed]:
        """The newest order of each kind. A file that cannot be read is as if it were not there."""
        folder = self._of(terminal)
        try:
            changed_at = os.stat(folder).st_mtime_ns
        except FileNotFoundError:
            return []
        known = self._known.get(terminal)
        if known is not None and known[0] == changed_at:
            return known[1]
        found = []
        for kind in KINDS:
            order = self._order(terminal, kind)
            if order is not None:
                answer = _load(folder / f"{kind}.answer.json", Reply)
                reply = answer if answer is not None and answer.id == order.id else None
                found.append(Placed(order=order, reply=reply))
        # A second change in the same tick of the file system's clock would leave no trace.
        if self._now_s() * NANO - changed_at > SETTLED_NS:
            self._known[terminal] = (changed_at, found)
        return found

    def answer(self, terminal: str, kind: str, reply: Reply, log: str = "") -> None:
        """Keep a terminal's answer, durably, and the log it brought. Blocks: call it in a thread.
        Raises OSError."""
        if log:
            self._logs.mkdir(parents=True, exist_ok=True)
            write_durably(self.log_path(terminal, reply.id), log.encode())
            kept = sorted(self._logs.glob(f"{terminal}-*.jsonl"), key=_changed_at, reverse=True)
            for path in kept[LOGS_MAX:]:
                path.unlink(missing_ok=True)
        path = self._of(terminal) / f"{kind}.answer.json"
        write_durably(path, msgspec.json.encode(reply))

    def log_path(self, terminal: str, order_id: str) -> Path:
        """Where the log that an order brought is kept."""
        return self._logs / f"{terminal}-{order_id}.jsonl"

    def _of(self, terminal: str) -> Path:
        if TERMINAL_ID.fullmatch(terminal) is None:
            raise OrderError("terminal: 1 to 16 letters, digits and dots")
        return self._folder / terminal

    def _order(self, terminal: str, kind: str) -> Order | None:
        order = _load(self._of(terminal) / f"{kind}.json", Order)
        return order if order is not None and order.kind == kind else None


def _load(path: Path, kind: type[F]) -> F | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
