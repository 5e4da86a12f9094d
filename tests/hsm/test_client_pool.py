"""The pool: what becomes of lost, late and refused commands, and of services that fail."""

from typing import Any

import pytest

from hsm import codec, layouts
from switch.ports import KeyServiceError
from tests.hsm.client_world import MAC, MAK, ONE, TWO, World, begin, dropped, failed_with, result


@pytest.fixture
def world(entropy: Any) -> World:
    """Two open connections to one service, prompt devices."""
    return World(entropy).start()


@pytest.fixture
def two(entropy: Any) -> World:
    """A connection to each of two services; silence is noticed after 200 ms."""
    return World(entropy, addresses=(ONE, TWO), connections=1, silence_ms=200).start()


# ---- answers and headers -------------------------------------------------------------------------


def test_answers_are_matched_by_header_in_any_order(world: World) -> None:
    """Two commands in flight on one connection, answered the other way round."""
    world.hold(True, True)
    calls = [world.mac(), world.mac(), begin(world.client.check_value("003", MAK)), world.mac()]
    assert sorted(len(device.requests) for device in world.devices) == [2, 2]
    for device in world.devices:
        device.requests.reverse()
        device.answer()
        device.answer()

    ends = [result(call) for call in calls]
    assert [ends[0], ends[1], ends[3]] == [MAC] * 3
    assert len(ends[2]) == 16


def test_a_timed_out_header_is_quarantined_and_its_late_answer_dropped(entropy: Any) -> None:
    """The header is not used again until the late answer came, and that answer reaches nobody."""
    world = World(entropy, connections=1, header_length=1, in_flight_limit=4).start()
    device = world.devices[0]
    device.prompt = False
    late = world.mac()
    request = device.requests.pop()
    world.clock.advance(1)
    assert failed_with(late, "timeout")
    device.prompt = True
    used = set()
    for _ in range(40):
        before = world.mac()
        assert result(before) == MAC
        device.prompt = False
        probe = world.mac()
        used.add(device.requests[0][:1])
        device.answer()
        assert result(probe) == MAC
        device.prompt = True
    assert request[:1] not in used
    count = dropped("late")
    device.say(world.processor.answer(request).frame)

    assert dropped("late") == count + 1


def test_an_unknown_header_is_counted_and_dropped(world: World) -> None:
    """Nobody asked: nothing happens."""
    count = dropped("unknown")
    world.devices[0].say(b"FFFFND00")

    assert dropped("unknown") == count + 1
    assert result(world.mac()) == MAC


def test_a_timed_out_command_is_tried_once_more_elsewhere(world: World) -> None:
    """The first device is silent, the second answers; no third try is ever made."""
    world.hold(True, True)
    call = world.mac()
    asked, other = world.asked()
    other.prompt = True
    assert len(asked.requests) == 1
    world.clock.advance(1)
    assert result(call) == MAC
    other.prompt = False
    call = world.mac()
    world.clock.advance(1)
    world.clock.advance(1)

    assert failed_with(call, "timeout")


def test_a_lost_connection_fails_what_is_in_flight_over_to_another(world: World) -> None:
    """The command is repeated on the other connection at once."""
    world.hold(True, True)
    call = world.mac()
    asked, other = world.asked()
    other.prompt = True
    asked.loseConnection()

    assert result(call) == MAC


def test_a_command_lost_twice_is_down(world: World) -> None:
    """Sent twice, lost twice: KeyServiceError down."""
    world.hold(True, True)
    call = world.mac()
    asked, other = world.asked()
    asked.loseConnection()
    other.loseConnection()

    assert failed_with(call, "down")


def test_a_line_full_of_overdue_commands_is_dropped(entropy: Any) -> None:
    """It answers others, but what it owes leaves no room: it could never be used again."""
    world = World(entropy, connections=1).start()
    device = world.devices[0]
    device.prompt = False
    for _ in range(2):
        call = world.mac()
        world.clock.advance(1)
        assert failed_with(call, "timeout")

    assert not device.connected


def test_a_frame_that_is_no_answer_is_an_error(world: World) -> None:
    """The right header with something else behind it: 15, not a MAC."""
    world.hold(True, True)
    for body in (b"", b"ND", b"M700", b"M700XYZ", b"M7001234567890", b"M7\xff\xff"):
        call = world.mac()
        device = next(device for device in world.devices if device.requests)
        device.say(device.requests.pop()[:4] + body)

        assert failed_with(call, "15")


# ---- limits --------------------------------------------------------------------------------------


def test_I11_in_flight_and_waiting_are_bounded(world: World) -> None:
    """2 x 2 in flight, 2 waiting, the next is busy at once; an answer lets a waiter go."""
    world.hold(True, True)
    flying = [world.mac() for _ in range(4)]
    waiting = [world.mac() for _ in range(2)]
    assert failed_with(world.mac(), "busy")
    world.hold(False, False)
    for device in world.devices:
        while device.requests:
            device.answer()

    assert [result(call) for call in flying + waiting] == [MAC] * 6


def test_who_waits_too_long_is_down(entropy: Any) -> None:
    """No connection within the time-out: down, which means: not sent."""
    world = World(entropy, connections=1, in_flight_limit=1).start()
    world.devices[0].prompt = False
    flying = world.mac()
    world.clock.advance(0.5)
    waiting = world.mac()
    world.open = False
    world.clock.advance(0.5)
    assert failed_with(flying, "timeout")
    world.clock.advance(0.5)

    assert failed_with(waiting, "down")


# ---- connections ---------------------------------------------------------------------------------


def test_it_reconnects_with_growing_waits_and_serves_who_waited(entropy: Any) -> None:
    """Down: tries at +125, +250, +500, +500 ms (no jitter here); up again: the waiter is served."""
    world = World(entropy, connections=1, reconnect_first_ms=125, reconnect_ceiling_ms=500).start()
    world.open = False
    world.devices[0].loseConnection()
    tries = []
    for step in range(12):
        world.clock.advance(0.125)
        if world.tries > len(tries) + 1:
            tries.append(step + 1)
    assert tries == [1, 3, 7, 11]
    assert world.health() == {ONE: "ConnectionRefusedError"}
    assert not world.client.up
    call = world.mac()
    world.open = True
    world.clock.advance(0.5)

    assert result(call) == MAC
    assert world.health() == {ONE: "up"}
    assert world.client.up


def test_stopping_ends_everything(world: World) -> None:
    """In flight and waiting fail as down, no timer is left, nothing reconnects."""
    world.hold(True, True)
    calls = [world.mac() for _ in range(5)]
    stopped = begin(world.client.stop())

    assert result(stopped) is None
    assert all(failed_with(call, "down") for call in calls)
    assert world.clock.getDelayedCalls() == []
    assert failed_with(world.mac(), "down")
    assert world.tries == 2


# ---- two services --------------------------------------------------------------------------------


def generate(world: World) -> Any:
    """A0, which is never repeated."""
    values = {"mode": "0", "key_type": "001", "scheme_lmk": "U"}
    body = codec.build_request(layouts.A0, values)
    return begin(world.client._pool.exchange("A0", body, idempotent=False))


def test_two_key_services_share_the_load(two: World) -> None:
    """Least loaded first; where there is no load, in turn."""
    two.hold(True, True)
    calls = [two.mac() for _ in range(4)]
    assert [len(device.requests) for device in two.devices] == [2, 2]
    for device in two.devices:
        device.answer()
        device.answer()
    assert [result(call) for call in calls] == [MAC] * 4
    asked = []
    for _ in range(4):
        call = two.mac()
        device, _ = two.asked()
        asked.append(device.address)
        device.answer()
        assert result(call) == MAC

    assert sorted(asked) == [ONE, ONE, TWO, TWO]


def test_a_silent_service_is_noticed_and_left_within_a_second(two: World) -> None:
    """It takes commands and answers nothing: an echo, then its commands go to the other one, long
    before their own time-out; new ones never see it."""
    two.silent.add(ONE)
    two.hold(True, False)
    calls = [two.mac() for _ in range(2)]
    two.clock.pump([0.1] * 4)
    assert [request[4:6] for request in two.devices[0].requests] == [b"M6", b"NC"]
    two.clock.pump([0.1])

    assert [result(call) for call in calls] == [MAC, MAC]
    assert two.health() == {ONE: "silent", TWO: "up"}
    for _ in range(20):
        assert result(two.mac()) == MAC


def test_a_doubtful_service_gets_no_new_commands(two: World) -> None:
    """Between the echo and its end, commands go elsewhere, whatever the load."""
    two.hold(True, True)
    two.mac()
    device, other = two.asked()
    other.prompt = True
    two.clock.pump([0.1] * 2)
    assert device.requests[-1][4:6] == b"NC"
    held = len(device.requests)
    for _ in range(10):
        assert result(two.mac()) == MAC

    assert len(device.requests) == held


def test_an_answered_echo_ends_the_doubt(two: World) -> None:
    """A slow command alone drops no line: the service shows that it lives."""
    two.hold(True, True)
    slow = two.mac()
    device, _ = two.asked()
    two.clock.pump([0.1] * 2)
    device.say(two.processor.answer(device.requests.pop()).frame)
    two.clock.pump([0.1] * 2)
    device.answer()

    assert result(slow) == MAC
    assert set(two.health().values()) == {"up"}


def test_an_idle_dead_service_is_noticed_by_its_echo(entropy: Any) -> None:
    """Nothing asked of it for the echo interval, no sign of life within the silence."""
    world = World(
        entropy, addresses=(ONE, TWO), connections=1, silence_ms=200, echo_interval_ms=2_000
    ).start()
    world.devices[0].prompt = False
    world.silent.add(ONE)
    world.clock.pump([0.1] * 20)
    assert world.devices[0].requests[0][4:6] == b"NC"
    assert world.health()[ONE] == "up"
    world.clock.pump([0.1] * 2)

    assert world.health() == {ONE: "silent", TWO: "up"}


def test_a_service_that_came_back_is_probed_by_one_connection(entropy: Any) -> None:
    """Half open: one connection is examined; the others follow when it passed."""
    world = World(
        entropy, addresses=(ONE, TWO), connections=3, silence_ms=200, reconnect_ceiling_ms=100
    ).start()
    assert [device.address for device in world.devices].count(ONE) == 3
    world.silent.add(ONE)
    for device in [device for device in world.devices if device.address == ONE]:
        device.loseConnection()
    assert world.health()[ONE] == "connection lost"
    before = len(world.devices)
    world.clock.pump([0.1] * 4)
    assert [device.address for device in world.devices[before:]] == [ONE]
    world.clock.pump([0.1] * 2)
    assert world.health()[ONE] == "silent"
    before = len(world.devices)
    world.silent.clear()
    world.clock.pump([0.1] * 3)

    assert [device.address for device in world.devices[before:]] == [ONE] * 3
    assert world.health()[ONE] == "up"


@pytest.mark.parametrize(
    ("code", "reason"), [(b"13", "locked"), (b"41", "41 hardware or software fault")]
)
def test_a_service_that_does_nothing_is_taken_out_of_rotation(
    two: World, code: bytes, reason: str
) -> None:
    """Locked, or failing: its commands are done by the other one, and it is tried again."""
    two.error[ONE] = code
    calls = [two.mac() for _ in range(4)]
    assert [result(call) for call in calls] == [MAC] * 4
    assert two.health() == {ONE: reason, TWO: "up"}
    two.clock.pump([0.1] * 3)
    assert two.health()[ONE] == reason
    two.error.clear()
    two.clock.pump([0.1] * 5)

    assert two.health() == {ONE: "up", TWO: "up"}
    assert len(two.devices) == 2, "the line was kept"


def test_one_command_that_a_sound_service_refuses_takes_nothing_out(two: World) -> None:
    """13 for one key's LMK: tried on both, told as locked, and both stay in rotation."""
    two.hold(True, True)
    call = two.mac()
    for device in two.asked():
        header = device.requests.pop()[:4]
        device.prompt = True
        device.say(header + b"M713")

    assert failed_with(call, "locked")
    assert two.health() == {ONE: "up", TWO: "up"}


def test_everything_locked_is_said_at_once(two: World) -> None:
    """No waiting for what cannot come; a service that is unlocked is found by the probe."""
    two.error = {ONE: b"13", TWO: b"13"}
    assert failed_with(two.mac(), "locked")
    assert failed_with(two.mac(), "locked")
    assert not two.client.up
    two.error.clear()
    two.clock.pump([0.1] * 5)

    assert result(two.mac()) == MAC


def test_a0_is_never_repeated(two: World) -> None:
    """Lost, silent or refused: the caller is told, and no second key is made."""
    two.hold(True, True)
    lost = generate(two)
    two.asked()[0].loseConnection()
    assert failed_with(lost, "down")
    two.clock.pump([0.1] * 2)
    for device in two.devices:
        device.prompt = False
    silent = generate(two)
    two.clock.pump([0.1] * 6)
    assert failed_with(silent, "timeout")
    two.clock.pump([0.1] * 5)
    two.error = {ONE: b"13", TWO: b"13"}

    assert failed_with(generate(two), "locked")


def test_a_service_with_another_lmk_is_refused_and_named(entropy: Any) -> None:
    """Half of the payments would fail on it: it never gets a command."""
    world = World(entropy, addresses=(ONE, TWO), connections=1)
    world.check_values[TWO] = b"0123456789ABCDEF"
    world.start()
    for _ in range(10):
        assert result(world.mac()) == MAC

    own = world.processor.answer(b"0000NC").frame[8:24].decode()
    assert world.health() == {ONE: "up", TWO: f"another LMK: 0123456789ABCDEF, not {own}"}


def test_the_configured_lmk_is_the_one(entropy: Any) -> None:
    """Whoever answers first: a configured check value decides."""
    world = World(entropy, addresses=(ONE, TWO), connections=1, lmk_check_value="0123456789ABCDEF")
    world.check_values[TWO] = b"0123456789ABCDEF"
    world.start()

    assert world.health()[ONE].startswith("another LMK: ")
    assert world.health()[TWO] == "up"


def test_why_it_could_not_be_done_is_said(entropy: Any) -> None:
    """The error names every service and what is the matter with it."""
    world = World(entropy, addresses=(ONE, TWO), connections=1, timeout_ms=300)
    world.error[TWO] = b"13"
    world.open = False
    world.start()
    call = world.mac()
    world.clock.pump([0.05] * 8)
    ended = result(call)

    assert isinstance(ended, KeyServiceError)
    assert ended.code == "down"
    assert ONE in ended.text
    assert "ConnectionRefusedError" in ended.text


@pytest.mark.parametrize("life", [b"ND68", b"ND00", b"XX00", b""])
def test_who_gives_no_sound_sign_of_life_stays_out(entropy: Any, life: bytes) -> None:
    """NC is refused, cut short, or something else altogether."""
    world = World(entropy, connections=1)
    world.silent.add(ONE)
    world.start()
    device = world.devices[0]
    device.say(device.requests.pop()[:4] + life)
    if device.requests:
        device.answer()

    assert world.health()[ONE].startswith("NC: ")
    assert not device.connected


def test_who_connects_and_says_nothing_is_dropped(entropy: Any) -> None:
    """The examination has the connect time-out, and so has a TLS handshake that never ends."""
    world = World(entropy, connections=1, connect_timeout_ms=300, silence_ms=200)
    world.silent.add(ONE)
    world.start()
    world.clock.pump([0.1] * 3)

    assert not world.devices[0].connected
    assert world.health() == {ONE: "silent"}
