"""The journal: the only store of truth (PostgreSQL), and the only package that talks SQL.

``journal`` is the real thing, ``memory`` the same in memory for the seeded simulator; both hold
to ``switch.ports``. ``embedded`` runs the PostgreSQL that comes with the project.
"""

from switch.store.journal import PostgresJournal, open_journal

__all__ = ["PostgresJournal", "open_journal"]
