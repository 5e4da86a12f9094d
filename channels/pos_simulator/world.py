"""What a simulated counter has: its POS terminals with their master keys, and one card."""

from pathlib import Path

import msgspec
import yaml
from msgspec import Struct

from channels.iso8583.dialogue import Strict


class PosKey(Strict, frozen=True, kw_only=True):
    """One POS terminal and its master key in clear, 32 hex."""

    merchant: str
    terminal: str
    tmk: str

    def __repr__(self) -> str:
        return f"<PosKey {self.terminal}>"


class PosCard(Strict, frozen=True, kw_only=True):
    """The card that pays."""

    pan: str
    pin: str
    expiry: str

    def __repr__(self) -> str:
        return "<PosCard>"


class Counter(Strict, frozen=True, kw_only=True):
    """The file."""

    terminals: tuple[PosKey, ...]
    card: PosCard


class CounterError(Exception):
    """The file is not usable: path inside it and the reason, no value."""


def load_counter(path: Path) -> Counter:
    """Read it (YAML or JSON). Raises CounterError."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
        counter = msgspec.convert(raw, Counter, strict=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CounterError(f"{path}: {type(error).__name__}") from None
    except msgspec.ValidationError as error:
        raise CounterError(f"{path}: {error}") from None
    for number, terminal in enumerate(counter.terminals):
        if len(terminal.tmk) != 32 or not _is_hex(terminal.tmk):
            raise CounterError(f"{path}: terminals[{number}].tmk is not 32 hex digits")
    return counter


def _is_hex(text: str) -> bool:
    try:
        return bool(bytes.fromhex(text))
    except ValueError:
        return False


class Sale(Struct, frozen=True, kw_only=True):
    """A request of a POS, ready for the wire."""

    terminal: str
    stan: str
    amount_fen: int
    frame: bytes

    def __repr__(self) -> str:
        return f"<Sale {self.terminal}/{self.stan}>"
