"""The demo's cards: made-up numbers of a test BIN, known to the bank's simulator and the kiosks."""

from typing import Any

from msgspec import Struct

PIN = "135790"
WRONG_PIN = "246801"
BIN = "622588"
EXPIRY = "3012"
ISSUER = {
    "cryptogram_key": "0123456789ABCDEFFEDCBA9876543210",
    "script_key": "89ABCDEF0123456776543210FEDCBA98",
}
"""Master keys of the made-up issuer: published with the emulated chip cards, so worth nothing."""
LOAD_CARDS = tuple(f"load-{n}" for n in range(16))


class Card(Struct, frozen=True, kw_only=True):
    """One card. ``balance_fen`` is what the bank lets it spend."""

    id: str
    pan: str
    balance_fen: int


def _with_check_digit(body: str) -> str:
    """Append the Luhn digit.

    >>> _with_check_digit("622588000000000")
    '6225880000000001'
    """
    digits = [int(c) for c in reversed(body)]
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[::2]]
    return body + str(-(sum(doubled) + sum(digits[1::2])) % 10)


def _card(number: int, name: str, balance_fen: int) -> Card:
    pan = _with_check_digit(f"{BIN}{number:09d}")
    return Card(id=name, pan=pan, balance_fen=balance_fen)


CARDS = (
    _card(1, "good", 100_000_000),
    _card(2, "empty", 1),
    *(_card(100 + n, name, 100_000_000_000) for n, name in enumerate(LOAD_CARDS)),
)


def at_the_bank() -> list[dict[str, Any]]:
    """What the issuer knows."""
    return [
        {
            "name": card.id,
            "pan": card.pan,
            "pin": PIN,
            "balance_fen": card.balance_fen,
            "chip": True,
        }
        for card in CARDS
    ]


def in_the_hand() -> list[dict[str, Any]]:
    """What a reader reads."""
    return [
        {
            "id": card.id,
            "pan": card.pan,
            "expiry": EXPIRY,
            "track2": f"{card.pan}={EXPIRY}2010000000000",
            "pin": PIN,
        }
        for card in CARDS
    ]
