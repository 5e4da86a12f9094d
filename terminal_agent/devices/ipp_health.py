"""From an IPP printer's state and reasons to the kiosk's one word for it.

A reason may end with its severity; without one it counts as an error (RFC 8011, 5.4.12). A warning
keeps no job from being printed, so it makes the printer no worse than *low*; in a printer that has
stopped the severity does not matter, for then something is the cause.
"""

from typing import Final

from terminal_agent.devices.interfaces import PrinterState, State
from terminal_agent.devices.ipp_messages import IppState, PrinterFacts

CAUSES: Final = (
    (PrinterState.PAPER_JAM, ("media-jam",)),
    (PrinterState.COVER_OPEN, ("door-open", "cover-open", "interlock-open")),
    (PrinterState.PAPER_OUT, ("media-empty", "media-needed", "input-tray-missing")),
    (PrinterState.TONER_OUT, ("toner-empty", "marker-supply-empty", "marker-supply-missing")),
    (
        PrinterState.PAUSED,
        ("offline", "paused", "moving-to-paused", "shutdown", "connecting-to-device", "timed-out"),
    ),
)
"""What keeps a printer from printing, the first that applies is told."""
WARNINGS: Final = (
    (PrinterState.PAPER_LOW, ("media-low", "media-empty", "media-needed")),
    (
        PrinterState.TONER_LOW,
        ("toner-low", "marker-supply-low", "toner-empty", "marker-supply-empty"),
    ),
)
"""What is told of a printer that prints."""
FIT: Final = (State.ONLINE, PrinterState.PAPER_LOW, PrinterState.TONER_LOW)
"""Words of a printer that prints."""


def health(facts: PrinterFacts) -> str:
    """``online``, or what is wrong with it."""
    split = [_split(reason) for reason in facts.reasons]
    stopped = facts.state == IppState.STOPPED
    grave = {name for name, severity in split if stopped or severity == "error"}
    for word, names in CAUSES:
        if grave.intersection(names):
            return word
    if stopped or any(reason.endswith("-error") for reason in facts.reasons):
        return State.HARDWARE_ERROR
    if not facts.accepting:
        return PrinterState.PAUSED
    light = {name for name, _ in split}
    return next((word for word, names in WARNINGS if light.intersection(names)), State.ONLINE)


def _split(reason: str) -> tuple[str, str]:
    name, _, severity = reason.rpartition("-")
    return (name, severity) if severity in ("report", "warning", "error") else (reason, "error")
