"""Recorded cards: ``{"atr": hex, "exchanges": [[command hex, response hex], …]}``, as JSON.

The longest recorded command that is a prefix of the one sent answers; Le is left out of both where
they would not agree otherwise. Of equal ones each answers once, in order, and the last one from
then on. An empty response is a card that was pulled. What was not recorded is answered with 6A82
(SELECT), 6A83 (READ RECORD) or 6D00.
"""

import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from terminal_agent.emv.actions import CardGone

FILE_BYTES_MAX: Final = 1 << 20
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_COMMAND: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_RESPONSE: Final = re.compile(r"(?:(?:[0-9A-Fa-f]{2}){2,})?")
_UNKNOWN: Final = {0xA4: b"\x6a\x82", 0xB2: b"\x6a\x83"}
_OTHERWISE: Final = b"\x6d\x00"
_HEADER_ONLY: Final = ("80A8", "80AE", "0082", "00C0")
"""Commands whose data differs from run to run: recorded by their header."""


class TranscriptError(ValueError):
    """The file is no transcript; says why."""


class _File(Struct, frozen=True):
    atr: str
    exchanges: list[tuple[str, str]]


class RecordedCard:
    """A card played from a transcript."""

    def __init__(self, atr: bytes, exchanges: list[tuple[bytes, bytes]]) -> None:
        self.atr = atr
        self._answers: dict[bytes, list[bytes]] = {}
        for command, response in exchanges:
            self._answers.setdefault(command, []).append(response)

    def transmit(self, command: bytes) -> bytes:
        """The recorded answer. Raises CardGone when the record says so."""
        for sent, shorten in ((command, bytes), (_without_length(command), _without_length)):
            fitting = [known for known in self._answers if sent.startswith(shorten(known))]
            if fitting:
                answers = self._answers[max(fitting, key=len)]
                response = answers.pop(0) if len(answers) > 1 else answers[0]
                if not response:
                    raise CardGone
                return response
        return _UNKNOWN.get(command[1], _OTHERWISE)


def _without_length(command: bytes) -> bytes:
    """``command`` without its Le."""
    if len(command) == 5:
        return command[:4]
    if len(command) > 5 and len(command) == 6 + command[4]:
        return command[:-1]
    return command


def load_transcript(path: Path) -> RecordedCard:
    """Read a recorded card. Raises TranscriptError, FileNotFoundError."""
    with path.open("rb") as file:
        text = file.read(FILE_BYTES_MAX + 1)
    if len(text) > FILE_BYTES_MAX:
        raise TranscriptError(f"{path}: more than {FILE_BYTES_MAX} bytes")
    try:
        found = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TranscriptError(
            f'{path}: must be {{"atr": hex, "exchanges": [[command hex, response hex], …]}}'
        ) from None
    exchanges = []
    for number, (command, response) in enumerate(found.exchanges):
        if not (_COMMAND.fullmatch(command) and _RESPONSE.fullmatch(response)):
            raise TranscriptError(f"{path}: exchange {number}: hex without spaces is needed")
        exchanges.append((bytes.fromhex(command), bytes.fromhex(response)))
    if not _HEX.fullmatch(found.atr):
        raise TranscriptError(f"{path}: atr: hex without spaces is needed")
    return RecordedCard(bytes.fromhex(found.atr), exchanges)


class Recorder:
    """Writes down what a card says, so that it can be played again."""

    def __init__(self, atr: bytes) -> None:
        self._atr = atr
        self._exchanges: list[tuple[str, str]] = []

    def heard(self, command: bytes, response: bytes) -> None:
        """One exchange; of commands with changing data the header is kept."""
        text = command.hex().upper()
        kept = text[:8] if text.startswith(_HEADER_ONLY) else text
        self._exchanges.append((kept, response.hex().upper()))

    def encode(self) -> bytes:
        """The transcript. It holds the card's records: only test cards are to be recorded."""
        whole = {"atr": self._atr.hex().upper(), "exchanges": self._exchanges}
        return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
