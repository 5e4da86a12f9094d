"""What the tests of the kernel share: a fixed payment, a run with a virtual card, built cards."""

from typing import NamedTuple

from terminal_agent.devices.virtual_card import PRESETS, Habits, Print, VirtualCard
from terminal_agent.devices.virtual_issuer import IssuerHabits, VirtualIssuer
from terminal_agent.emv.actions import (
    EmvPayment,
    End,
    HostAnswer,
    OnlineNeeded,
    PinOutcome,
    Step,
    Verdict,
)
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.driver import Card, Host, drive
from terminal_agent.emv.kernel import Kernel
from terminal_agent.emv.profile import Profile, Terminal, load_profile
from terminal_agent.emv.tlv import encode, parse
from terminal_agent.emv.transcript import RecordedCard

CUP = load_profile("cup")
TERMINAL = Terminal(
    merchant_number="104331080620001",
    terminal_number="00000017",
    merchant_name="Test hospital",
    interface_serial="KIOSK017",
)
PAYMENT = EmvPayment(
    amount_fen=12345,
    date="261122",
    time="101500",
    unpredictable=bytes.fromhex("DEADBEEF"),
    counter=4711,
)
PAN = "6200000000000005"


class Run(NamedTuple):
    """An end and the way there."""

    end: End
    steps: tuple[Step, ...]
    exchanges: list[tuple[str, str]]
    """(command, response) in hex."""
    asked: list[OnlineNeeded]

    def step(self, name: str) -> str:
        """The detail of the last step of this name."""
        return [step.detail for step in self.steps if step.name == name][-1]

    def sent(self, header: str) -> list[str]:
        """Commands that begin so."""
        return [command for command, _ in self.exchanges if command.startswith(header)]

    def field55(self) -> dict[str, str]:
        """What was sent to the host, by tag, in order."""
        assert self.end.field55 is not None
        found = parse(bytes.fromhex(self.end.field55.reveal()))
        return {item.tag: item.value.hex().upper() for item in found}


def run(
    card: Card,
    host: Host | None = None,
    *,
    profile: Profile = CUP,
    payment: EmvPayment = PAYMENT,
    pin: PinOutcome = PinOutcome.ENTERED,
    style: Style = Style.T1,
) -> Run:
    """Drive a kernel with this card; the host approves and says no more unless given."""
    asked: list[OnlineNeeded] = []
    exchanges: list[tuple[str, str]] = []

    def answer(online: OnlineNeeded) -> HostAnswer:
        asked.append(online)
        return (host or approve)(online)

    def heard(command: bytes, response: bytes) -> None:
        exchanges.append((command.hex().upper(), response.hex().upper()))

    kernel = Kernel(profile, TERMINAL, payment, style)
    end = drive(kernel, card, answer, pin=pin, heard=heard)
    return Run(end, kernel.steps, exchanges, asked)


def approve(_: OnlineNeeded) -> HostAnswer:
    """A host without issuer data."""
    return HostAnswer(verdict=Verdict.APPROVED, code=b"00")


def virtual(
    printed: Print | str = "debit",
    habits: Habits | None = None,
    issuer: IssuerHabits | None = None,
    **rest: object,
) -> Run:
    """A virtual card with its own issuer."""
    chosen = PRESETS[printed] if isinstance(printed, str) else printed
    host = VirtualIssuer(chosen, issuer).host
    return run(VirtualCard(chosen, habits), host, **rest)  # type: ignore[arg-type]


OBJECTS = {
    "57": PAN + "D4012201000000000F",
    "5A": PAN,
    "5F34": "01",
    "5F24": "401231",
    "5F28": "0156",
    "8E": "000000000000000042031F03",
    "8C": "9F02069F03069F1A0295055F2A029A039C019F3704",
    "8D": "8A029F02069F03069F1A0295055F2A029A039C019F3704",
}
"""The records of a built card."""

SELECT = "00A40400"
PSE = SELECT + "0E315041592E5359532E4444463031"
AID = "A000000333010101"
ARQC = "80AE8000"
ARQC_ANSWER = "801380000711223344556677880701010390000001" + "9000"
TC_ANSWER = "801340000799AABBCCDDEEFF000701010360000001" + "9000"
AAC_ANSWER = "801300000799AABBCCDDEEFF000701010320000001" + "9000"


def tlv(tag: str, *parts: str) -> str:
    """A data object in hex."""
    return encode(tag, bytes.fromhex("".join(parts))).hex().upper()


def application(aid: str, *about: str) -> str:
    """The answer to its SELECT."""
    return tlv("6F", tlv("84", aid), tlv("A5", tlv("50", b"PBOC".hex()), *about)) + "9000"


def select(aid: str) -> str:
    """The command that selects it."""
    return f"{SELECT}{len(aid) // 2:02X}{aid}"


def record(**changed: str | None) -> str:
    """The one record of a built card; ``_5A="…"`` changes an object, None leaves it out."""
    objects: dict[str, str | None] = {**OBJECTS}
    objects.update({tag[1:]: value for tag, value in changed.items()})
    return tlv("70", *(tlv(tag, value) for tag, value in objects.items() if value is not None))


def built(
    *first: tuple[str, str], remove: tuple[str, ...] = (), **changed: str | None
) -> RecordedCard:
    """A card without a directory, one record, format 80. ``first`` come before its own answers and
    replace those of the same command; commands in ``remove`` are not known."""
    exchanges = {
        select(AID): application(AID),
        "80A8000002830000": "80067C00080101009000",
        "00B2010C": record(**changed) + "9000",
        ARQC: ARQC_ANSWER,
        "80AE4000": TC_ANSWER,
        "80AE0000": AAC_ANSWER,
    }
    exchanges.update(first)
    kept = [(command, answer) for command, answer in exchanges.items() if command not in remove]
    return RecordedCard(
        b"\x3b\0", [(bytes.fromhex(command), bytes.fromhex(answer)) for command, answer in kept]
    )
