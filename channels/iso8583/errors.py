"""What goes wrong in a message, by who broke the rule.

An error names the path of the field and the rule, never the value (I12): pyiso8583's own errors
carry the whole clear message and are never let through.
"""


class Iso8583Error(Exception):
    """``path``: a field number (``35``), ``mti``, ``bitmap``, ``tpdu`` …; ``rule``: a sentence."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(f"{path}: {rule}")
        self.path = path
        self.rule = rule


class LocalError(Iso8583Error):
    """We were about to send something the dialect does not allow. Nothing was sent."""


class RemoteError(Iso8583Error):
    """The peer sent something the dialect does not allow. It changes nothing (I9, I10)."""


class NoLinkError(Iso8583Error):
    """No link to the bank is up; nothing was sent."""

    def __init__(self) -> None:
        super().__init__("link", "no link to the bank is up")


class NotOursError(Iso8583Error):
    """The payment or its logical terminal is another node's; nothing was sent (I13)."""

    def __init__(self) -> None:
        super().__init__("lease", "the payment or its terminal is another node's")


class DialectError(Exception):
    """A dialect file is not usable: file, path inside it and the reason."""
