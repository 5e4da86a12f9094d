"""What a page may take its time for, on Twisted's Clock: bytes in, bytes out."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock, StringTransport
from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Event, Ping, Request, TextMessage

from terminal_agent.flows.view import Tap, View
from terminal_agent.page import PageConfig, PageSite
from terminal_agent.page.guard import HTTP_LIFE_MS
from terminal_agent.page.session import PING_MS, TOKEN_WAIT_MS
from tests.page.views import VIEWS

PORT = 8080


class Stage:
    """One view that changes in its revision."""

    def __init__(self) -> None:
        self.revision = 1
        self.asked = 0
        self.callbacks: list[Callable[[], None]] = []

    def view(self) -> View:
        """The present revision."""
        self.asked += 1
        return View(revision=self.revision, screen=VIEWS["home"].screen, terminal="K", hospital="H")

    def watch(self, callback: Callable[[], None]) -> None:
        """For ever."""
        self.callbacks.append(callback)

    def tapped(self, tap: Tap) -> None:
        """Nobody taps here."""
        raise AssertionError(tap)

    def change(self) -> None:
        """The next revision."""
        self.revision += 1
        for callback in self.callbacks:
            callback()


class World:
    """A site on a clock, and one connection to it."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.stage = Stage()
        config = PageConfig(bind="127.0.0.1", port=PORT, panel=False)
        self.site = PageSite(config, self.stage, None, self.reactor)
        self.site.start()
        self.transport: Any = StringTransport()
        self.server = self.reactor.tcpServers[0][1].buildProtocol(None)
        self.server.makeConnection(self.transport)
        self.wire = WSConnection(ConnectionType.CLIENT)

    def send(self, event: Event) -> list[Event]:
        """One event to the site; what comes back at once."""
        self.server.dataReceived(self.wire.send(event))
        return self.heard()

    def open(self) -> None:
        """A WebSocket without its token."""
        origin = (b"Origin", b"http://127.0.0.1:%d" % PORT)
        self.send(Request(host=f"127.0.0.1:{PORT}", target="/kiosk/ws", extra_headers=[origin]))

    def enter(self) -> None:
        """A WebSocket with its token."""
        self.open()
        events = self.send(TextMessage(json.dumps({"token": self.site.kiosk.token})))
        assert [type(event) for event in events] == [TextMessage, Ping]
        self.send(events[1].response())  # type: ignore[attr-defined]

    def heard(self) -> list[Event]:
        """What the site wrote since."""
        written = self.transport.value()
        self.transport.clear()
        self.wire.receive_data(written)
        return list(self.wire.events())


def revisions(events: list[Event]) -> list[int]:
    """Of the views among them."""
    return [
        json.loads(event.data)["revision"] for event in events if isinstance(event, TextMessage)
    ]


def test_connection_without_a_socket_does_not_live_long() -> None:
    """A browser opens another one; nobody keeps one open for nothing."""
    world = World()
    world.reactor.advance(HTTP_LIFE_MS / 1000 - 0.1)
    assert not world.transport.disconnected
    world.reactor.advance(0.2)
    assert world.transport.disconnected


def test_token_must_come_in_time() -> None:
    """A WebSocket that says nothing is dropped; one that said its token is not."""
    silent, known = World(), World()
    silent.open()
    known.enter()
    for world in (silent, known):
        world.reactor.advance(TOKEN_WAIT_MS / 1000 + 0.1)

    assert silent.transport.disconnected
    assert not known.transport.disconnected


@pytest.mark.parametrize("answers", [True, False])
def test_page_that_answers_no_ping_is_dropped(answers: bool) -> None:
    """A page that hangs gives its place to the one that comes after it."""
    world = World()
    world.enter()
    world.reactor.advance(PING_MS / 1000)
    (ping,) = world.heard()
    assert isinstance(ping, Ping)
    if answers:
        world.send(ping.response())
    world.reactor.advance(PING_MS / 1000)

    assert world.transport.disconnected is not answers
    assert world.site.kiosk.size == int(answers)


def test_changes_of_one_turn_are_one_message() -> None:
    """Three changes, one view: the last; and the stage is asked once."""
    world = World()
    world.enter()
    asked = world.stage.asked
    for _ in range(3):
        world.stage.change()
    assert world.heard() == []
    world.reactor.advance(0)

    assert revisions(world.heard()) == [4]
    assert world.stage.asked == asked + 1


def test_paused_reader_gets_the_newest_view_once() -> None:
    """Nothing queues while the transport asks for a pause (I11)."""
    world = World()
    world.enter()
    world.transport.producer.pauseProducing()
    for _ in range(100):
        world.stage.change()
        world.reactor.advance(0)
    assert world.heard() == []
    world.transport.producer.resumeProducing()

    assert revisions(world.heard()) == [101]
    world.transport.producer.resumeProducing()
    assert world.heard() == []


def test_stop_says_goodbye_and_leaves_no_timer() -> None:
    """1001; a reader that does not answer it is dropped a second later."""
    world = World()
    world.enter()
    world.stage.change()
    world.site.stop()
    (goodbye,) = world.heard()

    assert isinstance(goodbye, CloseConnection)
    assert goodbye.code == 1001
    world.reactor.advance(1.1)
    assert world.transport.disconnected
    assert world.reactor.getDelayedCalls() == []
