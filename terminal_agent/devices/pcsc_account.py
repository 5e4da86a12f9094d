"""What a bank card's chip says of its account: selection, GET PROCESSING OPTIONS, records.

The first steps of a payment without the payment: no amount, no cryptogram.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from terminal_agent.devices.interfaces import CardData, Completion, DeviceError
from terminal_agent.emv import reading, selection
from terminal_agent.emv.actions import ChoiceNeeded, EmvPayment, Flow, Send, Stop
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.context import Context
from terminal_agent.emv.profile import Profile, Terminal

CHIP_ENTRY: Final = "051"
"""Field 22: chip, with a PIN pad."""
_NOBODY: Final = Terminal(
    merchant_number="0" * 15, terminal_number="0" * 8, merchant_name="", interface_serial="0" * 8
)
_NOTHING: Final = EmvPayment(
    amount_fen=0, date="000101", time="000000", unpredictable=bytes(4), counter=0
)

ChipIo = Callable[[bytes], Awaitable[bytes]]


async def read_account(chip_io: ChipIo, profile: Profile, style: Style) -> CardData:
    """Of a powered card. Raises DeviceError: userError ``card gone``, hardwareError when the card
    is none of the profile's or its data is wrong."""
    context = Context(profile, _NOBODY, _NOTHING, style)
    flow = _account(context)
    answer: bytes | int | None = None
    try:
        while True:
            action = flow.send(answer)
            if isinstance(action, ChoiceNeeded):
                answer = 0
                continue
            assert isinstance(action, Send)
            answer = await chip_io(action.command)
    except StopIteration as end:
        data: CardData = end.value
        return data
    except Stop as stop:
        raise DeviceError(Completion.HARDWARE_ERROR, f"not usable: {stop.reason}") from None


def _account(context: Context) -> Flow[CardData]:
    among = yield from selection.candidates(context)
    candidate = yield from selection.choose(context, among)
    usable = yield from selection.select(context, candidate)
    if not usable or not (yield from reading.start_application(context)):
        raise Stop("no_usable_application")
    yield from reading.read_records(context)
    sequence = context.card.get("5F34")
    return CardData(
        pan=reading.pan_of(context),
        expiry=context.card["5F24"].hex()[:4],
        track2=reading.track2_of(context),
        card_sequence=sequence.hex().rjust(3, "0") if sequence else "",
        entry_mode=CHIP_ENTRY,
    )
