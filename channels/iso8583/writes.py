"""The writes that move money, with the points where the crash matrix kills the process."""

from collections.abc import Callable

from channels.iso8583.link import Link
from switch.observe.crash import armed, crash_point

Write = Callable[[Link, bytes], None]


def write_plain(link: Link, encoded: bytes) -> None:
    """A message that moves no money."""
    link.send(encoded)


def write_sale(link: Link, encoded: bytes) -> None:
    """I4: the caller has committed. From here on only a proven answer or Unknown."""
    crash_point("K2 committed, not sent")
    if armed("K3 half a frame"):
        link.send_half(encoded)
    crash_point("K3 half a frame")
    link.send(encoded)
    if armed("K4 sent, no answer"):
        link.flush()
    crash_point("K4 sent, no answer")


def write_reversal(link: Link, encoded: bytes) -> None:
    """I3: it repeats until acknowledged, so dying after it only repeats it."""
    link.send(encoded)
    if armed("K12 reversal sent, no ack"):
        link.flush()
    crash_point("K12 reversal sent, no ack")
