"""A payment with a chip card at the kiosk: the kernel, driven with the kiosk's reader and pad.

Two parts, since the money moves between them. :meth:`ChipTerminal.ask` goes from the inserted card
to what the host is to be asked: card data, PIN block, field 55. :meth:`ChipTerminal.finish` takes
the host's answer back to the card: issuer authentication, scripts, second GENERATE AC. That is the
*finish* leg of docs/payment-law.md: an approval that the card does not confirm must be undone.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from terminal_agent.devices.interfaces import (
    CARD_OUT,
    CardData,
    CardReader,
    Completion,
    DeviceError,
    DeviceEvent,
    PinPad,
)
from terminal_agent.emv.actions import (
    Action,
    ChoiceNeeded,
    EmvPayment,
    End,
    HostAnswer,
    OnlineNeeded,
    PinNeeded,
    PinOutcome,
    Send,
    Verdict,
)
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.kernel import Kernel
from terminal_agent.emv.profile import Profile, Terminal
from terminal_agent.protocol import PinBlock

CHIP_ENTRY = "051"
"""Field 22: chip, with a PIN pad."""
_GIVEN_UP = frozenset({Completion.CANCELED, Completion.TIME_OUT})
"""Ends of PIN entry that are the holder's doing."""


class ChipReader(CardReader, Protocol):
    """A reader that waits for a chip and says how it is spoken to."""

    style: Style

    async def media_inserted(self, timeout_ms: int) -> bytes:
        """The ATR of the card inside, or of the next one. Raises DeviceError."""
        ...


class PinRules(Struct, frozen=True, kw_only=True):
    """How a PIN is asked for."""

    digits_min: int
    digits_max: int
    timeout_ms: int


class Question(Struct, frozen=True, kw_only=True):
    """What the host is asked."""

    card: CardData
    pin_block: PinBlock | None

    def __repr__(self) -> str:
        return "<question>"


Choose = Callable[[tuple[str, ...]], Awaitable[int | None]]
"""Let the holder choose among these labels; None: cancelled."""


def _unheard() -> None:
    """Nobody shows it."""


async def first(_labels: tuple[str, ...]) -> int | None:
    """The card's own first choice."""
    return 0


class ChipTerminal:
    """One reader and one pad; one payment at a time. On the reactor's thread."""

    def __init__(self, reader: ChipReader, pad: PinPad, rules: PinRules) -> None:
        self._reader, self._pad, self._rules = reader, pad, rules
        self._kernel: Kernel | None = None
        self._action: Action | None = None
        self._typing = False
        self._removed = False
        self._cancelled = False
        self._pad_trouble: DeviceError | None = None
        reader.watch(self._noticed)

    async def ask(
        self,
        profile: Profile,
        terminal: Terminal,
        payment: EmvPayment,
        *,
        card_timeout_ms: int,
        choose: Choose = first,
        reading: Callable[[], None] = _unheard,
    ) -> Question | End:
        """Wait for a card and play it up to the question (``reading`` is called when there is
        one); an End when it does not come so far, and
        then nothing has happened. Raises DeviceError while there is no powered card, when the pad
        failed, and when it was cancelled."""
        self._kernel = self._pad_trouble = None
        self._cancelled = False
        await self._reader.media_inserted(card_timeout_ms)
        self._removed = False
        reading()
        await self._reader.chip_power()
        self._kernel = Kernel(profile, terminal, payment, self._reader.style)
        blocks: list[PinBlock] = []
        self._action = await self._play(self._kernel, self._kernel.start(), choose, blocks)
        if isinstance(self._action, End):
            if self._pad_trouble is not None:
                raise self._pad_trouble
            return self._action
        assert isinstance(self._action, OnlineNeeded)
        question = Question(card=_data(self._action), pin_block=blocks[0] if blocks else None)
        if self._cancelled:
            # Between the last key and the question: the host is not asked, the card is told so.
            await self.finish(HostAnswer(verdict=Verdict.UNREACHABLE))
            raise DeviceError(Completion.CANCELED, "canceled")
        return question

    def cancel(self) -> None:
        """The patient leaves before the question: end at the next place where that can be done."""
        self._cancelled = True
        self._reader.cancel()
        self._pad.cancel()

    async def finish(self, answer: HostAnswer) -> End:
        """Tell the card. A card that has gone meanwhile ends the payment all the same: ``End``
        says whether it must be undone. Raises DeviceError (sequenceError) without a question."""
        kernel = self._kernel
        if kernel is None or not isinstance(self._action, OnlineNeeded):
            raise DeviceError(Completion.SEQUENCE_ERROR, "no card waits for an answer")
        if self._removed:
            kernel.card_gone()
        self._action = kernel.host(answer)
        end = await self._play(kernel, self._action, first, [])
        assert isinstance(end, End)
        self._action = end
        return end

    async def _play(
        self, kernel: Kernel, action: Action, choose: Choose, blocks: list[PinBlock]
    ) -> Action:
        """To the question or to the end."""
        while not isinstance(action, End | OnlineNeeded):
            match action:
                case Send(command):
                    try:
                        response = await self._reader.chip_io(command)
                    except DeviceError:
                        # Pulled, or the reader itself is gone: to the card it is the same.
                        action = kernel.card_gone()
                    else:
                        action = kernel.answer(response)
                case ChoiceNeeded(labels):
                    chosen = None if self._cancelled else await choose(labels)
                    action = kernel.card_gone() if self._removed else kernel.choose(chosen)
                case PinNeeded():
                    outcome = await self._pin(action, blocks)
                    action = kernel.card_gone() if self._removed else kernel.pin(outcome)
        return action

    async def _pin(self, wanted: PinNeeded, blocks: list[PinBlock]) -> PinOutcome:
        if self._cancelled:
            return PinOutcome.CANCELLED
        rules = self._rules
        self._typing = True
        try:
            await self._pad.pin_entry(
                rules.digits_min, rules.digits_max, rules.timeout_ms, wanted.pan
            )
            blocks.append(await self._pad.get_pin_block(wanted.pan))
        except DeviceError as error:
            # Nor is the payment asked for without a PIN because the pad is broken, or opened: to
            # the kernel the holder gave up, so no cryptogram is made.
            if error.completion not in _GIVEN_UP:
                self._pad_trouble = error
            return PinOutcome.CANCELLED
        finally:
            self._typing = False
        return PinOutcome.ENTERED

    def _noticed(self, event: DeviceEvent) -> None:
        """A card that is pulled while the PIN is typed leaves nothing to type for."""
        if event.name == CARD_OUT:
            self._removed = True
            if self._typing:
                self._pad.cancel()


def _data(online: OnlineNeeded) -> CardData:
    return CardData(
        pan=online.pan,
        expiry=online.expiry,
        track2=online.track2,
        chip=online.field55,
        card_sequence=online.card_sequence,
        entry_mode=CHIP_ENTRY,
    )
