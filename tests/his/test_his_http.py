"""Goal: the HTTP client is bounded, puts money first, and never sends a request twice."""

from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol

from his_bridge.http import Answered, Failed, HttpPool, Target
from tests.his.rig import PORT, World, http_answer


class Held(Protocol):
    """A server that answers only when the test says so."""

    def __init__(self, pool: "Server") -> None:
        self.pool = pool

    def dataReceived(self, data: bytes) -> None:
        self.pool.waiting.append((self, data))


class Server:
    """All connections of the far end."""

    def __init__(self, world: World) -> None:
        self.waiting: list[tuple[Held, bytes]] = []
        world.net.listening[PORT] = Factory.forProtocol(lambda: Held(self))

    def bodies(self) -> list[bytes]:
        return [data.rpartition(b"\r\n\r\n")[2] for _held, data in self.waiting]

    def answer(self, answer: bytes = http_answer(b"ok")) -> bytes:
        held, data = self.waiting.pop(0)
        held.transport.write(answer)
        return data.rpartition(b"\r\n\r\n")[2]


def pool_for(world: World, **changes: Any) -> HttpPool:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": PORT,
        "tls": False,
        "ca_file": "",
        "connections": 3,
        "inquiries_limit": 2,
        "connect_timeout_ms": 1_000,
        "idle_ms": 5_000,
        "queue_limit": 2,
        "queue_wait_ms": 2_000,
        "head_limit_bytes": 1_000,
        "body_limit_bytes": 1_000,
    }
    return HttpPool(world.net, world.timeline, Target(**(values | changes)))


def post(pool: HttpPool, name: bytes, money: bool = True, timeout_ms: int = 10_000) -> list[Any]:
    ends: list[Any] = []
    data = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name)
    pool.post(data, timeout_ms=timeout_ms, money=money).addBoth(ends.append)
    return ends


def test_connection_is_reused_and_dropped_when_idle_too_long(world: World) -> None:
    """Goal: one connection for calls one after the other; an old one is not trusted."""
    server, pool = Server(world), pool_for(world)
    for pause in (0.1, 0.1, 6):
        ends = post(pool, b"x")
        world.net.run(0.1)
        server.answer()
        world.net.run(pause)
        assert ends == [Answered(200, b"ok")]
    assert world.net.connects == 1

    post(pool, b"y")
    world.net.run(0.1)

    assert world.net.connects == 2


def test_I11_limits_connections_queue_and_wait(world: World) -> None:
    """Goal: 3 run, 2 wait, the 6th is not sent; the waiting ones end NotSent after their wait."""
    server, pool = Server(world), pool_for(world)
    ends = [post(pool, b"%d" % number) for number in range(6)]
    world.net.run(0.5)

    assert server.bodies() == [b"0", b"1", b"2"]
    assert ends[5] == [Failed(False, "queue_full")]
    world.net.run(2)
    assert ends[3] == ends[4] == [Failed(False, "queue_wait")]
    assert ends[0] == []


def test_money_goes_before_inquiries_and_keeps_a_connection(world: World) -> None:
    """Goal: two inquiries run at most, and a waiting booking takes the first free connection."""
    server, pool = Server(world), pool_for(world)
    for name in (b"q1", b"q2", b"q3"):
        post(pool, name, money=False)
    world.net.run(0.1)
    assert server.bodies() == [b"q1", b"q2"]

    post(pool, b"m1")
    post(pool, b"m2")
    world.net.run(0.1)
    assert server.bodies() == [b"q1", b"q2", b"m1"]
    server.answer()
    world.net.run(0.1)
    assert server.bodies() == [b"q2", b"m1", b"m2"]
    server.answer()
    world.net.run(0.1)
    assert server.bodies() == [b"m1", b"m2", b"q3"]


def test_I9_lost_connection_is_unknown_and_is_not_sent_again(world: World) -> None:
    """Goal: whatever died after the first byte may have been done."""
    server, pool = Server(world), pool_for(world)
    ends = post(pool, b"x")
    world.net.run(0.1)
    server.waiting[0][0].transport.abortConnection()
    world.net.run(1)

    assert ends == [Failed(True, "connection_lost")]
    assert len(server.waiting) == 1


def test_late_answer_of_a_timed_out_call_reaches_nobody(world: World) -> None:
    """Goal: a connection whose call timed out is gone; the next call gets its own answer."""
    server, pool = Server(world), pool_for(world, connections=1)
    first = post(pool, b"first", timeout_ms=1_000)
    world.net.run(1.1)
    second = post(pool, b"second")
    world.net.run(0.1)
    server.answer(http_answer(b"late"))
    world.net.run(0.1)
    server.answer(http_answer(b"mine"))
    world.net.run(0.1)

    assert first == [Failed(True, "timeout")]
    assert second == [Answered(200, b"mine")]


def test_bytes_nobody_asked_for_close_the_connection(world: World) -> None:
    """Goal: two answers to one request: the second must not become another call's."""
    server, pool = Server(world), pool_for(world)
    first = post(pool, b"first")
    world.net.run(0.1)
    server.answer(http_answer(b"one") + http_answer(b"two"))
    world.net.run(0.1)
    second = post(pool, b"second")
    world.net.run(0.1)
    server.answer(http_answer(b"mine"))
    world.net.run(0.1)

    assert first == [Answered(200, b"one")]
    assert second == [Answered(200, b"mine")]
    assert world.net.connects == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_server_that_wants_to_close_is_obeyed(world: World, answer: bytes) -> None:
    """Goal: no request goes onto a connection that is about to close."""
    server, pool = Server(world), pool_for(world)
    ends = post(pool, b"x")
    world.net.run(0.1)
    server.answer(answer)
    world.net.run(0.1)
    post(pool, b"y")
    world.net.run(0.1)

    assert ends == [Answered(200, b"ok")]
    assert world.net.connects == 2


def test_stop_ends_all(world: World) -> None:
    """Goal: running calls are Unknown, waiting and connecting ones NotSent, nothing hangs."""
    Server(world)
    pool = pool_for(world, connections=1)
    running = post(pool, b"running")
    world.net.run(0.1)
    waiting = post(pool, b"waiting")
    pool.stop()
    after = post(pool, b"after")
    world.net.run(0.1)

    assert running == [Failed(True, "stopped")]
    assert waiting == after == [Failed(False, "stopped")]
    assert world.net.clock.getDelayedCalls() == []


def test_stop_while_connecting_is_not_sent(world: World) -> None:
    """Goal: a half-made connection carried nothing."""
    world.net.black_hole = True
    pool = pool_for(world)
    ends = post(pool, b"x")
    pool.stop()
    world.net.run(0.1)

    assert ends == [Failed(False, "stopped")]


def test_bytes_on_an_idle_connection_close_it(world: World) -> None:
    """Goal: a second answer that comes later finds no call to spoil."""
    server, pool = Server(world), pool_for(world)
    first = post(pool, b"first")
    world.net.run(0.1)
    held = server.waiting[0][0]
    server.answer(http_answer(b"one"))
    world.net.run(0.1)
    held.transport.write(http_answer(b"two"))
    world.net.run(0.1)
    second = post(pool, b"second")
    world.net.run(0.1)
    server.answer(http_answer(b"mine"))
    world.net.run(0.1)

    assert first == [Answered(200, b"one")]
    assert second == [Answered(200, b"mine")]
    assert world.net.connects == 2


def test_I13_call_whose_lease_is_gone_is_not_sent(world: World) -> None:
    """Goal: asked just before the first byte, after all waiting; the connection serves others."""
    server, pool = Server(world), pool_for(world, connections=1)
    post(pool, b"first")
    ends: list[Any] = []
    ours = [True]
    waiting = pool.post(b"x", timeout_ms=9_000, money=True, may_send=lambda: ours[0])
    waiting.addBoth(ends.append)
    world.net.run(0.1)
    ours[0] = False
    server.answer()
    world.net.run(0.1)
    post(pool, b"third")
    world.net.run(0.1)

    assert ends == [Failed(False, "lease_gone")]
    assert server.bodies() == [b"third"]
    assert world.net.connects == 1
