"""A patient before a kiosk's page: fingers on the page, hands at the emulated devices."""

from collections.abc import Callable
from typing import Any

from tests.page.rig import Tab, fetch

PIN = "135790"
HEARD_MAX = 400
"""Views heard while something is waited for; more is a test that waits for nothing."""


class Patient:
    """``view`` is what the page shows, ``views`` all that it ever showed."""

    page_port: int

    def stand(self) -> None:
        """Come to the page, and to its side panel."""
        self.views: list[dict[str, Any]] = []
        self.page = self._tab("/kiosk", "/kiosk/ws")
        self.panel = self._tab("/panel", "/panel/ws")
        self._hear()

    def leave(self) -> None:
        """Close both."""
        self.page.close()
        self.panel.close()

    def reload(self) -> None:
        """Another page in the old one's place."""
        self.page.close()
        self.page = self._tab("/kiosk", "/kiosk/ws")
        self._hear()

    def _tab(self, path: str, socket_path: str) -> Tab:
        _, _, body = fetch(self.page_port, path)
        token = body.split(b'name="token" content="')[1].split(b'"')[0].decode()
        tab = Tab(self.page_port, socket_path)
        tab.say({"token": token})
        return tab

    def _hear(self) -> None:
        heard = self.page.hear()
        assert isinstance(heard, dict), f"the page was closed: {heard}"
        self.view = heard
        self.views.append(heard)

    # ---- fingers and hands -----------------------------------------------------------------------

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first view that is as wanted."""
        for _ in range(HEARD_MAX):
            if wanted(self.view):
                return self.view
            self._hear()
        raise AssertionError(f"not shown: {self.view}")

    def on(self, screen: str) -> dict[str, Any]:
        """Wait for a screen."""
        return self.until(lambda view: view["screen"] == screen)

    def tap(self, what: str, choice: str = "") -> None:
        """A finger on what is shown now."""
        self.page.say({"revision": self.view["revision"], "what": what, "id": choice})

    def hand(self, what: str, name: str = "") -> None:
        """A hand at the devices."""
        self.panel.say({"what": what, "id": name})

    def type(self, keys: str) -> None:
        """At the pad; then its confirming key."""
        for key in keys:
            self.hand("key", key)
        self.hand("key", "enter")

    def ready(self) -> None:
        """Home, with the first business open."""
        self.until(
            lambda view: (
                view["screen"] == "home"
                and any(
                    tile["open"] for tile in view.get("tiles", ()) if tile["id"] != "slip_reprint"
                )
            )
        )

    def to_bills(self, number: str = "P2001") -> None:
        """Choose bills, be identified."""
        self.ready()
        self.tap("tile", "outpatient_bill")
        self.on("identify")
        self.hand("visit", number)
        self.on("pick")

    def to_card(self, number: str = "P2001") -> None:
        """The first bill, confirmed."""
        self.to_bills(number)
        self.tap("choice", self.view["choices"][0]["id"])
        self.on("check")
        self.tap("confirm")
        self.on("card")

    def to_pin(self, card: str = "good", number: str = "P2001") -> None:
        """The card in."""
        self.to_card(number)
        self.hand("insert", card)
        self.on("pin")

    def pay(self, card: str = "good", pin: str = PIN, number: str = "P2001") -> dict[str, Any]:
        """All of it, to the result."""
        self.to_pin(card, number)
        self.type(pin)
        return self.on("result")
