"""What comes back from the issuer: its authentication and its scripts (EMV book 3, 10.9-10)."""

from typing import Final

from terminal_agent.emv import apdu
from terminal_agent.emv.actions import CardGone, Flow
from terminal_agent.emv.context import Context, Tsi, Tvr
from terminal_agent.emv.restrictions import context_tvr
from terminal_agent.emv.tlv import Tlv, find

_CARD_CAN: Final = 0x04
_NOT_PERFORMED, _FAILED, _SUCCESSFUL = 0x00, 0x10, 0x20
_GOOD: Final = (0x90, 0x62, 0x63)


def authenticate(context: Context, data: bytes) -> Flow[None]:
    """EXTERNAL AUTHENTICATE, once, when the issuer sent data and the card can."""
    if not data or not context.card["82"][0] & _CARD_CAN:
        return
    sw = apdu.NO_ANSWER
    if 8 <= len(data) <= 16:
        answer = yield from context.say(apdu.external_authenticate(data))
        sw = answer.sw
    context.done(Tsi.ISSUER_AUTHENTICATION)
    if sw != apdu.OK:
        context.found(Tvr.ISSUER_NOT_AUTHENTICATED)
    context.note("issuer_authentication", f"{sw:04X}")


class Scripts:
    """The issuer's scripts, run in order; each has a result of five bytes from the beginning.

    Those beyond the profile's limit are left out.
    """

    def __init__(self, context: Context, scripts: tuple[Tlv, ...]) -> None:
        self._context = context
        self._scripts = scripts[: context.profile.limits.scripts_max]
        self._results = [_NOT_PERFORMED] * len(self._scripts)
        self.note()

    def note(self) -> None:
        """Bring DF31 up to date: result and number of the failed command, script identifier."""
        if self._scripts:
            parts = zip(self._results, self._scripts, strict=True)
            self._context.own["DF31"] = b"".join(
                bytes([result]) + _identifier(script) for result, script in parts
            )

    def run(self, template: str) -> Flow[None]:
        """Those of one template: 71 before, 72 after the last GENERATE AC. A command that the card
        refuses ends its script; a card that is gone leaves the script as failed."""
        before = template == "71"
        flag = Tvr.SCRIPT_FAILED_BEFORE if before else Tvr.SCRIPT_FAILED_AFTER
        for number, script in enumerate(self._scripts):
            if script.tag == template:
                self._context.done(Tsi.SCRIPTS)
                try:
                    self._results[number] = yield from self._one(script)
                except CardGone:
                    self._results[number] = _FAILED
                    raise
                finally:
                    if self._results[number] != _SUCCESSFUL:
                        self._context.found(flag)
                    self.note()
                    self._context.note(f"script_{template}", context_tvr(self._context))

    def _one(self, script: Tlv) -> Flow[int]:
        commands = [item.value for item in script.children if item.tag == "86"]
        if not commands or len(commands) > self._context.profile.limits.script_commands_max:
            return _NOT_PERFORMED
        for number, command in enumerate(commands, 1):
            try:
                ready = apdu.ready_made(command)
            except ValueError:
                return _FAILED | min(number, 15)
            answer = yield from self._context.say(ready)
            if answer.sw >> 8 not in _GOOD:
                return _FAILED | min(number, 15)
        return _SUCCESSFUL


def run_scripts_after(scripts: Scripts) -> Flow[None]:
    """Template 72: the payment is over, so a card that goes now changes no money."""
    try:
        yield from scripts.run("72")
    except CardGone:
        return


def _identifier(script: Tlv) -> bytes:
    """9F18 in four bytes, zeros when the issuer gave none."""
    given = find(script.children, "9F18")
    return given.value[:4].rjust(4, b"\0") if given else bytes(4)
