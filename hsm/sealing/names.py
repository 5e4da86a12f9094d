"""Names of officers, credentials, tokens and keys: they stand in files, errors and logs."""

import unicodedata
from typing import Annotated

from msgspec import Meta, ValidationError, convert

from hsm.sealing.errors import SealingError

Name = Annotated[str, Meta(pattern=r"^[^\s\x00-\x1f\x7f](.{0,30}[^\s\x00-\x1f\x7f])?\Z")]
"""1 … 32 characters on one line, no blank at either end."""


def plain_name(text: str, whose: str) -> str:
    """The text when it is a :data:`Name`, and such that a file can hold it. SealingError if not."""
    try:
        text.encode("utf-8")
        return convert(text, Name)
    except (UnicodeEncodeError, ValidationError):
        raise SealingError("name", whose) from None


def folded(name: str) -> str:
    """A name as a person is known by it: letter case, width and accents' spelling do not matter."""
    return unicodedata.normalize("NFKC", name).casefold()
