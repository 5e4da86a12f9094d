"""PIN blocks that a kiosk's pad makes under the bank's own key, and that pass us untranslated.

A logical terminal dedicated to a kiosk has its PIN key in that kiosk's pad. A block goes out by the
terminal whose key it was made under, and by no other (norm 17: cross use of keys is refused): not
by the other merchant number's, not by another bank's, not under a key that has been replaced since.
"""

from collections.abc import Iterable, Mapping

from channels.iso8583.errors import Iso8583Error
from channels.iso8583.terminal import Terminal
from switch.model.pin import PinFor, PinPlan
from switch.observe import metrics
from switch.observe.logs import get_logger
from switch.ports import CardSecrets

_log = get_logger("iso8583.pin")


class ForeignPinError(Iso8583Error):
    """The PIN block was not made under the key of the terminal that was to carry it."""

    def __init__(self, what: str) -> None:
        super().__init__("52", f"the PIN block was made for another {what}")


async def plan(
    bank: str, terminals: Iterable[Terminal], clearing: str, kiosk: str
) -> PinPlan | None:
    """The key of a terminal dedicated to this kiosk; None while none is signed on, here or at the
    node that holds it. Raises JournalDown."""
    for terminal in terminals:
        config = terminal.config
        if (config.clearing, config.kiosk) != (clearing, kiosk):
            continue
        await terminal.newest_mak()
        keys = terminal.keys
        if keys is not None and keys.pik_cryptogram and (terminal.fresh or terminal.elsewhere):
            return PinPlan(
                pin_for=PinFor(
                    bank=bank,
                    merchant=config.merchant,
                    terminal=config.terminal,
                    generation=keys.generation,
                    kiosk=kiosk,
                ),
                slot=f"{bank}.{clearing}",
                cryptogram=keys.pik_cryptogram.removeprefix("X"),
                check_value=keys.pik_kcv,
            )
    return None


def chosen(
    bank: str,
    terminals: Mapping[tuple[str, str], Terminal],
    clearing: str,
    made_for: PinFor,
    payment_key: str,
) -> Terminal | None:
    """The terminal whose key a block was made under, if it may carry it; None: refused."""
    terminal = terminals.get((made_for.merchant, made_for.terminal))
    if made_for.bank != bank:
        refuse(bank, "bank", payment_key)
    elif terminal is None:
        refuse(bank, "terminal", payment_key)
    elif terminal.config.clearing != clearing:
        refuse(bank, "clearing", payment_key, terminal.config.terminal)
    elif terminal.config.kiosk != made_for.kiosk:
        refuse(bank, "kiosk", payment_key, terminal.config.terminal)
    else:
        return terminal
    return None


def must_be_for(terminal: Terminal, card: CardSecrets, payment_key: str) -> None:
    """Before a PIN block leaves by this terminal. Alarmed and counted; raises ForeignPinError."""
    what = _difference(terminal, card.pin_for)
    if not what:
        return
    refuse(terminal.identity.bank, what, payment_key, terminal.config.terminal)
    raise ForeignPinError(what)


def refuse(bank: str, what: str, payment_key: str, terminal: str = "") -> None:
    """Alarm and count a PIN block that is not for where it was to go."""
    metrics.PIN_BLOCKS_REFUSED.labels(bank, what).inc()
    _log.error(
        "alarm",
        invariant="I8",
        text=f"a PIN block made for another {what}",
        bank=bank,
        terminal=terminal,
        key=payment_key,
    )


def _difference(terminal: Terminal, made_for: PinFor | None) -> str:
    """The first thing in which they differ; empty: it is this terminal's block."""
    kiosk, identity, keys = terminal.config.kiosk, terminal.identity, terminal.keys
    if made_for is None or not kiosk:
        return "way" if made_for is not None or kiosk else ""
    pairs = {
        "bank": (identity.bank, made_for.bank),
        "merchant": (identity.merchant, made_for.merchant),
        "terminal": (identity.terminal, made_for.terminal),
        "kiosk": (kiosk, made_for.kiosk),
        "generation": (keys.generation if keys else 0, made_for.generation),
    }
    return next((name for name, (ours, theirs) in pairs.items() if ours != theirs), "")
