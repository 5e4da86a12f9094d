"""Which command is recorded singly, which only counted, and what its record is called."""

from typing import Final

COUNTED: Final = frozenset((
    "B2", "NC", "NO", "BU", "CA", "CC", "CK", "CM", "CU", "CW", "CY", "DA", "DC",
    "DE", "DG", "DU", "EA", "EC", "EE", "BK", "FW", "G0", "GM", "GO", "GQ", "GW",
    "JA", "JC", "JE", "JG", "KQ", "KW", "M0", "M2", "M4", "M6", "M8", "MA", "MC",
    "ME", "MS",
))  # fmt: skip
"""They run by the thousand and change no key: counted per client, minute, command and error.

Every other command is recorded on its own when it was done."""

VERIFYING: Final = frozenset((
    "CK", "CM", "CU", "CY", "DA", "DC", "DU", "EA", "EC", "GO", "GQ", "GW", "KQ",
    "KW", "M8", "MC", "ME",
))  # fmt: skip
"""Their error 01 says that a PIN, a MAC, a card value or a cryptogram is wrong."""

DONE: Final = frozenset({"00", "01"})
"""Error codes with which a command was done; 01 warns (of a parity, say)."""

FAILED: Final = "verification.failed"
REFUSED: Final = "command.refused"
COMMANDS_COUNTED: Final = "commands.counted"
SUMMARISED: Final = "records.summarised"
PERFORMED: Final = "command.performed"

EVENTS: Final = {
    "A0": "key.generated",
    "A2": "component.generated",
    "A4": "key.formed",
    "A6": "key.imported",
    "A8": "key.exported",
    "BW": "key.moved",
    "FA": "key.imported",
    "FC": "key.imported",
    "FK": "key.imported",
    "MI": "key.imported",
    "FE": "key.exported",
    "FM": "key.exported",
    "GC": "key.exported",
    "MG": "key.exported",
    "BA": "pin.encrypted",
    "NG": "pin.decrypted",
    "RA": "authorisation.cancelled",
}
"""Command → what its record says; a command that is not listed is ``command.performed``."""

SYNCED_LATER: Final = frozenset({FAILED, REFUSED, SUMMARISED, COMMANDS_COUNTED})
"""Events that reach the disk within a second; all others before the command is answered."""
