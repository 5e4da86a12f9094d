"""A patient with fingers, eyes and hands: what people do at a kiosk, played at its page."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from twisted.internet.defer import Deferred

from terminal_agent.bench.folder import CARD, PIN
from terminal_agent.bench.page_reader import PageReader, State

TILE: Final = "outpatient_bill"


class Kind(StrEnum):
    """What this one does."""

    PAYS = "pays"
    CANCELS = "cancels"
    """At the check."""
    WRONG_PIN = "wrong_pin"
    """Then the right one."""
    FORGOT_PIN = "forgot_pin"
    """A wrong one, then goes."""
    NO_MONEY = "no_money"
    NOT_KNOWN = "not_known"
    """The bank says it later."""
    LEAVES_EARLY = "leaves_early"
    """Walks away before anybody knows who it was."""
    LEAVES_AT_CARD = "leaves_at_card"
    LEAVES_AT_PIN = "leaves_at_pin"
    """And leaves the card."""
    PULLS_CARD = "pulls_card"
    """While the PIN is typed."""
    NO_PAPER = "no_paper"
    """The printer runs out before the slip."""
    LINE_CUT = "line_cut"
    """While the money moves."""


_NUMBERS: Final = {
    Kind.WRONG_PIN: "P55",
    Kind.FORGOT_PIN: "P55",
    Kind.NO_MONEY: "P51",
    Kind.NOT_KNOWN: "P68",
}
"""Visit card by kind; everybody else's is P1. See the stand-in."""


class Patient:
    """Everybody who comes, one after the other."""

    def __init__(
        self,
        reactor: Any,
        page: PageReader,
        panel: PageReader,
        *,
        think_ms: int = 0,
        cut_line: Callable[[], None] = lambda: None,
    ) -> None:
        """``panel``: hands at the emulated devices. ``think_ms``: before each touch."""
        self._reactor = reactor
        self._page = page
        self._panel = panel
        self._think_ms = think_ms
        self._cut_line = cut_line

    async def visit(self, kind: Kind) -> str:
        """From the home page to the home page: the outcome that was shown, or ``left``. Raises
        NotShownError."""
        await self.until_open()
        outcome = await self._walk(kind)
        await self._go(kind)
        return outcome

    async def until_open(self) -> None:
        """The home page, and the business is served."""
        await self._page.until(_is_open)

    async def _walk(self, kind: Kind) -> str:
        if not await self._to_check(kind):
            return "left"
        if kind is Kind.CANCELS:
            await self._tap("cancel")
            return "left"
        await self._tap("confirm")
        await self._on("card")
        if kind is Kind.LEAVES_AT_CARD:
            return await self._result()
        await self._hand("insert", CARD)
        await self._on("pin")
        if kind is Kind.PULLS_CARD:
            await self._hand("pull")
            return await self._result()
        if kind is Kind.LEAVES_AT_PIN:
            return await self._result()
        if kind is Kind.NO_PAPER:
            await self._hand("paper", "out")
        await self._type()
        if kind is Kind.LINE_CUT:
            await self._on("paying")
            self._cut_line()
        outcome = await self._result()
        if kind is Kind.WRONG_PIN:
            await self._tap("confirm")
            await self._on("pin")
            await self._type()
            outcome = await self._result()
        if outcome == "approved":
            await self._page.until(lambda state: state.get("slip") in ("printed", "failed"))
        return outcome

    async def _to_check(self, kind: Kind) -> bool:
        """Chosen and identified; False: gone before."""
        await self._tap("tile", TILE)
        await self._on("identify")
        if kind is Kind.LEAVES_EARLY:
            return False
        await self._hand("visit", _NUMBERS.get(kind, "P1"))
        bill = (await self._on("pick"))["choices"][0]["id"]
        await self._tap("choice", bill)
        await self._on("check")
        return True

    async def _go(self, kind: Kind) -> None:
        """The card is taken, sooner or later, and the next one finds the home page."""
        if kind is Kind.NO_PAPER:
            await self._hand("paper", "in")
        if kind is Kind.LEAVES_AT_PIN:
            await self._on("take_card")
        elif self._page.state["screen"] == "result":
            await self._tap("home")
        await self._panel.until(lambda _: True)
        if self._panel.state.get("inside"):
            await self._hand("pull")
        await self._on("home")

    async def _result(self) -> str:
        return str((await self._on("result"))["outcome"])

    async def _type(self) -> None:
        for key in (*PIN, "enter"):
            self._panel.say(what="key", id=key)
        await self._page.until(lambda state: state["screen"] != "pin")

    async def _on(self, screen: str) -> State:
        return await self._page.until(lambda state: state["screen"] == screen)

    async def _tap(self, what: str, choice: str = "") -> None:
        await self._think()
        self._page.say(revision=self._page.state["revision"], what=what, id=choice)

    async def _hand(self, what: str, name: str = "") -> None:
        await self._think()
        self._panel.say(what=what, id=name)

    async def _think(self) -> None:
        thought: Deferred[None] = Deferred()
        self._reactor.callLater(self._think_ms / 1000, thought.callback, None)
        await thought


def _is_open(state: State) -> bool:
    tiles = state.get("tiles", ())
    return state["screen"] == "home" and any(tile["open"] for tile in tiles if tile["id"] == TILE)
