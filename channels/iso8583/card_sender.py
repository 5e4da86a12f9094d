"""How an operation with a card's secrets leaves: its PIN block seen to, built, MACed, sent.

What is here for a moment, the block under the bank's key, is nowhere else (I12).
"""

from collections.abc import Callable, Mapping

from channels.iso8583 import pass_through, sale
from channels.iso8583.bank import Bank, Sent
from channels.iso8583.exchange import Origin
from channels.iso8583.terminal import Terminal
from channels.iso8583.writes import Write
from switch.model.secret import Secret
from switch.ports import CardSecrets, KeyService


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

        def may() -> bool:
            return terminal.held and (may_send is None or may_send())

        terminal.begin()  # the PIN block must not outlive the key it is made under
        try:
            pin_block = await self._pin_block(payment_key, terminal, card)
            fields = split.whole(facts, {**facts, **sale.secret_values(card, pin_block)})
            return await self._bank.send(
                split.mti, fields, terminal, write, origin=origin, may_send=may
            )
        finally:
            terminal.end()

    async def _pin_block(
        self, payment_key: str, terminal: Terminal, card: CardSecrets
    ) -> Secret[str] | None:
        """Under the terminal's PIN key: translated, or made there by the kiosk's pad."""
        if card.pin_block is None or terminal.keys is None:
            return None
        pass_through.must_be_for(terminal, card, payment_key)
        if card.pin_for is not None:
            return card.pin_block
        return await self._key_service.translate_pin(
            card.pin_key, terminal.keys.pik, card.pin_block, sale.account12(card)
        )
