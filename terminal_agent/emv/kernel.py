"""The kernel: one chip card, one payment; bytes in, command out, until a defined end.

Sans-IO. The driver performs each :data:`Action` and reports what came of it with the method that
the action names; ``card_gone`` may be called at any time. Online only: the card is always asked
for an ARQC, and what it approves offline is not accepted. The second GENERATE AC is the *finish*
leg of docs/payment-law.md: an approval that the card does not confirm must be undone.
"""

from terminal_agent.emv import cvm, issuer, reading, restrictions, risk, selection
from terminal_agent.emv.actions import (
    Action,
    CardGone,
    ChoiceNeeded,
    EmvPayment,
    End,
    EndKind,
    Flow,
    HostAnswer,
    OnlineNeeded,
    PinNeeded,
    PinOutcome,
    Send,
    Step,
    Stop,
    Verdict,
)
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.context import Context, Tvr
from terminal_agent.emv.cryptogram import Cryptogram, generate
from terminal_agent.emv.profile import Profile, Terminal
from terminal_agent.protocol import Chip

_CODES = {Verdict.APPROVED: b"00", Verdict.DECLINED: b"05", Verdict.UNREACHABLE: b"Z3"}
"""8A when the host's answer has none."""


class SequenceError(RuntimeError):
    """The driver reported something that was not asked for: its own mistake."""


class Kernel:
    """A card payment. Profile, terminal and payment are fixed before the card is asked."""

    def __init__(
        self, profile: Profile, terminal: Terminal, payment: EmvPayment, style: Style = Style.T1
    ) -> None:
        self._context = Context(profile, terminal, payment, style)
        self._online: Chip | None = None
        self._verdict: Verdict | None = None
        self._confirmed = False
        self._scripts: issuer.Scripts | None = None
        self._running = self._run()
        self._action: Action | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The path so far."""
        return tuple(self._context.steps)

    def start(self) -> Action:
        """The card has answered to its reset: the first action."""
        if self._action is not None:
            raise SequenceError("the kernel has been started already")
        return self._advance(None)

    def answer(self, response: bytes) -> Action:
        """The card's answer to :class:`Send`, with its status word."""
        self._expect(Send)
        return self._advance(response)

    def choose(self, index: int | None) -> Action:
        """The holder's choice, or None: cancelled."""
        wanted = self._action
        self._expect(ChoiceNeeded)
        if isinstance(wanted, ChoiceNeeded) and index not in (None, *range(len(wanted.labels))):
            raise SequenceError("there is no such application")
        return self._advance(index)

    def pin(self, outcome: PinOutcome) -> Action:
        """How PIN entry ended."""
        self._expect(PinNeeded)
        return self._advance(outcome)

    def host(self, answer: HostAnswer) -> Action:
        """The host's answer, or that there is none."""
        self._expect(OnlineNeeded)
        return self._advance(answer)

    def card_gone(self) -> Action:
        """The card was pulled. While the host is being asked, its answer is still awaited."""
        if self._action is None:
            raise SequenceError("the kernel has not been started")
        if isinstance(self._action, End):
            return self._action
        self._action = self._running.throw(CardGone())
        return self._action

    def _expect(self, kind: type[Send | ChoiceNeeded | PinNeeded | OnlineNeeded]) -> None:
        if not isinstance(self._action, kind):
            raise SequenceError(f"{kind.__name__} is not what the kernel waits for")

    def _advance(self, event: object) -> Action:
        self._action = self._running.send(event)
        return self._action

    def _run(self) -> Flow[None]:
        try:
            typed = yield from self._prepare()
            end = yield from self._ask(typed)
        except CardGone:
            self._context.note("card_gone")
            end = self._end(EndKind.CANCELLED, "card_gone")
        except Stop as stop:
            end = self._end(stop.kind, stop.reason, stripe_allowed=stop.stripe_allowed)
        yield end

    def _prepare(self) -> Flow[bool]:
        """Everything before the first GENERATE AC: whether a PIN was typed."""
        context = self._context
        context.found(Tvr.NO_DATA_AUTHENTICATION)
        among = yield from selection.candidates(context)
        while True:
            candidate = yield from selection.choose(context, among)
            usable = yield from selection.select(context, candidate)
            if usable and (yield from reading.start_application(context)):
                break
            among.remove(candidate)
            context.forget_application()
            if not among:
                raise Stop("no_usable_application")
        yield from reading.read_records(context)
        restrictions.restrict(context)
        typed = yield from cvm.verify(context)
        yield from risk.manage(context)
        return typed

    def _ask(self, typed: bool) -> Flow[End]:
        """First GENERATE AC, the host, and what follows."""
        kind = yield from generate(self._context, Cryptogram.ARQC, "8C")
        if kind is Cryptogram.TC:
            raise Stop("offline_approval_refused", EndKind.DECLINED)
        if kind is not Cryptogram.ARQC:
            raise Stop("card_declined", EndKind.DECLINED)
        online = self._question(typed)
        answer, present = yield from self._host(online)
        self._verdict = answer.verdict
        self._context.own["8A"] = answer.code or _CODES[answer.verdict]
        self._scripts = issuer.Scripts(self._context, answer.scripts)
        if answer.authentication:
            self._context.own["91"] = answer.authentication
        if not present:
            return self._end(EndKind.DECLINED, "card_gone")
        return (yield from self._finish(answer, self._scripts))

    def _question(self, typed: bool) -> OnlineNeeded:
        context = self._context
        self._online = context.field55(context.profile.field55.online)
        sequence = context.card.get("5F34")
        return OnlineNeeded(
            field55=self._online,
            pan=reading.pan_of(context),
            track2=reading.track2_of(context),
            expiry=context.card["5F24"].hex()[:4],
            card_sequence=sequence.hex().rjust(3, "0") if sequence else "",
            pin_entered=typed,
        )

    def _host(self, online: OnlineNeeded) -> Flow[tuple[HostAnswer, bool]]:
        """The host's answer, and whether the card is still there."""
        present = True
        while True:
            try:
                answer: HostAnswer = yield online
            except CardGone:
                present = False
                self._context.note("card_gone")
            else:
                detail = " issuer data unreadable" if answer.unreadable else ""
                self._context.note("online", answer.verdict.value + detail)
                return answer, present

    def _finish(self, answer: HostAnswer, scripts: issuer.Scripts) -> Flow[End]:
        """Issuer authentication, scripts, second GENERATE AC. The host's no stays a no, whatever
        becomes of the card; its yes needs the card's certificate."""
        approved = answer.verdict is Verdict.APPROVED
        asked = Cryptogram.TC if approved else Cryptogram.AAC
        try:
            yield from issuer.authenticate(self._context, answer.authentication)
            yield from scripts.run("71")
            kind = yield from generate(self._context, asked, "8D")
        except CardGone:
            self._context.note("card_gone")
            return self._end(EndKind.DECLINED, "card_gone")
        except Stop as stop:
            return self._end(EndKind.DECLINED, stop.reason)
        self._confirmed = approved and kind is Cryptogram.TC
        yield from issuer.run_scripts_after(scripts)
        if self._confirmed:
            return self._end(EndKind.APPROVED)
        return self._end(EndKind.DECLINED, "card_declined" if approved else "")

    def _end(self, kind: EndKind, reason: str = "", stripe_allowed: bool = False) -> End:
        context, orders = self._context, self._context.profile.field55
        own_no = {Verdict.DECLINED: "host_declined", Verdict.UNREACHABLE: "host_unreachable"}
        reasons = (own_no.get(self._verdict, "") if self._verdict else "", reason)
        asked = self._online is not None
        results = context.own.get("DF31", b"")
        context.note("end", kind.value)
        return End(
            kind=kind,
            reasons=tuple(filter(None, reasons)),
            tvr=(context.get("95") or b"").hex().upper(),
            tsi=(context.get("9B") or b"").hex().upper(),
            aid=context.card.get("84", b"").hex().upper(),
            label=selection.label_of(context.card),
            pan_masked=reading.masked(context),
            field55=self._online,
            host_approved=self._verdict is Verdict.APPROVED,
            reversal_needed=self._verdict is Verdict.APPROVED and not self._confirmed,
            field55_reversal=self._made(orders.reversal) if asked else None,
            script_results=results.hex().upper(),
            field55_notice=self._made(orders.script_notice) if results else None,
            stripe_allowed=stripe_allowed,
        )

    def _made(self, order: tuple[str, ...]) -> Chip | None:
        """A later message's field 55. One that would be too long is left out: what it goes with,
        a reversal above all, has to leave in any case."""
        try:
            return self._context.field55(order)
        except Stop:
            return None
