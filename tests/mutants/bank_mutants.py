"""Mutants of a bank's channel (layer ``bank``), each to be caught by the test that it names: one
of ``test_sales_at_once.py``, ``test_conformance.py`` or ``test_host_sessions.py``."""

from collections import deque
from typing import Any

import pytest

from channels.iso8583.bank_requests import BankRequests
from channels.iso8583.dialect import KeyName
from channels.iso8583.exchange import Exchange
from channels.iso8583.hub import Hub
from channels.iso8583.link import Link
from channels.iso8583.message import Message
from channels.iso8583.new_keys import NewKeys
from channels.iso8583.pool import Pool, _Waiter
from channels.iso8583.session import Event
from channels.iso8583.sign_on import Session
from channels.iso8583.terminal import Terminal
from tests.mutants.registry import mutant

# ---- sales at once -------------------------------------------------------------------------------


@mutant(
    "a bank's own limit is forgotten",
    "bank",
    "I11",
    "test_I11_the_sale_above_the_limit_waits_and_goes_when_one_ends",
)
def bank_limit_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Only the terminals' room counts: the bank gets more at once than it has agreed to."""
    real = Pool._free

    def by_terminal(self: Pool, ring: deque[Terminal], *, undo: bool) -> Terminal | None:
        leases, self._leases = self._leases, {}
        try:
            return real(self, ring, undo=undo)
        finally:
            self._leases = leases

    patch.setattr(Pool, "_free", by_terminal)


@mutant(
    "a sale waits for ever for its place",
    "bank",
    "I11",
    "test_I11_the_sale_that_waited_in_vain_is_not_sent",
)
def waits_for_ever(patch: pytest.MonkeyPatch) -> None:
    """The patient stands there until another payment ends, if ever one does."""
    real = Pool._leave

    def only_with_a_place(self: Pool, waiter: _Waiter, terminal: Terminal | None) -> None:
        if terminal is not None:
            real(self, waiter, terminal)

    patch.setattr(Pool, "_leave", only_with_a_place)


@mutant("the line has no end", "bank", "I11", "test_I11_the_line_is_bounded")
def line_without_end(patch: pytest.MonkeyPatch) -> None:
    """However many wait, one more may."""

    async def lease(
        self: Pool, key: tuple[str, int], ring: deque[Terminal], *, undo: bool = False
    ) -> Terminal | None:
        terminal = self._free(ring, undo=undo) or await self._wait(ring, undo=undo)
        if terminal is not None:
            self._leases[key] = (terminal, self._timeline.now_ms())
        return terminal

    patch.setattr(Pool, "_lease", lease)


@mutant(
    "a place that is free again is nobody's",
    "bank",
    "I11",
    "test_I11_the_sale_above_the_limit_waits_and_goes_when_one_ends",
)
def free_place_is_kept(patch: pytest.MonkeyPatch) -> None:
    """The end of a payment wakes nobody who waits in line."""

    def asleep(_self: Pool) -> None:
        return None

    patch.setattr(Pool, "serve", asleep)


# ---- keys in flight ------------------------------------------------------------------------------


@mutant(
    "a new sign-on does not wait for the sale in flight",
    "bank",
    "rule 16",
    "test_rule_16_a_new_sign_on_waits_for_the_sale_in_flight",
)
def sign_on_overtakes(patch: pytest.MonkeyPatch) -> None:
    """The bank changes its keys under a sale that it has not answered."""

    def at_once(self: Session) -> None:
        self.feed(Event.DRAINED)

    patch.setattr(Session, "_maybe_drained", at_once)


_NEWEST_ONLY = (
    "test_rule_16_an_approval_under_replaced_keys_finds_its_payment",
    "test_rule_16_keys_reset_while_a_sale_is_held_lose_nothing",
    "test_rule_16_a_key_reset_just_before_the_answer_loses_nothing",
)


def newest_only(patch: pytest.MonkeyPatch) -> None:
    """An exchange forgets the generation that it went under: a true answer is taken for a forged
    one, and an approved sale goes back."""
    real = Hub._authentic

    async def forgetful(self: Hub, exchange: Exchange, message: Message) -> bool:
        exchange.mak = await exchange.owner.newest_mak()
        return await real(self, exchange, message)

    patch.setattr(Hub, "_authentic", forgetful)


for number, scene in enumerate(_NEWEST_ONLY, start=1):
    mutant(f"an answer counts under the newest keys only, {number}", "bank", "rule 16", scene)(
        newest_only
    )


@mutant(
    "keys that the bank sends are left lying",
    "bank",
    "rule 16",
    "test_rule_16_keys_reset_while_a_sale_is_held_lose_nothing",
)
def reset_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """They are answered 00 and not used."""

    async def ignored(self: NewKeys, *_what: object, **_more: object) -> frozenset[KeyName]:
        return frozenset()

    patch.setattr(NewKeys, "install_pushed", ignored)


# ---- what a bank asks of us ----------------------------------------------------------------------


@mutant(
    "at the limit a bank hears nothing",
    "bank",
    "I11",
    "test_I11_requests_in_work_are_counted_down",
)
def silent_at_the_limit(patch: pytest.MonkeyPatch) -> None:
    """A request above the limit is dropped: the bank waits for its time-out, and takes us for
    gone."""
    real = BankRequests._tell

    async def silent(
        self: BankRequests, link: Link, kind: str, message: Message, code: str, mak: str = ""
    ) -> None:
        if code != self._codes.failed:
            await real(self, link, kind, message, code, mak)

    patch.setattr(BankRequests, "_tell", silent)


@mutant(
    "a copy of what is in work is refused",
    "bank",
    "I11",
    "test_I11_a_copy_of_what_is_in_work_gets_no_word_of_its_own",
)
def copy_is_refused(patch: pytest.MonkeyPatch) -> None:
    """The bank believes the refusal and keeps its old keys; we take the new ones."""

    class Anonymous(list[tuple[str, ...]]):
        def __contains__(self, _identity: object) -> bool:
            return False

    def made(self: BankRequests, **what: Any) -> None:
        real(self, **what)
        self._going = Anonymous()

    real = BankRequests.__init__
    patch.setattr(BankRequests, "__init__", made)
