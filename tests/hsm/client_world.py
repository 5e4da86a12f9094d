"""A client in memory, on a Clock, whose connections end at devices that a test holds in hand."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as RefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure

from hsm.client import HsmClient, HsmConfig, HsmConnection
from hsm.commands import Service
from hsm.lmk import published_test_lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots
from hsm.testing import wrap_test_key
from switch.observe import metrics
from switch.ports import KeyServiceError
from switch.timeline import ReactorTimeline

KEY = "0123456789ABCDEFFEDCBA9876543210"
MAK = wrap_test_key("003", "C24A8FB57AA20123")
TEXT, MAC = b"4D08F434464FE7BF", b"8A9E91B8"
ONE, TWO = "tcp:127.0.0.1:1500", "unix:/run/yyt/hsm.sock"

CONFIG = HsmConfig(
    addresses=(ONE,),
    connections=2,
    timeout_ms=1_000,
    connect_timeout_ms=500,
    in_flight_limit=2,
    waiting_limit=2,
    reconnect_first_ms=100,
    reconnect_ceiling_ms=400,
    echo_interval_ms=60_000,
    silence_ms=60_000,
    header_length=4,
    lmk_id="00",
    dek=wrap_test_key("00B", KEY),
)


class Device(StringTransportWithDisconnection):
    """The other end of one connection: keeps requests until told to answer them."""

    def __init__(self, world: "World", address: str) -> None:
        super().__init__()
        self.world = world
        self.address = address
        self.requests: list[bytes] = []
        self.prompt = address not in world.silent

    def abortConnection(self) -> None:
        self.loseConnection()

    def write(self, data: bytes) -> None:
        self.requests.append(data[2:])
        if self.prompt:
            self.answer()

    def answer(self) -> None:
        """Answer the oldest request."""
        self.say(self.world.answer(self.address, self.requests.pop(0)))

    def say(self, frame: bytes) -> None:
        """Any frame, asked for or not."""
        self.protocol.dataReceived(len(frame).to_bytes(2, "big") + frame)


class World:
    """A started client; each address answers as the processor does, or as the test says."""

    def __init__(self, entropy: Callable[[int], bytes], **changed: Any) -> None:
        self.clock = Clock()
        self.open = True
        self.tries = 0
        self.devices: list[Device] = []
        self.silent: set[str] = set()
        """Addresses whose new connections answer nothing."""
        self.error: dict[str, bytes] = {}
        """Address → the error it answers to every command but NC."""
        self.check_values: dict[str, bytes] = {}
        """Address → the LMK check value it shows instead of its own."""
        config = msgspec.structs.replace(CONFIG, **changed)
        self.header_length = config.header_length
        policy = Policy(test=True, header_length=config.header_length)
        slots = Slots({"00": published_test_lmk()})
        self.processor = Processor(Service(slots, policy, entropy))
        timeline = ReactorTimeline(self.clock, self.clock.seconds, lambda: 1_700_000_000)
        self.client = HsmClient(
            "hsm",
            config,
            timeline,
            self.connect,
            random=lambda: 0.0,
            entropy=entropy,
        )

    def start(self) -> "World":
        """Start the client."""
        self.client.start()
        return self

    def connect(self, address: Any, make: Callable[[], HsmConnection]) -> Deferred[Any]:
        """What connects in this world."""
        self.tries += 1
        if not self.open:
            return fail(Failure(RefusedError()))
        connection, device = make(), Device(self, str(address))
        device.protocol = connection
        self.devices.append(device)
        connection.makeConnection(device)
        done: Deferred[Any] = Deferred()
        done.callback(connection)
        return done

    def answer(self, address: str, request: bytes) -> bytes:
        """What the key service at this address answers."""
        header, command = request[: self.header_length], request[self.header_length :][:2]
        answer: bytes = self.processor.answer(request).frame
        if command == b"NC":
            shown = self.check_values.get(address, b"")
            at = len(header) + 4
            return answer[:at] + shown + answer[at + len(shown) :]
        if address in self.error:
            return header + bytes((command[0], command[1] + 1)) + self.error[address]
        return answer

    def hold(self, *held: bool) -> None:
        """Which devices keep their answers back."""
        for device, keeps in zip(self.devices, held, strict=True):
            device.prompt = not keeps

    def asked(self) -> list[Device]:
        """The device that holds a request, before the other."""
        return sorted(self.devices, key=lambda device: not device.requests)

    def mac(self) -> Deferred[Any]:
        """Ask for the MAC of the known answer."""
        return begin(self.client.make_mac(MAK, TEXT))

    def health(self) -> dict[str, str]:
        """As the client tells it, without its name."""
        return {name.partition(" ")[2]: state for name, state in self.client.health().items()}


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
    value: float = metrics.HSM_ERRORS.labels("answer", reason)._value.get()
    return value
