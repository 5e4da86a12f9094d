"""The small parts behind the kiosk's link: what goes first, what is kept, what is remembered."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from terminal_agent import protocol
from terminal_agent.config import AgentConfig, ConfigError, load
from terminal_agent.device_watch import DeviceWatch
from terminal_agent.journal import Journal, PaymentOrder
from terminal_agent.link import Lost
from terminal_agent.lock import TEXT, Lock
from terminal_agent.logs import LINE_CHARACTERS_MAX, Ring
from terminal_agent.orders import DONE_MAX, DoneCommands, Orders, Result
from terminal_agent.outbox import CARD_RESULTS, OPEN_PAYMENTS, WAITING_STARTS, Outbox
from terminal_agent.payments import Payments
from terminal_agent.settings import Settings, laid_over
from tests.kiosk.rig import Kiosk
from tests.kiosk.test_kiosk_payments import TIMES


class SlowLink:
    """Notes what is sent, and answers nothing by itself."""

    def __init__(self, *, up: bool = True) -> None:
        self.up = up
        self.sent: list[tuple[str, str, Any]] = []
        self.answers: list[Deferred[protocol.Envelope]] = []

    async def request(
        self, name: str, body: Any, *, idem: str = "", timeout_ms: int = 0
    ) -> protocol.Envelope:
        if not self.up:
            raise Lost(sent=False)
        self.sent.append((name, idem, body))
        answer: Deferred[protocol.Envelope] = Deferred()
        self.answers.append(answer)
        return await answer

    def names(self) -> list[str]:
        """What was sent, in order."""
        return [name for name, _, _ in self.sent]


def event(name: str, body: object) -> protocol.Envelope:
    """An event as it comes from the switch."""
    return protocol.decode_told(
        protocol.encode(
            protocol.Outgoing(
                v=2, id="-", type="event", name=name, ts=0, terminal="K1", idem="", body=body
            )
        )
    )


# ---- the outbox ----------------------------------------------------------------------------------


def test_card_results_first_then_questions_then_new_payments(tmp_path: Path) -> None:
    """However the parts were added, and whatever waits longest."""
    clock, link = Clock(), SlowLink(up=False)
    journal = Journal(tmp_path / "journal.db", "K1")
    order = PaymentOrder(business="outpatient_bill", amount_fen=100, patient="P1")
    asked, waiting = journal.create([order, order], "20260301", 0)
    payments = Payments(
        clock, journal, TIMES, now_ms=lambda: int(clock.seconds() * 1000), on_news=lambda _: None
    )
    fake: Any = link
    payments.link = fake
    outbox = Outbox()
    outbox.add(WAITING_STARTS, payments.send_waiting)
    outbox.add(OPEN_PAYMENTS, payments.ask_open)
    result = protocol.CardFinished(result="confirmed")

    def card_results() -> None:
        Deferred.fromCoroutine(link.request(protocol.CARD_FINISHED, result, idem="K1-0"))

    outbox.add(CARD_RESULTS, card_results)
    body = protocol.PaymentStart(business="outpatient_bill", amount_fen=100, patient="P1")
    Deferred.fromCoroutine(payments.pay(waiting, body))
    assert link.sent == []

    link.up = True
    outbox.link_came_up()

    assert [(name, idem) for name, idem, _ in link.sent] == [
        (protocol.CARD_FINISHED, "K1-0"),
        (protocol.PAYMENT_QUERY, asked),
        (protocol.PAYMENT_START, waiting),
    ]
    journal.close()


# ---- lock ----------------------------------------------------------------------------------------


def test_a_lock_is_kept_and_told(tmp_path: Path) -> None:
    """Over restarts; without words it has its own; a broken file locks; a hold ends with the
    process."""
    told: list[str | None] = []
    lock = Lock(tmp_path / "a" / "lock.json")
    lock.watch(lambda: told.append(lock.locked))
    assert lock.locked is None
    lock.lock("维护")
    assert Lock(tmp_path / "a" / "lock.json").locked == "维护"
    lock.lock()
    lock.unlock()
    assert told == ["维护", TEXT, None]
    lock.hold("重启")
    assert lock.locked == "重启"
    assert Lock(tmp_path / "a" / "lock.json").locked is None
    (tmp_path / "a" / "lock.json").write_text("{")
    broken = Lock(tmp_path / "a" / "lock.json")
    assert broken.locked == TEXT
    broken.unlock()
    assert Lock(tmp_path / "a" / "lock.json").locked is None


# ---- settings ------------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> AgentConfig:
    """A kiosk's own file."""
    return load(Kiosk(tmp_path, tmp_path, 1).config)


def push(version: int, **settings: str) -> protocol.SettingsPush:
    """A push; ``__`` for the dots."""
    dotted = {path.replace("__", "."): value for path, value in settings.items()}
    return protocol.SettingsPush(version=version, settings=dotted)


def test_settings_go_up_in_versions(tmp_path: Path, base: AgentConfig) -> None:
    """Newer is kept and in force from the next start; equal is what it is; older is refused."""
    path = tmp_path / "settings.json"
    running = Settings(path, base)
    first = push(3, payment__patient_wait_ms="70000", receipt__hospital_name="123")

    assert running.push(first).ok
    assert (running.version, running.config) == (0, base)
    assert running.push(first).ok
    assert not running.push(push(3, payment__patient_wait_ms="80000")).ok
    assert not running.push(push(2, payment__patient_wait_ms="80000")).ok
    started = Settings(path, base)
    assert started.version == 3
    assert started.config.payment.patient_wait_ms == 70_000
    assert started.config.receipt.hospital_name == "123"
    assert started.config.switch == base.switch
    assert started.push(push(4, devices__timeout_ms="9000")).ok
    assert Settings(path, base).config.payment == base.payment


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"version":"1","settings":{}}',
        b'{"version":1,"settings":{}}',
        b'{"version":1,"settings":{"switch.url":"wss://x/kiosk"}}',
        b'{"version":1,"settings":{"payment.patient_wait_ms":"1"}}',
    ],
)
def test_settings_that_cannot_be_used_are_left_aside(
    tmp_path: Path, base: AgentConfig, content: bytes
) -> None:
    """The kiosk starts by its own file, says version 0, and takes the next push."""
    path = tmp_path / "settings.json"
    path.write_bytes(content)

    left = Settings(path, base)

    assert (left.version, left.config) == (0, base)
    assert left.push(push(1, devices__timeout_ms="9000")).ok


def test_settings_are_checked_by_the_schema_too(
    base: AgentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of the table alone opens nothing that the configuration does not have."""
    from terminal_agent.protocol.settings import Number

    any_number = Number(least=1, most=9)
    monkeypatch.setitem(protocol.PUSHABLE, "nowhere.timeout_ms", any_number)
    monkeypatch.setitem(protocol.PUSHABLE, "payment.nothing", any_number)
    for path in ("nowhere.timeout_ms", "payment.nothing"):
        with pytest.raises(ConfigError):
            laid_over(base, {path: "5"})


# ---- commands ------------------------------------------------------------------------------------


class Shop:
    """Orders with everything around them."""

    def __init__(self, folder: Path, base: AgentConfig) -> None:
        self.link, self.idle, self.restarts = SlowLink(), True, 0
        self.lock = Lock(folder / "lock.json")
        self.orders = Orders(
            settings=Settings(folder / "settings.json", base),
            lock=self.lock,
            done=DoneCommands(folder / "commands.json"),
            is_idle=lambda: self.idle,
            log_tail=lambda: "a line",
            restart=self.restart,
        )
        link: Any = self.link
        self.orders.link = link

    def restart(self) -> None:
        self.restarts += 1

    def command(self, command: str, do: str) -> protocol.CommandDone:
        """Say a command; what the kiosk answers."""
        self.orders.commanded(event(protocol.COMMAND, protocol.Command(command=command, do=do)))
        name, _, body = self.link.sent[-1]
        assert name == protocol.COMMAND_DONE
        assert isinstance(body, protocol.CommandDone)
        return body


def test_a_command_is_done_once_over_restarts_too(tmp_path: Path, base: AgentConfig) -> None:
    """The switch repeats what it has no answer to; the kiosk repeats the answer, not the deed."""
    shop = Shop(tmp_path, base)
    assert shop.command("c1", "lock").ok
    shop.lock.unlock()
    assert shop.command("c1", "lock").ok
    assert shop.lock.locked is None
    assert shop.command("c2", "restart").ok
    assert shop.lock.locked is not None  # nobody new between the answer and the end
    assert shop.restarts == 0
    shop.link.answers[-1].errback(Lost(sent=True))
    assert shop.restarts == 1

    again = Shop(tmp_path, base)
    assert again.command("c2", "restart").ok
    again.link.answers[-1].errback(Lost(sent=True))
    assert (again.restarts, again.lock.locked) == (0, None)
    assert again.command("c3", "logs").log == "a line"
    assert again.command("c3", "logs").log == "a line"


def test_a_refused_restart_stays_refused(tmp_path: Path, base: AgentConfig) -> None:
    """Said again when the kiosk is idle: that order was answered; a new one is needed."""
    shop = Shop(tmp_path, base)
    shop.idle = False
    assert not shop.command("c1", "restart").ok
    shop.idle = True
    assert not shop.command("c1", "restart").ok
    assert shop.restarts == 0


def test_a_full_disk_is_an_answer(
    tmp_path: Path, base: AgentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be kept was not done."""
    from terminal_agent import durable

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    shop = Shop(tmp_path, base)
    monkeypatch.setattr(durable, "write", full)

    done = shop.command("c1", "restart")
    shop.orders.pushed(event(protocol.SETTINGS_PUSH, push(1, devices__timeout_ms="9000")))

    assert (done.ok, "No space left" in done.text) == (False, True)
    assert not shop.link.sent[-1][2].ok
    shop.link.answers[0].errback(Lost(sent=True))
    assert shop.restarts == 0


def test_I11_done_commands_are_bounded(tmp_path: Path) -> None:
    """The last ones are remembered; a broken file is begun anew."""
    path = tmp_path / "commands.json"
    done = DoneCommands(path)
    for number in range(DONE_MAX + 1):
        done.keep(Result(command=f"c{number}", ok=True))

    again = DoneCommands(path)
    assert again.get("c0") is None
    assert again.get(f"c{DONE_MAX}") == Result(command=f"c{DONE_MAX}", ok=True)
    path.write_text("{")
    assert DoneCommands(path).get("c1") is None


# ---- device states -------------------------------------------------------------------------------


def test_device_states_are_told_once_a_second_at_most() -> None:
    """Many changes in a second are one message; what was not taken is said again; what Boot or a
    Heartbeat said is not said again; odd words are made fit for the wire."""
    clock, link = Clock(), SlowLink()
    states = {"printer": "online"}
    watch = DeviceWatch(clock, lambda: states)
    fake: Any = link
    watch.link = fake
    watch.start()
    assert watch.states() == {"printer": "online"}
    clock.pump([0.1] * 20)
    assert link.sent == []
    for state in ("paperOut", "online", "paper low!"):
        states["printer"] = state
    clock.pump([0.1] * 30)
    assert [body.devices for _, _, body in link.sent] == [{"printer": "paper_low_"}]
    link.answers[0].errback(Lost(sent=True))
    clock.advance(1)
    assert len(link.sent) == 2
    link.answers[1].callback(event("x", {}))
    clock.pump([0.5] * 6)
    assert len(link.sent) == 2
    link.up = False
    states["printer"] = ""
    clock.advance(1)
    link.up = True
    assert watch.states() == {"printer": "unknown"}
    clock.advance(1)
    assert len(link.sent) == 2
    watch.stop()
    assert clock.getDelayedCalls() == []


# ---- the log -------------------------------------------------------------------------------------


def test_I11_I12_the_ring_of_log_lines(tmp_path: Path) -> None:
    """Bounded in characters and, inside the message, in bytes; without what an exception or a
    library says in its own words."""
    ring = Ring()
    raised = {
        "exc_type": "ValueError",
        "exc_value": "王小明 6225880000000001",
        "frames": [{"filename": "flow.py", "lineno": 7, "name": "pay"}],
    }
    ring.add({"event": "failed", "exception": [raised], "text": "Traceback 王小明", "ts": "t"})
    ring.add({"event": "x", "ts": "t", "long": "y" * LINE_CHARACTERS_MAX})
    first, second = ring.tail(10_000).splitlines()
    assert msgspec.json.decode(first) == {
        "event": "failed",
        "ts": "t",
        "exception": [{"exc_type": "ValueError", "frames": ["flow.py:7"]}],
    }
    assert msgspec.json.decode(second) == {"event": "x", "ts": "t", "cut": True}

    for number in range(2_000):
        ring.add({"event": "终端" * 20, "n": number})
    assert len(ring.tail(10**9)) <= protocol.LOG_CHARS_MAX
    sent = protocol.encode(
        protocol.Outgoing(
            v=2,
            id="1",
            type="req",
            name=protocol.COMMAND_DONE,
            ts=0,
            terminal="K1",
            body=protocol.CommandDone(command="c", ok=True, log=ring.tail(64_512)),
        )
    )
    assert 60_000 < len(sent.encode()) < protocol.MESSAGE_BYTES_MAX
    assert '\\"n\\":1999' in sent
    assert ring.tail(3) == ""


def test_fields_that_a_newer_switch_adds_are_tolerated() -> None:
    """In the envelope of answers and events too; a request's envelope stays strict."""
    text = (
        '{"v":9,"id":"-","type":"event","name":"X","ts":0,"terminal":"K1",'
        '"tomorrow":{"a":1},"body":{"b":2}}'
    )

    assert protocol.decode_told(text).name == "X"
    with pytest.raises(protocol.ProtocolError):
        protocol.decode_envelope(text)
