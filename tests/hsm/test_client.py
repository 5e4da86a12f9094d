"""The client in memory: the key service it offers, and what becomes of lost and late answers."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as RefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure

from hsm.client import HsmClient, HsmConfig, HsmConnection, plugin
from hsm.client.connection import SILENT_TIMEOUTS_MAX
from hsm.lmk import published_test_lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.testing import LocalKeyService, local_processor, wrap_test_key
from switch.model.secret import Secret
from switch.observe import metrics
from switch.ports import KeyServiceError
from switch.timeline import ReactorTimeline

KEY = "0123456789ABCDEFFEDCBA9876543210"
TMK = "CA5D92598DCA48CE8A4C76361A9269E9"
MAK = wrap_test_key("003", "C24A8FB57AA20123")
TEXT, MAC = b"4D08F434464FE7BF", b"8A9E91B8"

CONFIG = HsmConfig(
    addresses=("tcp:127.0.0.1:1500",),
    connections=2,
    timeout_ms=1_000,
    connect_timeout_ms=500,
    in_flight_limit=2,
    waiting_limit=2,
    reconnect_first_ms=100,
    reconnect_ceiling_ms=400,
    echo_interval_ms=60_000,
    header_length=4,
    lmk_id="00",
    dek=wrap_test_key("00B", KEY),
)


class Device(StringTransportWithDisconnection):
    """The other end of one connection: keeps requests until told to answer them."""

    def __init__(self, processor: Processor) -> None:
        super().__init__()
        self.processor = processor
        self.requests: list[bytes] = []
        self.prompt = True

    def abortConnection(self) -> None:
        self.loseConnection()

    def write(self, data: bytes) -> None:
        self.requests.append(data[2:])
        if self.prompt:
            self.answer()

    def answer(self) -> None:
        """Answer the oldest request."""
        self.say(self.processor.answer(self.requests.pop(0)).frame)

    def say(self, frame: bytes) -> None:
        """Any frame, asked for or not."""
        self.protocol.dataReceived(len(frame).to_bytes(2, "big") + frame)


class World:
    """A started client on a Clock; its connections end at devices, while ``open`` says so."""

    def __init__(self, entropy: Callable[[int], bytes], **changed: Any) -> None:
        self.clock = Clock()
        self.open = True
        self.tries = 0
        self.devices: list[Device] = []
        config = msgspec.structs.replace(CONFIG, **changed)
        policy = Policy(header_length=config.header_length)
        self.processor = Processor({"00": published_test_lmk()}, policy, entropy)
        timeline = ReactorTimeline(self.clock, self.clock.seconds, lambda: 1_700_000_000)
        self.client = HsmClient(
            "hsm",
            config,
            timeline,
            self.connect,
            random=lambda: 0.0,
            entropy=entropy,
        )
        self.client.start()

    def connect(self, address: Any, make: Callable[[], HsmConnection]) -> Deferred[Any]:
        """What connects in this world."""
        self.tries += 1
        if not self.open:
            return fail(Failure(RefusedError()))
        connection, device = make(), Device(self.processor)
        device.protocol = connection
        self.devices.append(device)
        connection.makeConnection(device)
        done: Deferred[Any] = Deferred()
        done.callback(connection)
        return done

    def hold(self, *held: bool) -> None:
        """Which devices keep their answers back."""
        for device, keeps in zip(self.devices, held, strict=True):
            device.prompt = not keeps

    def mac(self) -> Deferred[Any]:
        """Ask for the MAC of the known answer."""
        return begin(self.client.make_mac(MAK, TEXT))


def begin(what: Awaitable[Any]) -> Deferred[Any]:
    """Run a coroutine; its end is in the Deferred."""
    deferred = Deferred.fromCoroutine(what)  # type: ignore[arg-type]
    deferred.addErrback(lambda failure: failure.value)
    return deferred


def result(deferred: Deferred[Any]) -> Any:
    """What a Deferred that must have ended ended with, exceptions included."""
    seen: list[Any] = []
    deferred.addBoth(seen.append)
    assert seen, "not ended yet"
    return seen[0]


def failed_with(deferred: Deferred[Any], code: str) -> bool:
    """Whether it ended as this KeyServiceError."""
    ended = result(deferred)
    return isinstance(ended, KeyServiceError) and ended.code == code


def dropped(reason: str) -> float:
    """Answers dropped so far for this reason."""
    return metrics.HSM_ERRORS.labels("answer", reason)._value.get()


@pytest.fixture
def world(entropy: Any) -> World:
    """Two open connections to prompt devices."""
    return World(entropy)


# ---- the key service -----------------------------------------------------------------------------


@pytest.fixture(params=["pool", "local"])
def service(request: pytest.FixtureRequest, entropy: Any) -> Any:
    """The same service over the pool and in process."""
    if request.param == "pool":
        return World(entropy).client
    return LocalKeyService(local_processor(entropy), entropy)


def test_field_64(service: Any) -> None:
    """M6 and M8 of the published MAC; a wrong MAC, or none at all, is False."""
    assert result(begin(service.make_mac(MAK, TEXT))) == MAC
    assert result(begin(service.check_mac(MAK, TEXT, MAC))) is True
    for wrong in (b"8A9E91B9", b"8a9e91b8", b"", b"8A9E91B8B8", b"\xff" * 8):
        assert result(begin(service.check_mac(MAK, TEXT, wrong))) is False


def test_field_62(service: Any) -> None:
    """The public sign-on: PIK as X, MAK as Z, TMK as ZMK; check values by A6 and BU."""
    tmk = wrap_test_key("000", TMK)
    pik, pik_check = result(
        begin(service.import_key("001", tmk, "X6701EAD6A9AD51E51AA406E2C27FCFA9"))
    )
    mak, mak_check = result(begin(service.import_key("003", tmk, "B651F9E9BACE9AE1")))

    assert (pik, pik_check) == (wrap_test_key("001", "807A23AD32B36D457AE91FDF927570EA"), "8D0A74")
    assert (mak, mak_check) == (wrap_test_key("003", "5BB5C72CD00B7338"), "AB7153")
    assert result(begin(service.check_value("001", pik))).startswith("8D0A74B8")
    assert result(begin(service.check_value("003", mak))).startswith("AB7153CA")
    assert result(begin(service.check_value("402", wrap_test_key("402", KEY)))) == (
        "08D7B4FB629D0885"
    )


def test_pin_translation(service: Any) -> None:
    """CA from a pad's key to the illustration's PIK; a bad block is the HSM's code."""
    tpk = wrap_test_key("002", "1023456789ABCDEFFEDCBA9876543201")
    zpk = wrap_test_key("001", "1023456789ABCDEFFEDCBA9876543201")
    block, account = Secret("B35621D3FC600329"), Secret("123456789012")

    moved = result(begin(service.translate_pin(tpk, zpk, block, account)))
    assert moved.reveal() == block.reveal()
    refused = begin(service.translate_pin(tpk, zpk, Secret("0" * 16), account))
    assert failed_with(refused, "20") or failed_with(refused, "24")


@pytest.mark.parametrize("text", ["6225880123456789", "622588012345678", "", "患者", "x" * 247])
def test_the_vault_gives_back_what_it_took(service: Any, text: str) -> None:
    """Any length; twice the same text is two ciphertexts; no digit of it shows."""
    first = result(begin(service.protect(Secret(text))))
    second = result(begin(service.protect(Secret(text))))

    assert first != second
    assert first.startswith("v1:")
    assert not text or text not in first
    assert result(begin(service.reveal(first))).reveal() == text


@pytest.mark.parametrize(
    "text", ["", "v1:", "v2:00", "v1:xyz", "v1:" + "0" * 16, "v1:" + "0" * 32, "v1:" + "0" * 20]
)
def test_the_vault_knows_its_own(service: Any, text: str) -> None:
    """What it did not make is KeyServiceError, never a wrong card number."""
    assert isinstance(result(begin(service.reveal(text))), KeyServiceError)


def test_the_vault_refuses_a_long_text(service: Any) -> None:
    """Its length must fit a byte."""
    assert failed_with(begin(service.protect(Secret("x" * 248))), "80")


@pytest.mark.parametrize("key", ["", "U123", "K001", "nonsense"])
def test_I12_a_malformed_key_is_an_error_without_the_key(service: Any, key: str) -> None:
    """Of the port's own kind, and the text does not repeat what was given."""
    for call in (
        service.make_mac(key, TEXT),
        service.check_value("003", key),
        service.import_key("001", key, key),
    ):
        ended = result(begin(call))
        assert isinstance(ended, KeyServiceError)
        assert not key or key not in str(ended)


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
    world = World(entropy, connections=1, header_length=1, in_flight_limit=4)
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
    world.hold(True, False)
    call = world.mac()
    assert len(world.devices[0].requests) == 1
    world.clock.advance(1)
    assert result(call) == MAC
    world.hold(True, True)
    call = world.mac()
    world.clock.advance(1)
    world.clock.advance(1)

    assert failed_with(call, "timeout")


def test_a_lost_connection_fails_what_is_in_flight_over_to_another(world: World) -> None:
    """The command is repeated on the other connection at once."""
    world.hold(True, False)
    call = world.mac()
    world.devices[0].loseConnection()

    assert result(call) == MAC


def test_a_command_lost_twice_is_down(world: World) -> None:
    """Sent twice, lost twice: KeyServiceError down."""
    world.hold(True, True)
    call = world.mac()
    world.devices[0].loseConnection()
    world.devices[1].loseConnection()

    assert failed_with(call, "down")


def test_three_silent_timeouts_drop_the_line(entropy: Any) -> None:
    """A line that answers nothing is dead: dropped, and opened anew."""
    world = World(entropy, connections=1, in_flight_limit=8)
    world.devices[0].prompt = False
    calls = [world.mac() for _ in range(SILENT_TIMEOUTS_MAX)]
    world.clock.advance(1)
    assert all(failed_with(call, "timeout") for call in calls)
    assert not world.devices[0].connected
    world.clock.advance(0.1)

    assert result(world.mac()) == MAC


def test_a_line_full_of_overdue_commands_is_dropped(entropy: Any) -> None:
    """It answers others, but what it owes leaves no room: it could never be used again."""
    world = World(entropy, connections=1)
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
    """2 x 2 in flight, 2 waiting, the next is refused at once; an answer lets a waiter go."""
    world.hold(True, True)
    flying = [world.mac() for _ in range(4)]
    waiting = [world.mac() for _ in range(2)]
    assert failed_with(world.mac(), "down")
    world.hold(False, False)
    for device in world.devices:
        while device.requests:
            device.answer()

    assert [result(call) for call in flying + waiting] == [MAC] * 6


def test_who_waits_too_long_is_down(entropy: Any) -> None:
    """No connection within the time-out: down, which means: not sent."""
    world = World(entropy, connections=1, in_flight_limit=1)
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
    world = World(entropy, connections=1, reconnect_first_ms=125, reconnect_ceiling_ms=500)
    world.open = False
    world.devices[0].loseConnection()
    tries = []
    for step in range(12):
        world.clock.advance(0.125)
        if world.tries > len(tries) + 1:
            tries.append(step + 1)
    assert tries == [1, 3, 7, 11]
    assert world.client.health() == {"hsm tcp:127.0.0.1:1500": "ConnectionRefusedError"}
    assert not world.client.up
    call = world.mac()
    world.open = True
    world.clock.advance(0.5)

    assert result(call) == MAC
    assert world.client.health() == {"hsm tcp:127.0.0.1:1500": "up"}
    assert world.client.up


def test_a_quiet_line_is_asked_for_a_sign_of_life(entropy: Any) -> None:
    """NC after the interval; a line that stays silent three times is replaced."""
    world = World(entropy, connections=1, echo_interval_ms=2_000)
    device = world.devices[0]
    device.prompt = False
    world.clock.pump([0.5] * 4)
    assert device.requests[0][4:] == b"NC"
    world.clock.pump([0.5] * 12)

    assert not device.connected
    assert len(world.devices) == 2


def test_two_key_services_share_the_load(entropy: Any) -> None:
    """Least loaded first, over all addresses."""
    world = World(
        entropy, addresses=("tcp:127.0.0.1:1500", "unix:/run/yyt/hsm.sock"), connections=1
    )
    world.hold(True, True)
    calls = [world.mac() for _ in range(4)]
    assert [len(device.requests) for device in world.devices] == [2, 2]
    for device in world.devices:
        device.answer()
        device.answer()

    assert [result(call) for call in calls] == [MAC] * 4


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


def test_any_transport_can_join(entropy: Any) -> None:
    """A protocol taken from the client joins the pool when it gets a transport."""
    world = World(entropy)
    world.hold(True, True)
    joined = Device(world.processor)
    joined.protocol = world.client.protocol()
    for _ in range(2):
        world.mac()
    joined.protocol.makeConnection(joined)

    assert result(world.mac()) == MAC


# ---- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"addresses": ()}, "addresses"),
        ({"addresses": ("tcp:hsm.example:1500",)}, "IP address"),
        ({"connections": 0}, "connections"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"reconnect_ceiling_ms": 1}, "reconnect_ceiling_ms"),
        ({"header_length": 33}, "header_length"),
        ({"header_length": 1, "in_flight_limit": 5}, "in_flight_limit"),
        ({"lmk_id": "0"}, "lmk_id"),
        ({"dek": "Z0123456789ABCDEF"}, "dek"),
        ({"dek": "secret"}, "cryptogram"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    """At reading, with the name of the setting."""
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(msgspec.structs.asdict(CONFIG) | changed, HsmConfig)


def test_the_plugin_fits_the_bus() -> None:
    """Found by its entry point under its own name."""
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="yyt.hsm", name="payshield")

    assert entry.load() is plugin
    assert (plugin.name, plugin.api_version, plugin.config_schema) == ("payshield", 1, HsmConfig)
