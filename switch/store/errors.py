"""What the journal may say no with. Each message is a sentence for an operator."""


class StoreError(Exception):
    """Base of all of them; never raised itself."""


class StartRefused(StoreError):  # noqa: N818 - a decision, told as one
    """The database must not carry money as it is (I4), or the schema is not ours to use."""


class EmbeddedError(StoreError):
    """The embedded PostgreSQL cannot be made or started here."""


class NoJournal(EmbeddedError):  # noqa: N818 - a state of a folder, told as one
    """There was never an embedded server in a folder, ``data``."""

    def __init__(self, data: object) -> None:
        super().__init__(
            f"{data} holds no journal yet: start it with yyt journal serve --data {data}"
        )
        self.data = data


class Corrupt(StoreError):  # noqa: N818 - a state of a row, told as one
    """A row does not match its checksum, or cannot be read by this code (I1)."""


class WriteRejected(StoreError):  # noqa: N818 - a decision, told as one
    """The database can never take this write (bad data): nothing of it was committed."""
