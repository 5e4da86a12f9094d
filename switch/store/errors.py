"""What the journal may say no with. Each message is a sentence for an operator."""


class StoreError(Exception):
    """Base of all of them; never raised itself."""


class StartRefused(StoreError):  # noqa: N818 - a decision, told as one
    """The database must not carry money as it is (I4), or the schema is not ours to use."""


class EmbeddedError(StoreError):
    """The embedded PostgreSQL cannot be made or started here."""


class Corrupt(StoreError):  # noqa: N818 - a state of a row, told as one
    """A row does not match its checksum, or cannot be read by this code (I1)."""


class WriteRejected(StoreError):  # noqa: N818 - a decision, told as one
    """The database can never take this write (bad data): nothing of it was committed."""
