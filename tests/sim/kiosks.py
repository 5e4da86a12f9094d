"""Kiosks as patients and power cuts make them: bills paid by card, tapped twice, asked about."""

from msgspec.structs import replace

from switch.model.secret import Secret
from switch.ports import CardSecrets, PaymentRequest
from tests.sim.chips import LAST_WORD, Chips
from tests.sim.origins import PATIENCE_S, Origins, Purchase


class Kiosks:
    """All kiosks of the world."""

    def __init__(self, origins: Origins, chips: Chips) -> None:
        self._origins = origins
        self._chips = chips

    def plan(self, count: int, within_s: float) -> None:
        """``count`` purchases at random times."""
        road = self._origins
        bills: list[str] = []
        for number in range(count):
            bill = f"B{number}"
            if number and road.chance("same_bill"):
                bill = road.random.choice(bills)
            bills.append(bill)
            request = PaymentRequest(
                key=f"k{number}",
                hospital="h1",
                business="outpatient_bill",
                terminal=f"t{number % 3}",
                amount_fen=road.random.randint(1, 99_999),
                patient=f"P{number}",
                bill=bill,
            )
            purchase = self._purchase(request)
            road.purchases.append(purchase)
            road.clock.callLater(road.random.uniform(0, within_s), self._begin, purchase)

    # ---- one purchase ---------------------------------------------------------------------------

    def _purchase(self, request: PaymentRequest) -> Purchase:
        if not self._chips.chance("chip"):
            return Purchase(request, card)

        def asked() -> PaymentRequest:
            # The same request may come again by a link of the kiosk's program of yesterday.
            can = self._chips.random.random() < 0.9
            self._chips.terminals[request.terminal].inserted(request.key)
            return replace(request, finisher="kiosks" if can else "")

        return Purchase(request, lambda: card(_CHIP), asked)

    def _begin(self, purchase: Purchase) -> None:
        road, request = self._origins, purchase.request
        random, clock = road.random, road.clock
        road.begin(purchase)
        if road.chance("other_content"):
            clock.callLater(random.uniform(0, 20), self._other, purchase)
        if road.chance("impatient"):
            clock.callLater(random.uniform(0, 40), road.query, purchase)
        if road.chance("unknown_key"):
            ghost = Purchase(replace(request, key=f"ghost-{request.key}"), card)
            road.purchases.append(ghost)
            road.query(ghost)
            clock.callLater(random.uniform(0, 9), road.start, ghost)
            clock.callLater(PATIENCE_S, road.still_waiting, ghost)

    def _other(self, purchase: Purchase) -> None:
        """The same key with other content."""
        request = purchase.request
        other = replace(request, amount_fen=request.amount_fen + 1)
        secrets = purchase.secrets()
        self._origins.send(purchase, "other", lambda node: node.engine.start(other, secrets))


_CHIP = bytes.fromhex(LAST_WORD)


def card(chip: bytes = b"") -> CardSecrets:
    """The patient's card, read once more."""
    return CardSecrets(
        chip=Secret(chip) if chip else None,
        pan=Secret("6222020200112233445"),
        track2=Secret("6222020200112233445=30122010000000000"),
        pin_block=Secret("0123456789ABCDEF"),
        pin_key="U0123456789ABCDEF0123456789ABCDEF",
    )
