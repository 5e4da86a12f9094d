"""Which channel a payment goes by: (hospital, business, medium, BIN), the longest BIN first."""

from collections.abc import Sequence

from switch.catalogue import BUSINESSES
from switch.engine.bounds import Route
from switch.model.pin import PinRoute


class Routes:
    """The configured routes, made ready."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._rows: dict[tuple[str, str, str], list[tuple[str, Route]]] = {}
        for route in routes:
            rows = self._rows.setdefault((route.hospital, route.business, route.medium), [])
            rows += [(prefix, route) for prefix in route.bins or ("",)]
        for rows in self._rows.values():
            rows.sort(key=lambda row: len(row[0]), reverse=True)

    def find(self, hospital: str, business: str, medium: str, pan: str) -> Route | None:
        """The route whose BIN is the longest beginning of ``pan``; one without is for the rest."""
        for prefix, route in self._rows.get((hospital, business, medium), ()):
            if pan.startswith(prefix):
                return route
        return None

    def way_of(self, hospital: str, business: str, medium: str, pan: str) -> PinRoute | None:
        """The same with the merchant role that it means."""
        row, found = BUSINESSES.get(business), self.find(hospital, business, medium, pan)
        if row is None or found is None:
            return None
        clearing = found.clearing or row.clearing
        return PinRoute(channel=found.channel, clearing=clearing, pin=found.pin)
