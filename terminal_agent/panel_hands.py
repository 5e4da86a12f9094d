"""The hands of the demonstration's side panel, over the emulated devices of this kiosk."""

from collections.abc import Callable
from typing import Any

from terminal_agent import preview
from terminal_agent.config import ConfigError, Receipt
from terminal_agent.devices.escpos_emulator import EmulatedEscPos
from terminal_agent.devices.id_reader_emulator import SAMPLE, EmulatedIdReader
from terminal_agent.devices.interfaces import DeviceError, DeviceEvent
from terminal_agent.devices.scanner_emulator import EmulatedScanner
from terminal_agent.devices.virtual_reader import EmulatedReader, EmulatedVisitCards
from terminal_agent.devices.zt598_emulator import EmulatedZt598
from terminal_agent.logs import get_logger
from terminal_agent.page.hands import PanelAction, PanelView

_log = get_logger("panel")

ID_CARD = "specimen"
_KEYS = {"enter": "\r", "clear": "\b", "cancel": "\x1b"}


class PanelHands:
    """See :class:`terminal_agent.page.Hands`. Raises ConfigError for devices that are real."""

    def __init__(self, devices: dict[str, Any], receipt: Receipt) -> None:
        """``devices``: role → driver, as built."""
        self._reader = _emulated(devices, "card_reader", EmulatedReader)
        self._pad = _emulated(devices, "pin_pad", EmulatedZt598)
        self._printer = _emulated(devices, "printer", EmulatedEscPos)
        self._visit_cards: EmulatedVisitCards | None = devices.get("visit_card")
        self._id_reader: EmulatedIdReader | None = devices.get("id_reader")
        self._scanner: EmulatedScanner | None = devices.get("scanner")
        self._receipt = receipt
        self._inside = ""
        self._watchers: list[Callable[[], None]] = []
        self._moves: dict[str, Callable[[str], None]] = {
            "insert": self._insert,
            "pull": lambda _: self._reader.pull(),
            "key": self._key,
            "visit": self._visit,
            "id": self._lay,
            "scan": self._scan,
            "paper": self._paper,
        }
        self._reader.watch(self._noticed)
        self._printer.watch(self._noticed)

    def state(self) -> PanelView:
        """What lies there now."""
        return PanelView(
            cards=self._reader.names,
            inside=self._inside if self._reader.occupied else "",
            pin=self._reader.pin,
            visit_cards=self._visit_cards.numbers if self._visit_cards else (),
            id_cards=(ID_CARD,) if self._id_reader else (),
            paper=self._printer.emulator.lines_left is None,
            slip=self._printer.emulator.cuts,
        )

    def watch(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after every change."""
        self._watchers.append(callback)

    def changed(self) -> None:
        """Something lies there differently now: a slip has come out."""
        for watcher in self._watchers:
            watcher()

    def do(self, action: PanelAction) -> None:
        """One movement; what is not possible now does nothing."""
        try:
            self._moves[action.what](action.id)
        except (DeviceError, KeyError) as error:
            _log.info("panel", what=action.what, reason=type(error).__name__)
        self.changed()

    def slip_png(self) -> bytes | None:
        """The slip printed last."""
        slips = self._printer.emulator.slips
        if not slips:
            return None
        font = preview.find_font(self._receipt.font)
        return preview.picture(slips[-1][0], self._receipt.columns, font)

    # ---- movements -------------------------------------------------------------------------------

    def _insert(self, name: str) -> None:
        card = self._reader.card(name)
        self._reader.insert(card)
        self._inside = name

    def _key(self, key: str) -> None:
        self._pad.emulator.press(key if key.isdecimal() else _KEYS[key])

    def _visit(self, number: str) -> None:
        if self._visit_cards is not None and number in self._visit_cards.numbers:
            self._visit_cards.wave(number)

    def _lay(self, _name: str) -> None:
        if self._id_reader is not None:
            self._id_reader.emulator.put(SAMPLE)

    def _scan(self, code: str) -> None:
        if self._scanner is not None:
            self._scanner.emulator.scan(code)

    def _paper(self, which: str) -> None:
        if which == "in":
            self._printer.emulator.refill()
        else:
            self._printer.emulator.lines_left = 0

    def _noticed(self, _event: DeviceEvent) -> None:
        self.changed()


def _emulated(devices: dict[str, Any], role: str, kind: type[Any]) -> Any:
    driver = devices.get(role)
    if not isinstance(driver, kind):
        raise ConfigError(f"page.panel: devices.{role} is not an emulated one")
    return driver
