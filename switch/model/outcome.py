"""What an exchange with the outside ends as (I9)."""

from enum import StrEnum
from typing import NewType

from msgspec import Struct

from switch.model.secret import Secret

Millis = NewType("Millis", int)
"""Milliseconds on the house's time line (see ports.Timeline): epoch based, never jumping back."""


class Outcome(StrEnum):
    """The four ends of every exchange. *Unknown is not failed.*"""

    NOT_SENT = "not_sent"
    """No byte reached the transport."""
    DONE = "done"
    REFUSED = "refused"
    """A definite business refusal listed by the profile."""
    UNKNOWN = "unknown"
    """Anything else: timeout, broken frame, wrong MAC, wrong echo, unmapped code, HTTP 500 …"""


class Verb(StrEnum):
    """What is asked of a counterparty for one leg."""

    DO = "do"
    ASK = "ask"
    UNDO = "undo"


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of one exchange, safe to log: no PAN, track, PIN block or key. ``issuer`` lives in
    memory only and is no part of what is journaled.

    For ASK: DONE = it took effect; REFUSED = it definitely did not and cannot any more
    (tombstoned); UNKNOWN with ``not_found`` = the counterparty does not know it *yet*.
    For UNDO: DONE = undone (a reversal's 00, a cancel that left its tombstone);
    UNKNOWN with ``not_found`` = 25, no original (proves nothing).
    """

    outcome: Outcome
    code: str = ""
    """The counterparty's own code, as text: ``51``, ``A0``; never mapped through an integer."""
    text: str = ""
    """A sentence for the patient, from the dialect's or the profile's table."""
    facts: dict[str, str] = {}
    """What the answer adds to the leg's facts (RRN, F38, F15, HIS receipt number …)."""
    not_found: bool = False
    again: bool = False
    """Refused, but a fresh attempt (new STAN, new MAC) is allowed: A0, 77 (rule 17)."""
    doubtful: bool = False
    """Refused by an answer that carried no proof (a code believed without a MAC): an approval may
    still come, and then it is true."""
    issuer: Secret[bytes] | None = None
    """What an approving issuer says to the chip (TLV: 91, 71, 72, 8A; may be empty), for the leg
    that finishes the card. None: not an approval of a card."""
