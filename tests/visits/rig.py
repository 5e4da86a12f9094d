"""An agent's process with a page and emulated devices, and a patient who has fingers and cards."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from switch.demo import page_kiosk
from tests.kiosk.rig import PAD_KEY, Kiosk, Process, http
from tests.page.rig import Tab, fetch

PIN = "135790"
CARDS = ({"id": "good", "pan": "6200000000000000005"}, {"id": "other", "pan": "6200000000000021"})
HEARD_MAX = 400
"""Views heard while something is waited for; more is a test that waits for nothing."""


class PageKiosk(Kiosk):
    """A kiosk at whose page a patient stands. ``view`` is what the page shows."""

    def __init__(self, folder: Path, authority: Path, port: int, **flows: int) -> None:
        super().__init__(folder, authority, port)
        config = json.loads(self.config.read_text())
        (folder / "pad.key").write_text(PAD_KEY)
        cards = [{**card, "expiry": "4012", "pin": PIN} for card in CARDS]
        (folder / "cards.yaml").write_text(json.dumps({"cards": cards}))
        sections = page_kiosk.sections(folder, folder / "pad.key", 0)
        sections["flows"] |= flows
        config |= sections
        config["payment"]["patient_wait_ms"] = 8_000
        self.config.write_text(json.dumps(config, ensure_ascii=False))
        self.view: dict[str, Any] = {}

    def start(self, crash_at: str = "") -> None:
        """Run it, and stand before its page."""
        self.process = Process(
            [sys.executable, "-m", "switch.cli", "agent", "--config", str(self.config)],
            {"CRASH_AT": crash_at},
        )
        ready = self.process.wait_for(lambda line: line["event"] == "agent_ready")
        self.url = f"http://127.0.0.1:{ready['control_port']}"
        self.page_port = int(ready["page"].split(":")[2].split("/")[0])
        self.page = self._tab("/kiosk", "/kiosk/ws")
        self.panel = self._tab("/panel", "/panel/ws")
        self.view = self.page.hear()

    def stop(self, *, kill: bool = False) -> None:
        """Leave, and end the process (``kill``: as a power cut would)."""
        self.page.close()
        self.panel.close()
        assert self.process is not None
        self.process.end(kill=kill)

    def reload(self) -> None:
        """Another page in the old one's place."""
        self.page.close()
        self.page = self._tab("/kiosk", "/kiosk/ws")
        self.view = self.page.hear()

    def _tab(self, path: str, socket_path: str) -> Tab:
        _, _, body = fetch(self.page_port, path)
        token = body.split(b'name="token" content="')[1].split(b'"')[0].decode()
        tab = Tab(self.page_port, socket_path)
        tab.say({"token": token})
        return tab

    # ---- the patient -----------------------------------------------------------------------------

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first view that is as wanted."""
        for _ in range(HEARD_MAX):
            if wanted(self.view):
                return self.view
            heard = self.page.hear()
            assert isinstance(heard, dict), f"the page was closed: {heard}"
            self.view = heard
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

    def to_card(self) -> None:
        """The first bill, confirmed."""
        self.to_bills()
        self.tap("choice", self.view["choices"][0]["id"])
        self.on("check")
        self.tap("confirm")
        self.on("card")

    def to_pin(self, card: str = "good") -> None:
        """The card in."""
        self.to_card()
        self.hand("insert", card)
        self.on("pin")

    def pay(self, card: str = "good", pin: str = PIN) -> dict[str, Any]:  # type: ignore[override]
        """All of it, to the result."""
        self.to_pin(card)
        self.type(pin)
        return self.on("result")

    def told(self) -> list[dict[str, Any]]:
        """What this kiosk was told of its payments."""
        told: list[dict[str, Any]] = http("GET", f"{self.url}/ledger")[1]["told"]
        return told
