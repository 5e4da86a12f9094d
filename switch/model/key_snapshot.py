"""The key store at one moment, as a node holds it in memory."""

from collections.abc import Mapping

from msgspec import Struct


class Validity(Struct, frozen=True):
    """When a key may begin something, in ms of the time line; 0 = no limit."""

    not_before: int = 0
    not_after: int = 0


class Snapshot(Struct, frozen=True):
    """The key store at one moment."""

    version: int = 0
    names: Mapping[str, str] = {}
    """Name → held text of its active version."""
    validity: Mapping[str, Validity] = {}
    """Only of names that have a limit."""
    successors: Mapping[str, str] = {}
    """Held text of before a change of LMK → the newest one."""
