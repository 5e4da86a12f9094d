"""The HSM daemon's audit log: chained under a key of its own; no audit, no service."""

from hsm.audit.chain import AuditKey
from hsm.audit.counts import Counts
from hsm.audit.key_file import AuditKeyError, load_key, make_key
from hsm.audit.log import AuditDown, AuditLog, Limits
from hsm.audit.record import RefusedDetailError, is_name, looks_secret
from hsm.audit.writer import AuditBrokenError, AuditInUseError

__all__ = [
    "AuditBrokenError",
    "AuditDown",
    "AuditInUseError",
    "AuditKey",
    "AuditKeyError",
    "AuditLog",
    "Counts",
    "Limits",
    "RefusedDetailError",
    "is_name",
    "load_key",
    "looks_secret",
    "make_key",
]
