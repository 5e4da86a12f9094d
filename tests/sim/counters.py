"""Counters, wards and the bank's own kiosks: every business beside the kiosk's bill, as stories.

A story sells something, and then voids, refunds in parts, completes, or takes back what it did, at
bad moments: before its sale, in flight, after the end, twice, on two nodes at once, after a refund.
"""

from collections.abc import Callable, Collection

from switch.model.operation import Operation
from switch.model.secret import Secret
from switch.ports import CardSecrets, PaymentRequest
from tests.sim.kiosks import card
from tests.sim.origins import PATIENCE_S, Origins, Purchase

WINDOWS = ("c0", "c1", "c2")
BUSINESS_DATE = "20260722"
CODE = "134567890123456789"
_TOO_MUCH_PERMILLE = 1_200


class Counters:
    """All origins beside kiosks."""

    def __init__(self, origins: Origins, operations: Collection[str]) -> None:
        """``operations``: what the bank can be asked; no other story is played."""
        self._road = origins
        self._number = 0
        self._stories: tuple[Callable[[], None], ...] = (
            self._sale,
            self._void,
            self._refunds,
            self._preauth,
            self._preauth,
            *((self._code,) if Operation.QR_SALE in operations else ()),
            self._hospital_refund,
            self._deposit,
            self._bank_bill,
        )

    def plan(self, count: int, within_s: float) -> None:
        """``count`` stories at random times."""
        random = self._road.random
        for _ in range(count):
            story = random.choice(self._stories)
            self._road.clock.callLater(random.uniform(0, within_s), story)

    # ---- stories --------------------------------------------------------------------------------

    def _sale(self) -> None:
        """消费, taken back before it arrives, while it is out, or when it is done."""
        sale = self._new("pos_sale", self._amount_fen(), card)
        self._taken_back_somehow(sale)

    def _void(self) -> None:
        """消费撤销; sometimes two at once, sometimes itself taken back."""
        sale = self._new("pos_sale", self._amount_fen(), card)
        sale.approved.append(lambda: self._refer("pos_void", sale, sale.request.amount_fen))
        self._begin(sale)

    def _refunds(self) -> None:
        """退货 in parts, which together may be more than there is, on both nodes."""
        sale = self._new("pos_sale", self._amount_fen(), card)

        def refund() -> None:
            for _ in range(self._road.random.randint(1, 3)):
                part_fen = max(1, sale.request.amount_fen * self._road.random.randint(2, 8) // 10)
                self._refer("pos_refund", sale, part_fen)
            if self._road.chance("take_back"):
                self._take_back_later(sale)

        sale.approved.append(refund)
        self._begin(sale)

    def _preauth(self) -> None:
        """预授权, completed or let go of, or both at once; a completion may be voided."""
        random = self._road.random
        preauth = self._new("pos_preauth", self._amount_fen(), card)

        def complete() -> None:
            choice = random.random()
            if choice < 0.7:
                permille = random.randint(1, _TOO_MUCH_PERMILLE)
                amount_fen = max(1, preauth.request.amount_fen * permille // 1_000)
                completion = self._refer("pos_completion", preauth, amount_fen)
                if random.random() < 0.4:
                    completion.approved.append(
                        lambda: self._refer("pos_completion_void", completion, amount_fen)
                    )
            if choice > 0.5:
                self._refer("pos_preauth_void", preauth, preauth.request.amount_fen)

        preauth.approved.append(complete)
        self._taken_back_somehow(preauth)

    def _code(self) -> None:
        """扫码消费, voided or refunded by its number."""
        sale = self._new("pos_sale", self._amount_fen(), _code, medium="qr_code")
        business = self._road.random.choice(("pos_void", "pos_refund"))
        sale.approved.append(lambda: self._refer(business, sale, sale.request.amount_fen))
        self._begin(sale)

    def _hospital_refund(self) -> None:
        """门诊退费: un-booked at the hospital, then given back."""
        bill = self._new("outpatient_bill", self._amount_fen(), card, bill=f"R{self._number}")
        amount_fen = bill.request.amount_fen
        bill.approved.append(lambda: self._refer("outpatient_refund", bill, amount_fen))
        if self._road.chance("take_back"):
            bill.approved.append(lambda: self._take_back_later(bill))
        self._begin(bill)

    def _deposit(self) -> None:
        """住院预交金: booked without a bill, cleared by another merchant."""
        self._taken_back_somehow(self._new("inpatient_deposit", self._amount_fen(), card))

    def _bank_bill(self) -> None:
        """A bill paid at the bank: booked only; the bank takes it back by its 0400."""
        paid = self._new("bank_bill", self._amount_fen(), None, bill=f"K{self._number}")
        self._taken_back_somehow(paid)

    # ---- what stories are made of ---------------------------------------------------------------

    def _amount_fen(self) -> int:
        return self._road.random.randint(1, 99_999)

    def _new(
        self,
        business: str,
        amount_fen: int,
        secrets: Callable[[], CardSecrets | None] | None,
        *,
        medium: str = "bank_card",
        bill: str = "",
        original: str = "",
        terminal: str = "",
    ) -> Purchase:
        self._number += 1
        ours = business == "bank_bill"
        request = PaymentRequest(
            key=f"c{self._number}-{business}",
            hospital="h1",
            business=business,
            terminal=terminal or self._road.random.choice(WINDOWS),
            amount_fen=amount_fen,
            patient=f"Q{self._number}",
            bill=bill,
            medium="original" if original else "bank_origin" if ours else medium,
            original=original,
            business_date=BUSINESS_DATE if ours else "",
        )
        purchase = Purchase(request) if secrets is None else Purchase(request, secrets)
        self._road.purchases.append(purchase)
        return purchase

    def _refer(self, business: str, original: Purchase, amount_fen: int) -> Purchase:
        """A payment that names an original, soon; once in a while a second beside it, once in a
        while itself taken back."""
        random, first = self._road.random, None
        for _ in range(2 if self._road.chance("race") else 1):
            purchase = self._new(
                business,
                amount_fen,
                None,
                bill=original.request.bill,
                original=original.key,
                terminal=original.request.terminal,
            )
            first = first or purchase
            self._road.clock.callLater(random.uniform(0, 3), self._begin, purchase)
        assert first is not None
        if self._road.random.random() * 3 < self._road.mix.take_back:
            self._take_back_later(random.choice((first, original)))
        return first

    def _begin(self, purchase: Purchase) -> None:
        self._road.begin(purchase)
        if self._road.chance("impatient"):
            self._road.clock.callLater(self._road.random.uniform(0, 40), self._road.query, purchase)

    def _taken_back_somehow(self, purchase: Purchase) -> None:
        """Begun, and perhaps taken back: before it begins, in flight, or at the end."""
        random = self._road.random
        delay_s = 0.0
        if self._road.chance("take_back"):
            moment = random.choice(("before", "flight", "end"))
            if moment == "end":
                purchase.approved.append(lambda: self._take_back_later(purchase))
            else:
                delay_s = random.uniform(0, 10) if moment == "before" else 0.0
                self._take_back_later(purchase, within_s=1.0 if moment == "before" else 40.0)
        self._road.clock.callLater(delay_s, self._begin, purchase)

    def _take_back_later(self, purchase: Purchase, within_s: float = 20.0) -> None:
        """Once, or twice on whichever nodes; the bank's own wants to hear the end."""
        random = self._road.random
        settled = purchase.request.business == "bank_bill" or random.random() < 0.3
        for _ in range(random.choice((1, 1, 2))):  # the second repeats the first
            delay_s = random.uniform(0, within_s)
            self._road.clock.callLater(delay_s, self._send_back, purchase, settled)

    def _send_back(self, purchase: Purchase, settled: bool) -> None:
        self._road.take_back(purchase, settled=settled)
        self._road.clock.callLater(PATIENCE_S, self._road.still_waiting, purchase)


def _code() -> CardSecrets:
    return CardSecrets(pan=Secret(""), qr_code=Secret(CODE))
