"""A second tab at a kiosk's page: it shows what the patient's shows, at a kiosk's true size."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser import SCREEN
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

LYING = {"width": 1920, "height": 1080}
TOUR_SIZE = (540, 960)
TOUR_COLOURS = 128
TOUR_BYTES_MAX = 60_000
"""Of a picture that goes into the repository."""
_REACHED = "(revision) => Number(document.querySelector('kiosk-page').dataset.revision) >= revision"
_AXE = """async () => (await axe.run(document)).violations.map(
  (rule) => [rule.id, ...rule.nodes.map((node) => node.html.slice(0, 120))])"""


class Camera:
    """``album``: where pictures are kept for people to look at; ``tour``: where those of
    docs/kiosk-tour.md go, None when they are not to be made anew."""

    def __init__(self, page: "Page", axe: str, album: Path, tour: Path | None) -> None:
        self._page = page
        self._axe = axe
        self._album = album
        self._tour = tour
        self.visitor: Visitor
        self.series = ""

    def take(self, name: str, *, lying: bool = False, tour: str = "") -> None:
        """What the visitor sees now, upright; also lying."""
        self._follow()
        self._shoot(name)
        if tour and self._tour is not None:
            _keep(self._page.screenshot(), self._tour / f"{tour}.png")
        if lying:
            self._page.set_viewport_size(LYING)
            self._shoot(f"{name}-lying")
            self._page.set_viewport_size(SCREEN)

    def shut_out(self) -> Any:
        """What axe-core finds on the screen that is shown now."""
        self._follow()
        self._page.evaluate(self._axe)
        return self._page.evaluate(_AXE)

    def _shoot(self, name: str) -> None:
        path = self._album / f"e2e-{self.series}-{name}.jpg"
        self._page.screenshot(path=path, type="jpeg", quality=85)

    def _follow(self) -> None:
        shown = self.visitor.screen.locator("kiosk-page").get_attribute("data-revision")
        self._page.wait_for_function(_REACHED, arg=int(shown or 0))


def _keep(picture: bytes, path: Path) -> None:
    """Small enough for the repository."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    small = Image.open(io.BytesIO(picture)).convert("RGB")
    small = small.resize(TOUR_SIZE, Image.Resampling.LANCZOS)
    # Rare colours count too: a green key is what the patient is told to press.
    plain = small.quantize(
        TOUR_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE
    )
    plain.save(path, optimize=True)
    assert path.stat().st_size <= TOUR_BYTES_MAX, path
