"""docs/kiosk-flows.md says what the code says."""

import re
from pathlib import Path

import msgspec

from terminal_agent.config import Emv, Flows
from terminal_agent.flows.businesses import FLOWS, Goal

PAGE = (Path(__file__).parents[2] / "docs" / "kiosk-flows.md").read_text("utf-8")
ENDS = {Goal.PAY: "a payment", Goal.READ: "a list", Goal.PRINT: "paper"}


def test_the_businesses_are_those_of_the_table() -> None:
    """Row by row, in the order of the home page."""
    table = PAGE.split("<!-- flows -->")[1].split("\n\n")[0].splitlines()[3:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]

    assert rows == [
        [
            f"`{flow.business}`",
            ", ".join(f"`{pick.step}`" for pick in flow.picks),
            flow.clearing or "–",
            ENDS[flow.goal],
        ]
        for flow in FLOWS.values()
    ]


def test_every_key_is_explained() -> None:
    """Of ``flows`` and of ``emv``; no key that is not there."""
    for kind in (Flows, Emv):
        table = PAGE.split(f"| key of `{kind.__name__.lower()}` |")[1].split("\n\n")[0]
        keys = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

        assert keys == [field.name for field in msgspec.structs.fields(kind)]
