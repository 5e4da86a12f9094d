"""``yyt emv run --reader``: a stand-in for pyscard, with the virtual card in its reader."""

import sys
import types

import pytest

from switch.cli import main
from terminal_agent.devices.virtual_card import PRESETS, Habits, VirtualCard
from terminal_agent.emv.actions import CardGone


class SmartcardException(Exception):  # noqa: N818 - its name there
    """As in smartcard.Exceptions."""


class Connection:
    """One card, in T=1 or T=0; ``card`` None: the slot is empty."""

    T0_protocol = 1

    def __init__(self, card: VirtualCard | None, protocol: int) -> None:
        self._card, self._protocol = card, protocol

    def connect(self) -> None:
        """Power up."""
        if self._card is None:
            raise SmartcardException("no card")

    def getProtocol(self) -> int:
        """1 is T=0."""
        return self._protocol

    def getATR(self) -> list[int]:
        """As pyscard gives it."""
        assert self._card is not None
        return list(self._card.atr)

    def transmit(self, command: list[int]) -> tuple[list[int], int, int]:
        """Data and the two status bytes."""
        assert self._card is not None
        try:
            *data, first, second = self._card.transmit(bytes(command))
        except CardGone:
            raise SmartcardException("removed") from None
        return data, first, second


@pytest.fixture
def insert(monkeypatch: pytest.MonkeyPatch):
    """Put a card into the only reader."""

    def put(card: VirtualCard | None, protocol: int = 2) -> None:
        class Reader:
            def createConnection(self) -> Connection:
                return Connection(card, protocol)

            def __str__(self) -> str:
                return "Test Reader 00 00"

        system = types.ModuleType("smartcard.System")
        system.readers = lambda: [Reader()]  # type: ignore[attr-defined]
        failures = types.ModuleType("smartcard.Exceptions")
        failures.SmartcardException = SmartcardException  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "smartcard", types.ModuleType("smartcard"))
        monkeypatch.setitem(sys.modules, "smartcard.System", system)
        monkeypatch.setitem(sys.modules, "smartcard.Exceptions", failures)
        monkeypatch.setenv("YYT_LANG", "en")

    return put


@pytest.mark.parametrize(("name", "protocol"), [("debit", 2), ("t0", 1)])
def test_a_card_in_a_reader_pays(
    name: str, protocol: int, insert, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a part of the reader's name; the protocol decides how commands are sent."""
    insert(VirtualCard(PRESETS[name]), protocol)
    assert main(["emv", "run", "--reader", "^Test"]) == 0
    assert "end       approved" in capsys.readouterr().out


def test_a_card_that_is_pulled_ends(insert, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception of the reader is a card that is gone."""
    insert(VirtualCard(PRESETS["debit"], Habits(pulled_at=3)))
    assert main(["emv", "run", "--reader", "Test"]) == 0
    assert "end       cancelled (card_gone)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reader", "why"), [("Other", "no such reader"), ("Test", "no card in the reader")]
)
def test_nothing_to_talk_to_is_exit_code_2(
    reader: str, why: str, insert, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which of the two is missing."""
    insert(None)
    assert main(["emv", "run", "--reader", reader]) == 2
    assert why in capsys.readouterr().err
