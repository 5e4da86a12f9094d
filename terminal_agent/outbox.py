"""What a kiosk says first when its link is up again.

The order is money's: a card that was finished while the link was down decides whether a debit
stands or is reversed, so its result (script results with it) goes before everything. Then the
outcomes that are not known are asked for, and only then new payments that waited are sent.

Each part sends what it has in its own turn and waits for nothing, so one link carries the messages
in this order; a part bounds what it sends at once by itself (I11).
"""

from collections.abc import Callable

CARD_RESULTS = "card_results"
OPEN_PAYMENTS = "open_payments"
WAITING_STARTS = "waiting_starts"
ORDER = (CARD_RESULTS, OPEN_PAYMENTS, WAITING_STARTS)


class Outbox:
    """The parts in their order."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Callable[[], None]]] = {name: [] for name in ORDER}

    def add(self, part: str, send: Callable[[], None]) -> None:
        """Call ``send`` in the turn of ``part``, one of :data:`ORDER`, whenever the link comes
        up. It sends without waiting and raises nothing."""
        self._parts[part].append(send)

    def link_came_up(self) -> None:
        """Send what waits, in order."""
        for name in ORDER:
            for send in self._parts[name]:
                send()
