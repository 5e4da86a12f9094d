"""Where an officer's command works: the store of a configuration, and its key service."""

import getpass
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from switch import plugins
from switch.keys.tools import KeyTools
from switch.observe import logs
from switch.settings import Settings, SettingsError, load
from switch.store.key_store import KeyConnection, connect_keys
from switch.store.settings import journal_dsn
from switch.timeline import ReactorTimeline

T = TypeVar("T")


def settings_of(file: Path) -> Settings:
    """The switch's configuration. SystemExit with its mistakes."""
    try:
        return load(file)
    except SettingsError as error:
        raise SystemExit(str(error)) from None


@contextmanager
def store_of(settings: Settings) -> Iterator[KeyConnection]:
    """A session at the configuration's database, closed afterwards."""
    conn = connect_keys(journal_dsn(settings.journal))
    try:
        yield conn
    finally:
        conn.close()


def with_tools(settings: Settings, work: Callable[[KeyTools], Awaitable[T]]) -> T:
    """Run ``work`` with the configuration's key service on a reactor of its own, to its end.

    What it raises is raised. Ctrl-C ends the process with 130 after the reactor's turn.
    """
    from twisted.internet import reactor as _reactor

    reactor: Any = _reactor
    logs.configure("error", sys.stderr.buffer)
    plugin: Any = plugins.find(plugins.Group.HSM, settings.hsm.plugin)
    timeline = ReactorTimeline(reactor)
    service = plugin.build("hsm", settings.hsm.settings, timeline, reactor, lambda: 0.5)
    results: list[Any] = []

    async def run() -> None:
        service.start()
        try:
            results.append(await work(service))
        finally:
            await service.stop()

    def ended(result: object) -> None:
        if isinstance(result, Failure):
            results.append(result)
        reactor.callLater(0, reactor.stop)

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run()).addBoth(ended))
    signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(reactor.stop))
    reactor.run(installSignalHandlers=False)
    if not results:
        raise SystemExit(130)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    result: T = results[0]
    return result


async def pause(seconds: float) -> None:
    """Let the reactor work for a while."""
    from twisted.internet import reactor

    await deferLater(reactor, seconds)


def officer() -> str:
    """Who stands in the history: the system's user and machine."""
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"{user}@{socket.gethostname()}"


def tell(line: str) -> None:
    """A line of the command's answer."""
    print(line)  # noqa: T201 - a command speaks


def tell_json(value: object) -> None:
    """The command's answer as one JSON value."""
    print(msgspec.json.encode(value).decode())  # noqa: T201 - a command speaks


def note(line: str, *, over: bool = False) -> None:
    """Beside the answer, on stderr; ``over``: on a terminal the next note replaces it."""
    end = "\r" if over and sys.stderr.isatty() else "\n"
    print(line, file=sys.stderr, end=end, flush=True)  # noqa: T201 - a command speaks
