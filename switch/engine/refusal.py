"""A request that is not taken."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """Not taken: nothing was journaled and nothing sent. ``reason`` is a metric label."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
