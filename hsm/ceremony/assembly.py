"""One key from its components, brought by different people, one after the other. Sans-IO.

Split knowledge: only the XOR of what came so far is kept, so no component outlives its entry.
Whatever shows that something is wrong with a value (a check value, a second entry, a weak result)
ends the ceremony and wipes it; whatever shows only that somebody may not enter it is told and
changes nothing.
"""

import secrets
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from hsm.ceremony.plan import Plan
from hsm.sealing.names import folded
from hsm.sealing.secret_buffer import SecretBuffer

COMPONENTS_MIN: Final = 2
COMPONENTS_MAX: Final = 9


class CeremonyError(Exception):
    """A step was refused. ``code``: a name of hsm.ceremony.texts; ``over``: all is wiped."""

    def __init__(self, code: str, over: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.over = over


class Assembly:
    """``count`` components, then one look at the whole by everybody present."""

    def __init__(self, plan: Plan, count: int) -> None:
        """CeremonyError: fewer than 2 or more than 9 components."""
        if not COMPONENTS_MIN <= count <= COMPONENTS_MAX:
            raise CeremonyError("component_count")
        self._plan = plan
        self.count = count
        self.custodians: tuple[str, ...] = ()
        """Who brought a component so far."""
        self._joined: SecretBuffer | None = SecretBuffer(plan.length)
        self._salt = secrets.token_bytes(16)
        self._seen: set[bytes] = set()

    @property
    def over(self) -> bool:
        """Wiped: finished or aborted."""
        return self._joined is None

    @property
    def complete(self) -> bool:
        """Every component is there; the check value waits to be confirmed."""
        return not self.over and len(self.custodians) == self.count

    @property
    def check_value(self) -> str:
        """Of the whole. CeremonyError: it is not complete."""
        if not self.complete:
            raise CeremonyError("not_complete")
        return self._plan.check_value(self._finished())

    def enter(
        self, custodian: str, component: memoryview, check_value: str, again: memoryview
    ) -> str:
        """A component of an authenticated custodian, confirmed by the check value of its slip or by
        a second entry (either may be empty, not both). Its check value."""
        if self._joined is None or self.complete:
            raise CeremonyError("no_component_wanted")
        if folded(custodian) in map(folded, self.custodians):
            raise CeremonyError("same_custodian")
        if len(component) != self._plan.length:
            raise CeremonyError("component_length")
        if not check_value and not again:
            raise CeremonyError("component_unconfirmed")
        if again and not compare_digest(component, again):
            self._abort("entries_differ")
        found = self._plan.component_check_value(component)
        if check_value and not _same(check_value, found):
            self._abort("wrong_component_check_value")
        if not any(component):
            self._abort("component_zero")
        known = blake2b(component, key=self._salt).digest()
        if known in self._seen:
            # Twice the same cancels out in the XOR: fewer people would know the key.
            self._abort("component_repeated")
        self._seen.add(known)
        for at, byte in enumerate(component):
            self._joined.view[at] ^= byte
        self.custodians += (custodian,)
        if self.complete and self._plan.weak(self._finished()):
            self._abort("weak_key")
        return found

    def confirm(self, check_value: str) -> bytes:
        """The key, when all present read this check value; then nothing is kept here. Less than 6
        hex characters confirm nothing, and another value aborts."""
        whole = self.check_value
        if not _same(check_value, whole):
            self._abort("wrong_check_value")
        key = self._finished()
        self.abort()
        return key

    def abort(self) -> None:
        """Wipe."""
        self._seen.clear()
        if self._joined is not None:
            self._joined.wipe()
            self._joined = None

    def _finished(self) -> bytes:
        assert self._joined is not None
        return self._plan.finished(self._joined.view)

    def _abort(self, code: str) -> None:
        self.abort()
        raise CeremonyError(code, over=True)


def _same(told: str, found: str) -> bool:
    """Whether what a person read begins as ``found`` does: 6 hex characters or more."""
    plain = "".join(told.split()).upper()
    return len(plain) >= 6 and compare_digest(plain.encode(), found[: len(plain)].encode())
