"""What operators want of this kiosk: pushed settings and commands, each answered.

Rules
- A command is done once, whatever the switch repeats: its id and its answer are on the disk before
  the answer leaves. A repeated one gets the same answer.
- A restart ends the process with exit code 0, and whoever runs it (systemd, a scheduled task)
  starts it again. It is refused while a patient stands here or a payment is open.
- An answer that is lost is said again when the switch repeats its order.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import durable, protocol
from terminal_agent.link import Late, Link, Lost, Refused
from terminal_agent.lock import Lock
from terminal_agent.logs import get_logger
from terminal_agent.settings import Settings

_log = get_logger("orders")

DONE_MAX = 64
"""Commands remembered; the switch has at most one of each kind open."""
ANSWER_TIMEOUT_MS = 10_000
RESTARTING = "正在重启"


class Result(Struct, frozen=True, kw_only=True):
    """How a command ended."""

    command: str
    ok: bool
    text: str = ""


class DoneCommands:
    """The last commands with their results, on the disk. A file that cannot be read is begun anew:
    doing ``lock`` or ``logs`` twice harms nobody, and a restart is answered before it is done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: list[Result] = []
        try:
            self._results = msgspec.json.decode(path.read_bytes(), type=list[Result])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            _log.error("commands_unreadable", reason=str(error))

    def get(self, command: str) -> Result | None:
        """How it ended, or None."""
        return next((done for done in self._results if done.command == command), None)

    def keep(self, result: Result) -> None:
        """Remember, durably. Raises OSError."""
        results = [*self._results, result][-DONE_MAX:]
        durable.write(self._path, msgspec.json.encode(results))
        self._results = results


class Orders:
    """Takes the switch's orders. ``is_idle`` says that no patient and no open payment is here,
    ``log_tail`` gives the last log lines, ``restart`` ends the process."""

    link: Link

    def __init__(
        self,
        *,
        settings: Settings,
        lock: Lock,
        done: DoneCommands,
        is_idle: Callable[[], bool],
        log_tail: Callable[[], str],
        restart: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._lock = lock
        self._done = done
        self._is_idle = is_idle
        self._log_tail = log_tail
        self._restart = restart

    def pushed(self, envelope: protocol.Envelope) -> None:
        """Event Settings.Push."""
        Deferred.fromCoroutine(self._push(envelope)).addErrback(_broken, envelope.name)

    def commanded(self, envelope: protocol.Envelope) -> None:
        """Event Command."""
        Deferred.fromCoroutine(self._command(envelope)).addErrback(_broken, envelope.name)

    async def _push(self, envelope: protocol.Envelope) -> None:
        pushed = protocol.decode_reply(envelope, protocol.SettingsPush)
        try:
            applied = self._settings.push(pushed)
        except OSError as error:
            text = f"无法保存 cannot be kept: {error.strerror}"
            applied = protocol.SettingsApplied(version=pushed.version, ok=False, text=text)
        _log.info("settings_pushed", version=applied.version, ok=applied.ok)
        await self._say(protocol.SETTINGS_APPLIED, applied)

    async def _command(self, envelope: protocol.Envelope) -> None:
        command = protocol.decode_reply(envelope, protocol.Command)
        result = self._done.get(command.command)
        again = result is not None
        if result is None:
            try:
                result = self._do(command)
                self._done.keep(result)
            except OSError as error:
                text = f"无法保存 cannot be kept: {error.strerror}"
                result = Result(command=command.command, ok=False, text=text)
            _log.info("command", do=command.do, ok=result.ok)
        restart = command.do == "restart" and result.ok and not again
        if restart:
            self._lock.hold(RESTARTING)
        answer = protocol.CommandDone(
            command=result.command,
            ok=result.ok,
            text=result.text,
            log=self._log_tail() if command.do == "logs" else "",
        )
        await self._say(protocol.COMMAND_DONE, answer)
        if restart:
            _log.info("restarting")
            self._restart()

    def _do(self, command: protocol.Command) -> Result:
        """All but the restart itself. Raises OSError."""
        if command.do == "lock":
            self._lock.lock(command.text)
        elif command.do == "unlock":
            self._lock.unlock()
        elif command.do == "restart":
            if not self._is_idle():
                text = "有患者或未完支付，稍后再试 a patient or an open payment is here"
                return Result(command=command.command, ok=False, text=text)
        elif command.do != "logs":
            text = "不支持的指令 this terminal does not know it"
            return Result(command=command.command, ok=False, text=text)
        return Result(command=command.command, ok=True)

    async def _say(self, name: str, body: Struct) -> None:
        try:
            await self.link.request(name, body, timeout_ms=ANSWER_TIMEOUT_MS)
        except (Lost, Late, Refused, protocol.ProtocolError) as error:
            _log.warning("answer_not_taken", name=name, reason=str(error))


def _broken(failure: Failure, name: str) -> None:
    """Named boundary: an order that cannot be read costs the kiosk nothing."""
    _log.error("order_failed", name=name, exc_info=failure.value)
