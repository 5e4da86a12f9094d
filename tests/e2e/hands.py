"""What a patient's hands do at a kiosk: at the demo's side panel, or at devices of real drivers."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from switch.demo.cards import EXPIRY, PIN
from switch.demo.page_kiosk import VISITORS
from terminal_agent.devices.escpos_emulator import EscPosEmulator
from terminal_agent.devices.virtual_card import Habits, Print, VirtualCard
from terminal_agent.devices.virtual_visit_card import VirtualCpuCard
from terminal_agent.devices.vpcd_card import VpcdCard
from terminal_agent.devices.zt598_emulator import Zt598Emulator
from tests.crash.rig import until
from tests.e2e.lines import Line
from tests.e2e.stack import REAL, VISIT_NAME, Stack, pan_of
from tests.pcsc.daemon import READERS, is_empty

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator

_PIN_SLOT, _MAC_SLOT = 0x30, 0x31
_KEYS = {"enter": "\r", "clear": "\b", "cancel": "\x1b"}


class Hands(Protocol):
    """The same movements at every kiosk."""

    def show(self, number: str) -> None:
        """Say who one is: a visit card, or a code."""
        ...

    def insert(self, card: str = "good", habits: Habits | None = None) -> None:
        """One of the demo's bank cards."""
        ...

    def pull(self) -> None:
        """Take the bank card; none inside is no error."""
        ...

    def type(self, pin: str = PIN) -> None:
        """At the pad, and its confirming key."""
        ...

    def press(self, key: str) -> None:
        """A digit, or ``enter``, ``clear``, ``cancel``."""
        ...

    def paper(self, there: bool) -> None:
        """Take the paper out of the printer, or put new paper in where there is none."""
        ...


class PanelHands:
    """Clicks at the demo's side panel. A chip has no habits there."""

    def __init__(self, panel: "FrameLocator") -> None:
        self._panel = panel

    def show(self, number: str) -> None:
        """A visit card that lies there, else a code: anybody can be anybody. A scanner reads the
        same code only once in a while."""
        if number in VISITORS:
            self._press(number)
        else:
            self._panel.get_by_label("扫码").fill(number)
            self._press("扫描")

    def insert(self, card: str = "good", habits: Habits | None = None) -> None:
        """See Hands."""
        assert habits is None
        self._press(card)

    def pull(self) -> None:
        """See Hands."""
        button = self._panel.get_by_role("button", name="拔出银行卡")
        if button.is_enabled():
            button.click()

    def type(self, pin: str = PIN) -> None:
        """See Hands."""
        for key in (*pin, "确认"):
            self._press(key)

    def press(self, key: str) -> None:
        """See Hands."""
        self._press({"enter": "确认", "clear": "清除", "cancel": "取消"}.get(key, key))

    def paper(self, there: bool) -> None:
        """See Hands."""
        button = self._panel.get_by_role("button", name="装入纸卷" if there else "取走纸卷")
        if button.is_visible():
            button.click()

    def _press(self, name: str) -> None:
        self._panel.get_by_role("button", name=name, exact=True).click()


class DeviceHands:
    """The far ends of the real kiosk's lines, and cards in the slots of its readers."""

    def __init__(self, stack: Stack) -> None:
        folder: Path = stack.stage.kiosk(REAL)
        key = bytes.fromhex((stack.stage.outside / f"pad-{REAL}.hex").read_text("ascii"))
        self.pad = Zt598Emulator()
        self.pad.load_working(_PIN_SLOT, "3", key)
        self.pad.load_working(_MAC_SLOT, "5", key)
        self.printer = EscPosEmulator()
        self._open = ExitStack()
        self._pad_line = self._open.enter_context(Line(folder / "pad", self.pad))
        self._printer_line = self._open.enter_context(Line(folder / "printer", self.printer))
        self._inside: VpcdCard | None = None

    def close(self) -> None:
        """Nothing stays in a slot or at a line."""
        self.pull()
        self._open.close()

    def show(self, number: str) -> None:
        """A visit card on the second reader, until it was read."""
        card = VpcdCard(VirtualCpuCard(VISIT_NAME, {1: number.encode("ascii")}), slot=1)
        until(lambda: is_empty(READERS[1]), "no visit card lies there")
        with card:
            until(lambda: card.heard >= 2, "the visit card is read")

    def insert(self, card: str = "good", habits: Habits | None = None) -> None:
        """See Hands. Each time a fresh card: its counter begins anew."""
        printed = Print(pan=pan_of(card), expiry=f"{EXPIRY}28", pin=PIN)
        self._inside = VpcdCard(VirtualCard(printed, habits))
        until(lambda: is_empty(READERS[0]), "the slot is empty")
        self._inside.insert()

    def pull(self) -> None:
        """See Hands. Over only when the reader has seen it."""
        inside, self._inside = self._inside, None
        if inside is not None:
            inside.pull()
            until(lambda: is_empty(READERS[0]), "the slot is empty")

    def type(self, pin: str = PIN) -> None:
        """See Hands."""
        self._pad_line.do(lambda: self.pad.press(f"{pin}\r"))

    def press(self, key: str) -> None:
        """See Hands."""
        self._pad_line.do(lambda: self.pad.press(_KEYS.get(key, key)))

    def paper(self, there: bool) -> None:
        """See Hands."""
        if there:
            self._printer_line.do(self.printer.refill)
        else:
            self.printer.lines_left = 0

    @property
    def slips(self) -> list[str]:
        """What was printed, oldest first."""
        return [text for text, _ in self.printer.slips]
