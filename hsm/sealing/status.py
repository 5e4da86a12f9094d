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
        raise NotAllowedError("not_allowed_published", lmk.lmk_id)
    if production and lmk.test:
        raise NotAllowedError("not_allowed_test", lmk.lmk_id)
    if not production and not lmk.test:
        raise NotAllowedError("not_allowed_live", lmk.lmk_id)
