"""The form of a MAC, as a bank's dialect names it and a key service makes it."""

from typing import Final, Literal

from msgspec import Struct


class MacForm(Struct, frozen=True, kw_only=True):
    """What is keyed, how, and how much of it is sent.

    ``cbc`` is ISO 9797-1 algorithm 1 (X9.9; with a double-length key triple DES in every step),
    ``retail`` algorithm 3 (X9.19), ``sm4_cbc`` algorithm 1 over SM4. The key service pads the
    message to whole blocks: with ``zeros`` (method 1; none when it is whole) or with ``80`` and
    zeros (method 2; always).
    """

    algorithm: Literal["cbc", "retail", "sm4_cbc"]
    padding: Literal["zeros", "80"]
    characters: Literal[8, 16]
    """Upper-case hex characters of the MAC: 4 or 8 bytes of the last block, from its left."""


CUP: Final = MacForm(algorithm="cbc", padding="zeros", characters=8)
"""UnionPay's field 64 over the 16 characters that the message was folded into."""
