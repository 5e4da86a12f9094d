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


class DialectError(Exception):
    """A dialect file is not usable: file, path inside it and the reason."""
