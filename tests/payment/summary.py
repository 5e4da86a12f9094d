"""Lines that tests hand to the terminal summary from any worker, by ``record_property``."""

import pytest


def show(terminalreporter: pytest.TerminalReporter, name: str, title: str) -> None:
    """One section with the lines recorded under ``name``, before pytest's last line."""
    reports = [x for outcome in ("passed", "failed") for x in terminalreporter.getreports(outcome)]
    lines = {line for x in reports for key, line in x.user_properties if key == name}
    if lines:
        terminalreporter.section(title)
        for line in sorted(lines):
            terminalreporter.write_line(str(line))
