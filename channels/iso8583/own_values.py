"""What templates may take of a terminal and of this moment, for messages that are no payment's."""

from channels.iso8583.terminal import Terminal
from switch.ports import Timeline


def own_values(terminal: Terminal, timeline: Timeline, batch: str, stan: str) -> dict[str, str]:
    """Names as in :data:`channels.iso8583.check.VALUES`; date and time are those of sending."""
    date, time = timeline.wall_clock()
    return {
        "date": date[4:],
        "time": time,
        "sent_date": date[4:],
        "sent_time": time,
        "batch": batch,
        "stan": stan,
        "terminal": terminal.config.terminal,
        "merchant": terminal.config.merchant,
        "currency": terminal.dialect.currency,
    }
