"""Test and live LMKs never meet: each mode of the daemon takes its own kind only."""

from typing import Protocol

from hsm.sealing.errors import NotAllowedError


class OfStatus(Protocol):
    """An LMK, opened from a file or held in a token."""

    @property
    def lmk_id(self) -> str: ...

    @property
    def test(self) -> bool: ...

    @property
    def published(self) -> bool: ...


def allowed(lmk: OfStatus, production: bool) -> None:
    """NotAllowedError: a test LMK (by status or by its published value) in production mode, or a
    live one outside it."""
    if production and lmk.published:
        raise NotAllowedError(
            f"LMK {lmk.lmk_id} is a published test LMK: production mode refuses it"
        )
    if production and lmk.test:
        raise NotAllowedError(f"LMK {lmk.lmk_id} has test status: production mode refuses it")
    if not production and not lmk.test:
        raise NotAllowedError(f"LMK {lmk.lmk_id} is live: test mode refuses it")
