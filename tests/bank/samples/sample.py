"""One frame as it is on the wire, drawn by hand from a specification, and what it says."""

from typing import NamedTuple


class Sample(NamedTuple):
    """Pieces in order: text stands for its ASCII characters, ``x:`` begins hexadecimal."""

    dialect: str
    name: str
    kind: str
    pieces: tuple[str, ...]
    fields: dict[str, str]

    @property
    def frame(self) -> bytes:
        """The bytes, length prefix and all."""
        return b"".join(
            bytes.fromhex(piece[2:]) if piece.startswith("x:") else piece.encode("ascii")
            for piece in self.pieces
        )


KEYS = "6701EAD6A9AD51E51AA406E2C27FCFA98D0A74B8B651F9E9BACE9AE10000000000000000AB7153CA"
"""A published key block: PIK and its check value, a single-length MAK, eight zeros, its check
value."""
