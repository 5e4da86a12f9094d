"""A kiosk's page with a stage that plays what it is told, as a process of its own.

``player.py PORT PANEL``; orders come as lines of JSON to the control port, one answer each:
``{"show": NAME, "language": …, "elder": …, "contrast": …, "edit": {field: value}}``,
``{"taps": true}``, ``{"deeds": true}``, ``{"sessions": true}``.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

from terminal_agent.flows.view import Tap, View
from terminal_agent.logs import configure, get_logger
from terminal_agent.page import PageConfig, PageSite, PanelAction, PanelView
from terminal_agent.preview import find_font, picture
from tests.page.views import VIEWS, dressed


class PlayedStage:
    """Shows what it is told; keeps the taps that were made on what was shown."""

    def __init__(self) -> None:
        self.shown = VIEWS["home"]
        self.taps: list[Tap] = []
        self._callbacks: list[Callable[[], None]] = []

    def view(self) -> View:
        """What is to be seen now."""
        return self.shown

    def watch(self, callback: Callable[[], None]) -> None:
        """For ever."""
        self._callbacks.append(callback)

    def tapped(self, tap: Tap) -> None:
        """Kept, whatever it is."""
        self.taps.append(tap)

    def show(self, view: View) -> None:
        """The next view, with the next revision."""
        self.shown = msgspec.structs.replace(view, revision=self.shown.revision + 1)
        for callback in self._callbacks:
            callback()


class PlayedHands:
    """Three cards, a reader, a printer."""

    def __init__(self) -> None:
        self.deeds: list[PanelAction] = []
        self._state = PanelView(
            cards=("张明的银行卡(借记)", "李芳的信用卡", "过期的卡"),
            visit_cards=("张明", "李芳"),
            id_cards=("张明",),
        )
        self._callbacks: list[Callable[[], None]] = []

    def state(self) -> PanelView:
        """What lies there."""
        return self._state

    def watch(self, callback: Callable[[], None]) -> None:
        """For ever."""
        self._callbacks.append(callback)

    def do(self, action: PanelAction) -> None:
        """Cards and paper move; everything is kept."""
        self.deeds.append(action)
        changes: dict[str, Any] = {}
        if action.what == "insert":
            changes = {"inside": action.id}
        elif action.what == "pull":
            changes = {"inside": "", "slip": self._state.slip + 1}
        elif action.what == "paper":
            changes = {"paper": action.id == "in"}
        self._state = msgspec.structs.replace(self._state, **changes)
        for callback in self._callbacks:
            callback()

    def slip_png(self) -> bytes | None:
        """A picture once a card was pulled."""
        if not self._state.slip:
            return None
        return picture("示范市第一人民医院\n门诊缴费凭条\n合计 ¥123.45", 32, find_font(""))


class Orders(LineReceiver):
    """The control port."""

    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:
        """One order, one answer."""
        order = json.loads(line)
        if "show" in order:
            view = dressed(
                VIEWS[order["show"]],
                language=order.get("language", "zh"),
                elder=order.get("elder", False),
                contrast=order.get("contrast", False),
            )
            edit = order.get("edit", {})
            stage.show(msgspec.convert({**msgspec.to_builtins(view), **edit}, View))
            answer: Any = stage.shown.revision
        elif "taps" in order:
            answer = msgspec.to_builtins(stage.taps)
        elif "deeds" in order:
            answer = msgspec.to_builtins(hands.deeds)
        else:
            answer = site.kiosk.size
        self.sendLine(json.dumps(answer).encode())


if __name__ == "__main__":
    configure()
    stage, hands = PlayedStage(), PlayedHands()
    config = PageConfig(bind="127.0.0.1", port=int(sys.argv[1]), panel=sys.argv[2] == "panel")
    site = PageSite(config, stage, hands if config.panel else None, reactor)
    site.start()
    turns: Any = reactor
    control = turns.listenTCP(0, Factory.forProtocol(Orders), interface="127.0.0.1")
    get_logger("player").info("ports", page=site.port, control=control.getHost().port)
    turns.run()
