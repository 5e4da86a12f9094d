"""Drives the kernel with a card that answers at once: recorded, virtual, or in a reader.

For the command line and for tests; the kiosk's flow drives the kernel with its own devices.
"""

from collections.abc import Callable
from typing import Protocol

from terminal_agent.emv.actions import (
    Action,
    CardGone,
    ChoiceNeeded,
    End,
    HostAnswer,
    OnlineNeeded,
    PinNeeded,
    PinOutcome,
    Send,
)
from terminal_agent.emv.kernel import Kernel


class Card(Protocol):
    """Something with contacts."""

    atr: bytes

    def transmit(self, command: bytes) -> bytes:
        """The card's answer with its status word. Raises CardGone."""
        ...


Host = Callable[[OnlineNeeded], HostAnswer]
Heard = Callable[[bytes, bytes], None]


def drive(
    kernel: Kernel,
    card: Card,
    host: Host,
    *,
    choose: int = 0,
    pin: PinOutcome = PinOutcome.ENTERED,
    heard: Heard | None = None,
) -> End:
    """Run to the end. The holder takes the application ``choose`` and types the PIN as ``pin``
    says; ``heard`` is told every exchange."""
    action: Action = kernel.start()
    while not isinstance(action, End):
        match action:
            case Send(command):
                try:
                    response = card.transmit(command)
                except CardGone:
                    action = kernel.card_gone()
                    continue
                if heard is not None:
                    heard(command, response)
                action = kernel.answer(response)
            case ChoiceNeeded(labels):
                action = kernel.choose(min(choose, len(labels) - 1))
            case PinNeeded():
                action = kernel.pin(pin)
            case OnlineNeeded():
                action = kernel.host(host(action))
    return action
