"""Configuration of the journal, and where a DSN comes from."""

import os
from pathlib import Path

from msgspec import Struct
from psycopg2.extensions import make_dsn, parse_dsn

from switch.store.errors import StartRefused


class JournalSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``journal`` of the switch's configuration. Exactly one of ``dsn`` and ``data``.

    All limits are required: I11 wants them stated, not guessed.
    """

    queue_limit: int
    """New payments waiting for their first commit; one more is refused (JournalDown). Writes of
    payments already begun always queue: there are no more of them than payments in flight."""
    batch_limit: int
    """Writes in one commit."""
    read_queue_limit: int
    """Reads, claims and number reservations waiting; one more is refused (JournalDown)."""
    lease_ms: int
    """How long this node's payments stay its own without a renewal (I13)."""
    lease_renew_ms: int
    """Time between renewals; at most a third of ``lease_ms``."""
    connect_timeout_ms: int
    """One connection attempt, and the wait for a predecessor's session to end."""
    statement_timeout_ms: int
    """One commit or read inside the database; after it the batch is tried again."""
    retry_max_ms: int
    """Longest pause between attempts to reach the database again."""
    dsn: str = ""
    """libpq connection string, or ``file:PATH`` / ``env:NAME`` holding one; a string that carries
    a password must be such a reference (I12)."""
    data: str = ""
    """Folder of the embedded PostgreSQL (``yyt journal serve --data``)."""
    waiver: str = ""
    """The written decision, with a name and a date, to run several hosts without synchronous
    replication in strict mode (rule 14 of docs/payment-law.md). Logged at every start."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, in words."""
        if bool(self.dsn) == bool(self.data):
            raise ValueError("journal: give exactly one of dsn and data")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int) and value <= 0:
                raise ValueError(f"journal: {name} must be greater than 0")
        if self.lease_renew_ms * 3 > self.lease_ms:
            raise ValueError("journal: lease_renew_ms must be at most a third of lease_ms")


def journal_dsn(settings: JournalSettings) -> str:
    """The DSN that ``settings`` point at.

    Raises StartRefused when a reference cannot be read or a password stands in the open, and
    EmbeddedError when the embedded data folder was never served.
    """
    if settings.data:
        from switch.store.embedded import embedded_dsn

        return embedded_dsn(Path(settings.data))
    return resolve_dsn(settings.dsn)


def resolve_dsn(text: str) -> str:
    """Read ``file:`` and ``env:`` references; refuse an open password.

    >>> resolve_dsn("host=/run/postgresql dbname=yyt")
    'host=/run/postgresql dbname=yyt'
    """
    kind, _, rest = text.partition(":")
    if kind == "file":
        try:
            return Path(rest).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise StartRefused(f"journal dsn: cannot read {rest}: {error.strerror}") from None
    if kind == "env":
        if rest not in os.environ:
            raise StartRefused(f"journal dsn: environment variable {rest} is not set")
        return os.environ[rest]
    if "password" in _parsed(text):
        raise StartRefused(
            "journal dsn: a password must not stand in the configuration (I12); "
            "use file:PATH, env:NAME or a ~/.pgpass file"
        )
    return text


def masked_dsn(dsn: str) -> str:
    """``dsn`` for people: no password."""
    parts = _parsed(dsn)
    if "password" in parts:
        parts["password"] = "***"  # noqa: S105 - the mask itself
    return make_dsn(**parts)


def host_count(dsn: str) -> int:
    """How many servers ``dsn`` names; more than one calls for synchronous replication."""
    parts = _parsed(dsn)
    return max(len(parts.get(name, "").split(",")) for name in ("host", "hostaddr"))


def _parsed(dsn: str) -> dict[str, str]:
    from psycopg2 import ProgrammingError

    try:
        return dict(parse_dsn(dsn))
    except ProgrammingError:
        # The text of the error would repeat the DSN, password included (I12).
        raise StartRefused("journal dsn: not a valid PostgreSQL connection string") from None
