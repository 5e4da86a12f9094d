"""The driver ``pcsc`` with a real pcscd: payments, T=0 and T=1, and cards that are pulled."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from switch.cli import main
from terminal_agent.chip_payment import ChipTerminal, PinRules, Question
from terminal_agent.devices.interfaces import CardData, Completion, DeviceError
from terminal_agent.devices.pcsc_card import CardGoneError, PcscCard, open_reader
from terminal_agent.devices.pcsc_reader import PcscReader
from terminal_agent.devices.virtual_card import PRESETS, Habits, VirtualCard
from terminal_agent.devices.virtual_issuer import VirtualIssuer
from terminal_agent.devices.vpcd_card import VpcdCard
from terminal_agent.emv.actions import End, EndKind, OnlineNeeded
from terminal_agent.emv.apdu import Style
from terminal_agent.protocol import Pan, PinBlock
from tests.emv.parts import CUP, PAYMENT, TERMINAL
from tests.kiosk.rig import Kiosk
from tests.pcsc.daemon import Pcscd
from tests.pcsc.stage import OPTIONS, Stage, play

pytestmark = pytest.mark.pcsc

REMOVED = "CardReader.MediaRemovedEvent"
T1_ATR = bytes.fromhex("3B800181")
SELECT_PSE = bytes.fromhex("00A404000E315041592E5359532E444446303100")
WAIT_MS = 20_000
NOT_READY = Completion.DEVICE_NOT_READY
RULES = PinRules(digits_min=4, digits_max=12, timeout_ms=WAIT_MS)


class Pad:
    """A pad whose holder types at once, or never."""

    def __init__(self, types: bool = True) -> None:
        self._types = types
        self._wanted: Deferred[int] = Deferred()
        self.asked: Deferred[None] = Deferred()

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None
    ) -> int:
        """Six digits."""
        self.asked.callback(None)
        return 6 if self._types else await self._wanted

    async def get_pin_block(self, pan: Pan) -> PinBlock:
        """Any block."""
        return PinBlock("0123456789ABCDEF")

    def cancel(self) -> None:
        """The one who waits is told."""
        self._wanted.errback(DeviceError(Completion.CANCELED, "canceled"))


def virtual(
    preset: str = "debit",
    *,
    t1: bool = False,
    habits: Habits | None = None,
    wait: Callable[[int], None] = lambda _: None,
) -> VirtualCard:
    """A card; ``t1``: its ATR offers T=1 alone."""
    card = VirtualCard(PRESETS[preset], habits, wait)
    if t1:
        card.atr = T1_ATR
    return card


async def asked(reader: PcscReader, pad: Pad | None = None) -> tuple[ChipTerminal, Question | End]:
    """The first half of a payment."""
    terminal = ChipTerminal(reader, pad or Pad(), RULES)
    return terminal, await terminal.ask(CUP, TERMINAL, PAYMENT, card_timeout_ms=WAIT_MS)


def online_of(card: CardData) -> OnlineNeeded:
    """The question as the kernel's virtual issuer takes it."""
    assert card.chip is not None
    return OnlineNeeded(
        field55=card.chip,
        pan=card.pan,
        track2=card.track2,
        expiry=card.expiry,
        card_sequence=card.card_sequence,
        pin_entered=True,
    )


async def pay(reader: PcscReader, preset: str = "debit") -> End:
    """A whole payment, with the card's true issuer."""
    terminal, question = await asked(reader)
    assert isinstance(question, Question)
    assert question.pin_block is not None
    return await terminal.finish(VirtualIssuer(PRESETS[preset]).host(online_of(question.card)))


async def refused(command: Awaitable[object]) -> DeviceError:
    """The error it ends with."""
    with pytest.raises(DeviceError) as caught:
        await command
    return caught.value


@pytest.mark.parametrize(
    ("preset", "t1", "style"),
    [
        ("debit", False, Style.T0),
        ("debit", True, Style.T1),
        ("t0", False, Style.T0),
        ("t0", True, Style.T1),
    ],
)
def test_a_whole_payment(pcscd: Pcscd, preset: str, t1: bool, style: Style) -> None:
    """From the inserted card to its certificate, issuer authenticated; over T=0 and over T=1, by a
    card that answers whole and by one that answers 61xx and 6Cxx."""

    async def scenario(stage: Stage) -> None:
        reader = stage.reader()
        with VpcdCard(virtual(preset, t1=t1)) as card:
            end = await pay(reader, preset)
            assert (end.kind, end.reasons) == (EndKind.APPROVED, ())
            assert reader.style is style
            assert card.heard >= 10

    play(scenario)


def test_the_account_is_read_without_a_payment(pcscd: Pcscd) -> None:
    """Number, expiry, track 2 and sequence of the card that is put in while somebody waits; given
    back, it is not read again until it was taken and put in anew."""

    async def scenario(stage: Stage) -> None:
        reader = stage.reader()
        waiting = Deferred.fromCoroutine(reader.read_raw_data(WAIT_MS))
        await stage.pause(0.2)
        with VpcdCard(virtual()):
            card = await waiting
            assert card.pan.reveal() == PRESETS["debit"].pan
            assert (card.expiry, card.card_sequence, card.entry_mode) == ("4012", "001", "051")
            assert card.track2 is not None
            assert card.chip is None
            await reader.move()
            late = await refused(reader.read_raw_data(300))
            assert late.completion is Completion.TIME_OUT
            taken = stage.event(reader, REMOVED)
        await taken
        with VpcdCard(virtual("credit")):
            card = await reader.read_raw_data(WAIT_MS)
            assert card.pan.reveal() == PRESETS["credit"].pan

    play(scenario)


def test_a_card_pulled_in_the_middle_of_an_apdu_is_gone(pcscd: Pcscd) -> None:
    """The command ends with ``card gone``, another one meanwhile is refused, and the reader goes on
    with the next card."""
    pulled = threading.Event()

    async def scenario(stage: Stage) -> None:
        answering: Deferred[None] = Deferred()

        def hold(_: int) -> None:
            stage.reactor.callFromThread(answering.callback, None)
            pulled.wait(30)

        reader = stage.reader(apdu_timeout_ms="20000")
        card = VpcdCard(virtual(habits=Habits(slow_ms=1), wait=hold))
        card.insert()
        await reader.media_inserted(WAIT_MS)
        await reader.chip_power()
        running = Deferred.fromCoroutine(reader.chip_io(SELECT_PSE))
        assert (await refused(reader.chip_io(SELECT_PSE))).completion is NOT_READY
        await answering
        taken = stage.event(reader, REMOVED)
        card.pull()
        with pytest.raises(CardGoneError, match="card gone"):
            await running
        pulled.set()
        await taken
        assert isinstance(await refused(reader.chip_io(SELECT_PSE)), CardGoneError)
        with VpcdCard(virtual()):
            assert (await pay(reader)).kind is EndKind.APPROVED

    play(scenario)


@pytest.mark.parametrize("command", range(1, 10))
def test_a_card_that_leaves_at_any_step_ends_defined(pcscd: Pcscd, command: int) -> None:
    """Before the question nothing has happened; the reader survives."""

    async def scenario(stage: Stage) -> None:
        reader = stage.reader()
        card = VpcdCard(virtual(habits=Habits(pulled_at=command)))
        with card:
            terminal, question = await asked(reader)
            if isinstance(question, Question):
                end = await terminal.finish(
                    VirtualIssuer(PRESETS["debit"]).host(online_of(question.card))
                )
                assert (end.kind, end.reversal_needed) == (EndKind.DECLINED, True)
            else:
                assert (question.kind, question.reasons) == (EndKind.CANCELLED, ("card_gone",))
        assert card.heard == command - 1

    play(scenario)


@pytest.mark.parametrize("typing", [True, False])
def test_a_card_pulled_while_the_holder_thinks(pcscd: Pcscd, typing: bool) -> None:
    """At the pad: nothing has happened. While the host is asked: its approval must be undone."""

    async def scenario(stage: Stage) -> None:
        reader, pad = stage.reader(), Pad(types=not typing)
        card = VpcdCard(virtual())
        card.insert()
        running = Deferred.fromCoroutine(asked(reader, pad))
        await pad.asked
        if typing:
            card.pull()
        terminal, question = await running
        if typing:
            assert isinstance(question, End)
            assert (question.kind, question.reasons) == (EndKind.CANCELLED, ("card_gone",))
            return
        assert isinstance(question, Question)
        taken = stage.event(reader, REMOVED)
        card.pull()
        await taken
        end = await terminal.finish(VirtualIssuer(PRESETS["debit"]).host(online_of(question.card)))
        assert (end.kind, end.reasons, end.reversal_needed) == (
            EndKind.DECLINED,
            ("card_gone",),
            True,
        )
        assert end.field55_reversal is not None

    play(scenario)


def test_the_service_dies_in_the_middle_of_a_dialogue(pcscd: Pcscd) -> None:
    """The command fails with a defined error, the status says why, and after the restart the same
    reader pays again."""

    async def scenario(stage: Stage) -> None:
        reader = stage.reader()
        with VpcdCard(virtual()):
            await reader.media_inserted(WAIT_MS)
            await reader.chip_power()
            assert (await reader.chip_io(SELECT_PSE))[-2:] == b"\x90\x00"
            changed = stage.event(reader, "Common.StatusChangedEvent")
            pcscd.kill()
            broken = await refused(reader.chip_io(SELECT_PSE))
            assert broken.completion in (Completion.HARDWARE_ERROR, Completion.USER_ERROR)
            await changed
        while reader.status() != "offline":
            await stage.event(reader, "Common.StatusChangedEvent")
        assert (await refused(reader.chip_power())).completion is NOT_READY
        pcscd.start()
        while reader.status() != "online":
            await stage.event(reader, "Common.StatusChangedEvent")
        with VpcdCard(virtual()):
            assert (await pay(reader)).kind is EndKind.APPROVED

    play(scenario)


def test_twenty_quick_insertions_are_twenty_readings(pcscd: Pcscd) -> None:
    """Each card is told, powered and read as soon as the reader has noticed the one before go."""

    async def scenario(stage: Stage) -> None:
        reader, names = stage.reader(), list[str]()
        reader.watch(lambda event: names.append(event.name))
        for _ in range(20):
            taken = stage.event(reader, REMOVED)
            with VpcdCard(virtual()):
                await reader.media_inserted(WAIT_MS)
                await reader.chip_power()
                assert (await reader.chip_io(SELECT_PSE))[-2:] == b"\x90\x00"
            await taken
        assert names[1:] == ["CardReader.MediaInsertedEvent", REMOVED] * 20

    play(scenario)


def test_a_card_that_hangs_ends_in_time(pcscd: Pcscd) -> None:
    """Time-out; refused while the call hangs in the service; usable when it has come back."""
    awake = threading.Event()

    async def scenario(stage: Stage) -> None:
        reader = stage.reader(apdu_timeout_ms="300")
        with VpcdCard(virtual(habits=Habits(slow_ms=1), wait=lambda _: awake.wait(30))):
            await reader.media_inserted(WAIT_MS)
            await reader.chip_power()
            late = await refused(reader.chip_io(SELECT_PSE))
            assert late.completion is Completion.TIME_OUT
            assert (await refused(reader.chip_io(SELECT_PSE))).completion is NOT_READY
            awake.set()
            while reader.busy:
                await stage.pause(0.05)
            assert (await reader.chip_io(SELECT_PSE))[-2:] == b"\x90\x00"

    play(scenario)


def test_two_readers_serve_two_cards(pcscd: Pcscd) -> None:
    """By their expressions; one card's dialogue is not the other's."""

    async def scenario(stage: Stage) -> None:
        left, right = stage.reader(reader="00 00$"), stage.reader(reader="00 01$")
        with VpcdCard(virtual("debit"), 0), VpcdCard(virtual("credit"), 1):
            first = Deferred.fromCoroutine(left.read_raw_data(WAIT_MS))
            second = Deferred.fromCoroutine(right.read_raw_data(WAIT_MS))
            assert (await first).pan.reveal() == PRESETS["debit"].pan
            assert (await second).pan.reveal() == PRESETS["credit"].pan

    play(scenario)


def test_waiting_for_a_card_ends(pcscd: Pcscd) -> None:
    """By the time, by cancel; nobody else may wait meanwhile; without a reader too."""

    async def scenario(stage: Stage) -> None:
        reader = stage.reader(reader="no such reader")
        assert reader.status() == "starting"
        assert (await refused(reader.media_inserted(100))).completion is Completion.TIME_OUT
        waiting = Deferred.fromCoroutine(refused(reader.media_inserted(WAIT_MS)))
        second = await refused(reader.media_inserted(WAIT_MS))
        assert second.completion is Completion.SEQUENCE_ERROR
        reader.cancel()
        assert (await waiting).completion is Completion.CANCELED
        assert (await refused(reader.chip_power())).completion is NOT_READY
        assert reader.status() == "noDevice"
        await reader.move()

    play(scenario)


def test_a_command_line_opens_a_reader_by_name(pcscd: Pcscd) -> None:
    """``open_reader`` blocks, and names the readers there are when none fits."""
    with pytest.raises(DeviceError, match="no such reader; there are: Virtual PCD 00 00, "):
        open_reader("ACS")
    with pytest.raises(DeviceError, match="regular expression"):
        open_reader("(")
    with pytest.raises(DeviceError, match="no card"):
        open_reader("00 00$")
    with VpcdCard(virtual()):
        card = wait_for_card("00 00$")
        assert card.transmit(SELECT_PSE)[-2:] == b"\x90\x00"
        with pytest.raises(DeviceError, match="261"):
            card.transmit(bytes(3))
        card.close()


def test_the_survey_shows_readers_that_are_there_and_missing(pcscd: Pcscd, tmp_path: Path) -> None:
    """``yyt agent devices``: the kiosk's YAML chooses the driver and its reader."""
    kiosk = Kiosk(tmp_path, tmp_path, 1)
    config = json.loads(kiosk.config.read_text())
    config["devices"]["card_reader"] = {"driver": "pcsc", "options": OPTIONS}
    visit = {**OPTIONS, "reader": "no such reader", "kind": "uid"}
    config["devices"]["visit_card"] = {"driver": "pcsc", "options": visit}
    kiosk.config.write_text(json.dumps(config))

    def surveyed() -> dict[str, str]:
        command = ["agent", "devices", "--config", str(kiosk.config), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "switch.cli", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        return {each["role"]: each["state"] for each in found}

    found = surveyed()
    assert (found["card_reader"], found["visit_card"]) == ("online", "noDevice")
    pcscd.kill()
    assert surveyed()["card_reader"] == "offline"


@pytest.mark.parametrize(
    ("preset", "t1", "pulled_at", "end"),
    [
        ("debit", True, 0, "approved"),
        ("t0", False, 0, "approved"),
        ("debit", False, 3, "cancelled (card_gone)"),
    ],
)
def test_the_command_pays_with_a_card_in_a_reader(
    pcscd: Pcscd,
    preset: str,
    t1: bool,
    pulled_at: int,
    end: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``yyt emv run --reader``, to its end; the card's protocol decides how it is spoken to."""
    with VpcdCard(virtual(preset, t1=t1, habits=Habits(pulled_at=pulled_at))):
        wait_for_card("00 00$").close()
        assert main(["--lang", "en", "emv", "run", "--reader", "00 00$"]) == 0
    assert f"end       {end}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reader", "why"), [("Other", "no such reader; there are"), ("00 01$", "no card")]
)
def test_nothing_to_talk_to_is_exit_code_2(
    pcscd: Pcscd, reader: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which of the two is missing."""
    assert main(["emv", "run", "--reader", reader]) == 2
    assert why in capsys.readouterr().err


def wait_for_card(pattern: str) -> PcscCard:
    """The virtual reader notices a card by and by."""
    give_up_at = time.monotonic() + WAIT_MS / 1000
    while True:
        try:
            return open_reader(pattern)
        except DeviceError:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
