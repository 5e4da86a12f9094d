"""Visit cards: M1 and CPU, over a real pcscd and directly."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from terminal_agent.config import ConfigError, Device
from terminal_agent.devices import drivers
from terminal_agent.devices.interfaces import Completion, DeviceError
from terminal_agent.devices.virtual_visit_card import VirtualCpuCard, VirtualM1Card
from terminal_agent.devices.visit_card import (
    VisitCard,
    VisitCardReader,
    split_options,
)
from terminal_agent.devices.vpcd_card import VpcdCard
from terminal_agent.protocol import Opaque
from tests.pcsc.daemon import Pcscd
from tests.pcsc.stage import OPTIONS, Stage, play

KEY = "A0A1A2A3A4A5"
M1 = {"kind": "m1", "block": "4", "coding": "ascii"}
SELECT, READ = "00A4040007D1560000010801", "00B0950010"


def m1_card() -> VirtualM1Card:
    """Number 0012345678 in block 4, its sector under a key of the hospital."""
    card = VirtualM1Card("DEADBEEF")
    card.blocks[4] = b"0012345678".ljust(16, b"\0")
    card.blocks[5] = bytes.fromhex("0012345678FFFFFFFFFFFFFFFFFFFFFF")
    card.key(1, bytes.fromhex(KEY))
    return card


def result(waiting: Awaitable[Any]) -> Any:
    """A value, or how it ended."""
    out: list[Any] = []
    running = Deferred.fromCoroutine(waiting)  # type: ignore[arg-type]
    running.addCallbacks(out.append, lambda failure: out.append(failure.value))
    return out[0].completion if isinstance(out[0], DeviceError) else out[0]


def direct(card: Any, key: str = KEY, **options: str) -> VisitCard:
    """A card asked without a reader."""

    async def chip_io(command: bytes) -> bytes:
        return bytes(card.transmit(command))

    card.reset()
    return VisitCard(chip_io, split_options(options)[0], Opaque(key))


@pytest.mark.pcsc
def test_an_m1_card_is_read_through_pcscd(pcscd: Pcscd, tmp_path: Path) -> None:
    """Load key, authenticate, read: the number; the card left on the reader is not read again."""
    (tmp_path / "key").write_text(KEY + "\n")

    async def scenario(stage: Stage) -> None:
        device = Device(driver="pcsc", options={**OPTIONS, **M1, "key_file": str(tmp_path / "key")})
        reader: VisitCardReader = drivers.build("visit_card", device, stage.reactor)
        stage.closing.append(reader.stop)
        with VpcdCard(m1_card()):
            assert await reader.read_number(20_000) == "0012345678"
            assert reader.status() == "online"
            with pytest.raises(DeviceError, match="timeOut"):
                await reader.read_number(200)

    play(scenario)


@pytest.mark.pcsc
def test_a_cpu_card_is_read_through_pcscd(pcscd: Pcscd) -> None:
    """Select and read binary, as configured."""

    async def scenario(stage: Stage) -> None:
        options, _ = split_options(
            {
                "kind": "cpu",
                "commands": f"{SELECT} {READ}",
                "offset": "2",
                "length": "5",
                "coding": "bcd",
            }
        )
        reader = VisitCardReader(stage.reader(), options)
        card = VirtualCpuCard(
            bytes.fromhex(SELECT[10:]), {0x15: bytes.fromhex("AABB0012345678FFFF".ljust(32, "F"))}
        )
        with VpcdCard(card):
            assert await reader.read_number(20_000) == "0012345678"

    play(scenario)


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (M1, "0012345678"),
        ({**M1, "block": "5", "coding": "bcd"}, "0012345678"),
        ({**M1, "block": "5", "coding": "hex", "offset": "1", "length": "2"}, "1234"),
        ({**M1, "blocks": "2", "length": "10"}, "0012345678"),
        ({"kind": "uid"}, "DEADBEEF"),
        ({**M1, "block": "6"}, Completion.INVALID_DATA),
        ({**M1, "block": "8"}, Completion.INVALID_DATA),
        ({**M1, "key_type": "B"}, Completion.INVALID_DATA),
        ({**M1, "block": "5", "offset": "9", "coding": "bcd"}, Completion.INVALID_DATA),
    ],
)
def test_where_the_number_stands_is_configuration(options: dict[str, str], read: object) -> None:
    """Blocks, range and coding; an empty block, a foreign sector and a wrong key are no number."""
    assert result(direct(m1_card(), **options).number()) == read


def test_a_card_is_issued_and_checked() -> None:
    """What is written is read again; whole blocks only."""
    card = m1_card()
    direct_card = direct(card, **M1)

    assert result(direct_card.write_blocks(b"0099887766".ljust(16))) is None
    assert result(direct_card.number()) == "0099887766"
    assert result(direct_card.write_blocks(b"short")) is Completion.USER_ERROR
    assert KEY not in repr(direct_card.__dict__)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"block": "0"}, "leave block 0 out"),
        ({"block": "6", "blocks": "3"}, "one sector"),
        ({"block": "7"}, "holds its keys"),
        ({"block": "64"}, "one sector"),
        ({"key_type": "C"}, "A or B"),
        ({"key_slot": "32"}, "0 to 31"),
        ({"offset": "-1"}, "not negative"),
        ({"kind": "cpu"}, "1 to 16"),
        ({"kind": "cpu", "commands": "00B0 XX"}, "1 to 16"),
    ],
)
def test_options_that_would_harm_a_card_are_refused(options: dict[str, str], said: str) -> None:
    """Before any card is touched."""
    with pytest.raises(ConfigError, match=said):
        split_options({"kind": "m1", **options})


def test_a_wrong_key_file_names_no_digit(tmp_path: Path) -> None:
    """Nor does an unknown option pass."""
    (tmp_path / "key").write_text("A0A1A2")
    options, _ = split_options({**M1, "key_file": str(tmp_path / "key")})
    with pytest.raises(ConfigError) as refused:
        VisitCardReader(None, options)  # type: ignore[arg-type]
    assert "A0A1" not in str(refused.value)
    with pytest.raises(ConfigError, match="colour"):
        drivers.build(
            "visit_card", Device(driver="pcsc", options={**OPTIONS, **M1, "colour": "x"}), Clock()
        )
