"""How an operation with a card's secrets leaves: its PIN block seen to, built, MACed, sent.

What is here for a moment, the block under the bank's key, is nowhere else (I12). PIN block and MAC
of a message are under one key set: a bank may send new keys while the HSM is asked, and a right PIN
under the old key would be answered as a wrong one (55).
"""

from collections.abc import Callable, Mapping

from channels.iso8583 import pass_through, sale
from channels.iso8583.bank import Bank, Sent
from channels.iso8583.errors import Iso8583Error
from channels.iso8583.exchange import Origin
from channels.iso8583.terminal import Terminal
from channels.iso8583.writes import Write
from switch.model.secret import Secret
from switch.ports import CardSecrets, KeyService, WorkingKeys

_TRIES = 3
"""A bank's reset of both keys is two changes; one more and the message is not sent."""


class KeysReplacedError(Iso8583Error):
    """The message is under keys that a newer set has replaced; it was not sent."""

    def __init__(self) -> None:
        super().__init__("52", "made under keys that were replaced meanwhile")


class CardSender:
    """One bank's."""

    def __init__(self, bank: Bank, key_service: KeyService) -> None:
        self._bank = bank
        self._key_service = key_service

    async def send(  # noqa: PLR0917 - every argument its own type
        self,
        payment_key: str,
        split: sale.Split,
        terminal: Terminal,
        card: CardSecrets,
        facts: Mapping[str, str],
        write: Write,
        origin: Origin | None,
        may_send: Callable[[], bool] | None = None,
    ) -> Sent:
        """See to the PIN, build, MAC, send, wait. Raises before the write only."""
        under: WorkingKeys | None = None

        def may() -> bool:
            if _generation(terminal.keys) != _generation(under):
                raise KeysReplacedError
            return terminal.held and (may_send is None or may_send())

        terminal.begin()  # the PIN block must not outlive the key it is made under
        try:
            for left in reversed(range(_TRIES)):
                under = terminal.keys
                pin_block = await self._pin_block(payment_key, terminal, under, card)
                fields = split.whole(facts, {**facts, **sale.secret_values(card, pin_block)})
                try:
                    return await self._bank.send(
                        split.mti, fields, terminal, write, origin=origin, may_send=may
                    )
                except KeysReplacedError:
                    if not left:
                        raise
            raise AssertionError("the last try returns or raises")
        finally:
            terminal.end()

    async def _pin_block(
        self, payment_key: str, terminal: Terminal, under: WorkingKeys | None, card: CardSecrets
    ) -> Secret[str] | None:
        """Under the PIN key of that set: translated, or made there by the kiosk's pad, which
        cannot make it again (ForeignPinError when the set is another one by now)."""
        if card.pin_block is None or under is None:
            return None
        pass_through.must_be_for(terminal, card, payment_key)
        if card.pin_for is not None:
            return card.pin_block
        return await self._key_service.translate_pin(
            card.pin_key, under.pik, card.pin_block, sale.account12(card)
        )


def _generation(keys: WorkingKeys | None) -> int:
    return keys.generation if keys is not None else 0
