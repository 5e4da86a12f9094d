"""The outside world of the bank simulator: its cards and the terminal keys it once handed out.

All of it is test data: real cards and real keys have no business in a simulator.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from channels.bank_simulator.mistakes import mistake
from channels.bank_simulator.yaml_file import YamlFileError, read_yaml
from channels.iso8583.dialogue import Strict


class TerminalKey(Strict, frozen=True, kw_only=True):
    """A logical terminal that the bank knows, and its master key in clear (hex)."""

    merchant: Annotated[str, Meta(pattern="^[0-9A-Za-z]{15}$")]
    terminal: Annotated[str, Meta(pattern="^[0-9A-Za-z]{8}$")]
    tmk: str

    def __repr__(self) -> str:
        return f"<TerminalKey {self.terminal}>"


class Card(Strict, frozen=True, kw_only=True):
    """A card. ``name`` stands for it in the ledger, which holds no card numbers."""

    name: str
    pan: Annotated[str, Meta(pattern="^[0-9]{12,19}$")]
    pin: str
    """Empty: it pays without one."""
    balance_fen: int
    chip: bool = False
    """A chip of this bank's ``issuer``: read (field 22 05x), its sale needs a right cryptogram."""

    def __repr__(self) -> str:
        return f"<Card {self.name}>"


ANY = "*"
ISSUED = ANY
"""Name of every card that an :class:`Issue` stands for."""


class Issue(Strict, frozen=True, kw_only=True):
    """Cards without a row of their own: every number of this beginning, for load. What they spend
    is not taken from their balance."""

    prefix: str
    pin: str
    balance_fen: int

    def __repr__(self) -> str:
        return "<Issue>"


class PaymentCode(Strict, frozen=True, kw_only=True):
    """A payment code on a phone (付款码), good for one payment from a card of ours. One that ends
    in ``*`` stands for every code of this beginning, for load."""

    code: str
    card: str

    def __repr__(self) -> str:
        return f"<PaymentCode of {self.card}>"


class IssuerKeys(Strict, frozen=True, kw_only=True):
    """The issuer's master keys of chip cards, 16 bytes each in hex: published test keys only."""

    cryptogram_key: str
    script_key: str

    def __repr__(self) -> str:
        return "<IssuerKeys>"


class World(Strict, frozen=True, kw_only=True):
    """The keys file."""

    terminals: tuple[TerminalKey, ...]
    cards: tuple[Card, ...] = ()
    issues: tuple[Issue, ...] = ()
    codes: tuple[PaymentCode, ...] = ()
    issuer: IssuerKeys | None = None
    branches: tuple[TerminalKey, ...] = ()
    """The bank's own kiosks and counters: who they are at the switch's door, which gave them their
    master keys."""


class WorldError(Exception):
    """The keys file is not usable: path inside it and the reason, no value."""


def load_world(path: Path) -> World:
    """Read a keys file (YAML or JSON). Raises WorldError."""
    try:
        world = msgspec.convert(read_yaml(path), World, strict=False)
    except YamlFileError as error:
        raise WorldError(str(error)) from None
    except msgspec.ValidationError as error:
        raise WorldError(f"{path}: {mistake(error, World)}") from None
    for terminal in (*world.terminals, *world.branches):
        if not _is_key(terminal.tmk):
            raise WorldError(f"{path}: terminal {terminal.terminal}: tmk is not 32 hex digits")
    for place, names in (
        ("terminals", [(one.merchant, one.terminal) for one in world.terminals]),
        ("cards: name", [card.name for card in world.cards]),
        ("cards: pan", [card.pan for card in world.cards]),
    ):
        if len(set(names)) < len(names):
            raise WorldError(f"{path}: {place}: one stands there twice")
    issuer = world.issuer
    if issuer is not None and not (_is_key(issuer.cryptogram_key) and _is_key(issuer.script_key)):
        raise WorldError(f"{path}: issuer: its keys are not 32 hex digits each")
    if issuer is None and any(card.chip for card in world.cards):
        raise WorldError(f"{path}: cards: a chip without an issuer")
    if not {code.card for code in world.codes} <= {card.name for card in world.cards}:
        raise WorldError(f"{path}: codes: one pays from a card that is not there")
    return world


def _is_key(text: str) -> bool:
    try:
        return len(text) == 32 and len(bytes.fromhex(text)) == 16
    except ValueError:
        return False


class Holder(Struct, frozen=True):
    """What the bank knows of the holder of a card number."""

    name: str
    pin: str
    balance_fen: int
    chip: bool = False

    def __repr__(self) -> str:
        return f"<Holder {self.name}>"


class Issuer:
    """Finds cards, and who pays by a code."""

    def __init__(self, world: World) -> None:
        self._cards = {c.pan: Holder(c.name, c.pin, c.balance_fen, c.chip) for c in world.cards}
        self._issues = world.issues
        named = {holder.name: holder for holder in self._cards.values()}
        self._codes = {one.code: named[one.card] for one in world.codes if one.code[-1:] != ANY}
        self._beginnings = [
            (one.code[:-1], named[one.card]) for one in world.codes if one.code[-1:] == ANY
        ]

    def holder(self, pan: str) -> Holder | None:
        """Who holds this card; None for a number the bank never issued."""
        found = self._cards.get(pan)
        if found is None:
            for issue in self._issues:
                if pan.startswith(issue.prefix):
                    return Holder(ISSUED, issue.pin, issue.balance_fen)
        return found

    def payer(self, code: str) -> Holder | None:
        """Whose payment code this is; None for a code that nobody was given."""
        found = self._codes.get(code)
        if found is None and code:
            for beginning, holder in self._beginnings:
                if code.startswith(beginning):
                    return holder
        return found
