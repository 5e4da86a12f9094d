"""The bank behind the virtual cards: checks their cryptograms, answers with its own, sends scripts.

For demonstrations without a switch, and for tests.
"""

from collections.abc import Sequence

from msgspec import Struct

from hsm.primitives import CardKeys, forget
from terminal_agent.devices.virtual_card import TEST_KEYS, Print
from terminal_agent.emv.actions import HostAnswer, OnlineNeeded, Verdict
from terminal_agent.emv.tlv import encode, parse


class IssuerHabits(Struct, frozen=True, kw_only=True):
    """How an issuer misbehaves, or what else it wants."""

    declines: bool = False
    silent: bool = False
    """The host cannot be reached."""
    no_answer_data: bool = False
    """No 91."""
    wrong_answer_data: bool = False
    before: Sequence[str] = ()
    """Script commands (CLA INS P1 P2, hex) for template 71; each gets its MAC."""
    after: Sequence[str] = ()
    """The same for template 72."""


class VirtualIssuer:
    """Knows the keys of one virtual card."""

    def __init__(self, printed: Print, habits: IssuerHabits | None = None) -> None:
        keys = CardKeys(TEST_KEYS.cryptogram, TEST_KEYS.script, common=printed.common_keys)
        self._keys = keys.derived(printed.pan, printed.sequence)
        self._habits = habits or IssuerHabits()

    def host(self, online: OnlineNeeded) -> HostAnswer:
        """The verdict on field 55: a wrong cryptogram is declined."""
        if self._habits.silent:
            return HostAnswer(verdict=Verdict.UNREACHABLE)
        code, data = self.answer(bytes.fromhex(online.field55.reveal()))
        verdict = Verdict.APPROVED if code == "00" else Verdict.DECLINED
        return HostAnswer.read(verdict, code, data)

    def answer(self, field55: bytes) -> tuple[str, bytes]:
        """Response code (field 39) and field 55 for a card's field 55."""
        objects = {item.tag: item.value for item in parse(field55)}
        right = self._keys.is_genuine(objects) and not self._habits.declines
        code = "00" if right else "05"
        return code, self._data(objects, code.encode())

    def _data(self, objects: dict[str, bytes], code: bytes) -> bytes:
        """91, 71 and 72, as field 55 of an answer."""
        arqc, counter = objects["9F26"], objects["9F36"]
        answer = self._keys.issuer_answer(counter, arqc, code)
        if self._habits.wrong_answer_data:
            answer = bytes(8)
        made = b"" if self._habits.no_answer_data else encode("91", answer + code)
        for template, commands in (("71", self._habits.before), ("72", self._habits.after)):
            if commands:
                body = encode("9F18", bytes.fromhex("00000001"))
                body += b"".join(self._command(head, counter, arqc) for head in commands)
                made += encode(template, body)
        return made

    def _command(self, head: str, counter: bytes, arqc: bytes) -> bytes:
        command = bytes.fromhex(head) + b"\x04"
        return encode("86", command + self._keys.script_mac(counter, arqc, command))


def forget_sessions() -> None:
    """Drop the session keys of past payments: the ciphers remember them for speed, some thousands
    of them, which no real kiosk holds."""
    forget()
