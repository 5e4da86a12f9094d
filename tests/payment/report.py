"""Lines that tests leave for the terminal summary (see conftest)."""

LINES: list[str] = []
