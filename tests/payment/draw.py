"""Draws the diagrams into docs/payment-machine.md: ``python -m tests.payment.draw``."""

import re
from pathlib import Path

from switch.payment.diagram import DIAGRAMS

PAGE = Path(__file__).parents[2] / "docs" / "payment-machine.md"
_PLACE = re.compile(r"<!-- diagram: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def drawn(text: str) -> str:
    """``text`` with each marked place filled from the table as it is now."""
    return _PLACE.sub(_block, text)


def _block(place: re.Match[str]) -> str:
    name = place.group(1)
    return f"<!-- diagram: {name} -->\n```mermaid\n{DIAGRAMS[name]()}\n```\n<!-- end -->"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
