"""The fault mix of one seed (swarm): each seed draws which faults exist and how strong they are.

A world with every fault on is a world in which nothing interesting gets far: so about half of
them are off in any one seed.
"""

from collections.abc import Mapping
from random import Random

from msgspec import Struct
from msgspec.structs import asdict

from his_bridge.policy import Level
from switch.model.payment import RungKind

PAYMENTS_MIN, PAYMENTS_MAX = 3, 8
STORIES_MIN, STORIES_MAX = 3, 8


class Mix(Struct, kw_only=True):
    """Chances are per occasion (a message, a write, a request)."""

    payments: int
    dialect: str
    his_level: Level
    reconcile: bool
    bank_forgets: bool
    """A reversal that overtakes its sale is answered 25 and forgotten: the sale books later."""
    node_lost: bool
    """One node dies when all else is healed, and stays dead: the other takes everything over."""
    bank_repeats: bool
    """And every repeat of that reversal is answered as the first was, until the file comes."""
    day_turns: bool
    """The bank's business date turns in the middle of it."""
    settles: bool
    """Batches are closed while payments are on their way (a dialect with settlement)."""
    stories: int
    """What is sold, voided, refunded … besides the kiosks' bills."""
    bank_lax: bool
    """Books a void, a refund, a completion without looking at what is left of its original."""
    bank_strict_keys: bool
    """A host that soon takes nothing more under the keys before (a dialect with key resets)."""
    bank_newest_mac: bool
    """And makes its answers under the newest, whatever the request was under."""
    undo: RungKind = RungKind.REVERSAL
    """The last rung that the bank allows (rule 8)."""
    undo_after_approval: RungKind = RungKind.REVERSAL
    bank_final: bool = False
    """Takes no reversal of what was approved and heard."""
    # processes
    crash: float = 0.0
    """Before or after a commit or a write to a socket; elsewhere a tenth of it."""
    freeze: float = 0.0
    """Per node and minute; often longer than the lease."""
    stall: float = 0.0
    """The same, before or after a commit, a write or an HSM command."""
    # the networks
    bank_slow: float = 0.0
    bank_cut: float = 0.0
    bank_black_hole: float = 0.0
    bank_refuse: float = 0.0
    his_slow: float = 0.0
    his_cut: float = 0.0
    his_black_hole: float = 0.0
    his_refuse: float = 0.0
    # the bank
    bank_silent_before: float = 0.0
    bank_silent_after: float = 0.0
    bank_late: float = 0.0
    bank_processing: float = 0.0
    """Books long after it was asked."""
    bank_twice: float = 0.0
    bank_reorder: float = 0.0
    bank_wrong_mac: float = 0.0
    bank_forged: float = 0.0
    """An approval with a wrong MAC for a sale that the bank did not book."""
    bank_declines: float = 0.0
    bank_new_keys: float = 0.0
    """Answers A0 or 77: wants a new sign-on first."""
    bank_reversal_lost: float = 0.0
    bank_shut: float = 0.0
    """Refuses a void, or a reversal and from then on every one of that operation, whatever came of
    the first (a bank that allows a rung below reversal)."""
    bank_resets: float = 0.0
    """New keys, sent while a message of ours is with it (a dialect with key resets)."""
    reset_wrong: float = 0.0
    """With a wrong check value or a wrong MAC."""
    reset_forgotten: float = 0.0
    """Not repeated, though nobody has answered."""
    # the hospital
    his_silent_before: float = 0.0
    his_silent_after: float = 0.0
    his_processing: float = 0.0
    his_500_booked: float = 0.0
    his_500: float = 0.0
    his_garbage: float = 0.0
    his_refuses: float = 0.0
    his_dispensed: float = 0.0
    """The medicine is out: a booking is not cancelled any more."""
    # the terminals
    ask_lost: float = 0.0
    answer_lost: float = 0.0
    double_tap: float = 0.0
    impatient: float = 0.0
    other_content: float = 0.0
    unknown_key: float = 0.0
    same_bill: float = 0.0
    take_back: float = 0.0
    race: float = 0.0
    """Two voids, refunds … of one original at once."""
    # the database and the HSM
    db_down: float = 0.0
    """Per minute."""
    db_slow: float = 0.0
    tell_lost: float = 0.0
    """The result of a commit comes seconds later (K19)."""
    hsm_down: float = 0.0
    # chip cards at terminals
    chip: float = 0.0
    """Share of payments with a chip."""
    card_declines: float = 0.0
    finish_lost: float = 0.0
    """The link breaks, and what was being said with it."""
    finish_late: float = 0.0
    finish_twice: float = 0.0
    kiosk_power: float = 0.0
    """Three times a minute."""

    def heal(self) -> None:
        """Every fault off; what the counterparties *are* stays."""
        for name in (*_STRENGTHS, *_HOST_STRENGTHS, "bank_shut", "take_back", "race"):
            setattr(self, name, 0.0)

    def shown(self) -> str:
        """What is on, for people."""
        return " ".join(
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in asdict(self).items()
            if value
        )


_STRENGTHS: Mapping[str, float] = {
    "crash": 0.02,
    "freeze": 0.2,
    "stall": 0.02,
    "bank_slow": 0.1,
    "bank_cut": 0.06,
    "bank_black_hole": 0.04,
    "bank_refuse": 0.3,
    "his_slow": 0.1,
    "his_cut": 0.06,
    "his_black_hole": 0.04,
    "his_refuse": 0.2,
    "bank_silent_before": 0.15,
    "bank_silent_after": 0.2,
    "bank_late": 0.2,
    "bank_processing": 0.15,
    "bank_twice": 0.2,
    "bank_reorder": 0.4,
    "bank_wrong_mac": 0.15,
    "bank_forged": 0.1,
    "bank_declines": 0.2,
    "bank_new_keys": 0.1,
    "bank_reversal_lost": 0.4,
    "his_silent_before": 0.15,
    "his_silent_after": 0.2,
    "his_processing": 0.15,
    "his_500_booked": 0.15,
    "his_500": 0.1,
    "his_garbage": 0.05,
    "his_refuses": 0.15,
    "his_dispensed": 0.05,
    "ask_lost": 0.2,
    "answer_lost": 0.3,
    "double_tap": 0.3,
    "impatient": 0.4,
    "other_content": 0.2,
    "unknown_key": 0.2,
    "same_bill": 0.3,
    "db_down": 0.3,
    "db_slow": 0.2,
    "tell_lost": 0.1,
    "hsm_down": 0.05,
    "card_declines": 0.3,
    "finish_lost": 0.25,
    "finish_late": 0.3,
    "finish_twice": 0.3,
    "kiosk_power": 0.15,
}
"""The strongest each fault gets."""


_LADDER_SHARE = 0.4
_SHUT_MIN, _SHUT_MAX = 0.1, 0.7
_HOST_SHARE = 0.25
_HOST_STRENGTHS: Mapping[str, float] = {
    "bank_resets": 0.5,
    "reset_wrong": 0.5,
    "reset_forgotten": 0.5,
}
"""What goes wrong with keys that a host sends itself."""


def draw(seed: int, random: Random) -> Mix:
    """The mix of ``seed``: odd seeds end with reconciliation, even ones without."""
    mix = Mix(
        payments=random.randint(PAYMENTS_MIN, PAYMENTS_MAX),
        dialect=random.choice(("cup-pos", "cup-pos", "gz-ascii", "zj-bcd")),
        his_level=random.choice([Level.L3, Level.L3, Level.L2, Level.L1]),
        reconcile=seed % 2 == 1,
        bank_forgets=random.random() < 0.25,
        node_lost=random.random() < 0.15,
        bank_repeats=random.random() < 0.5,
        stories=random.randint(STORIES_MIN, STORIES_MAX),
        bank_lax=random.random() < 0.5,
        day_turns=random.random() < 0.3,
        settles=False,
        bank_strict_keys=False,
        bank_newest_mac=False,
    )
    _strengths(mix, random, _STRENGTHS)
    mix.chip = random.random()
    mix.take_back = random.random()
    mix.race = random.random() / 2
    mix.settles = mix.dialect == "cup-pos" and random.random() < 0.4
    if random.random() < _HOST_SHARE:  # behind all else: other worlds stay what they were
        _host(mix, random)
    if random.random() < _LADDER_SHARE:
        _ladder(mix, random)
    return mix


def _host(mix: Mix, random: Random) -> None:
    """A bank that is spoken to host to host."""
    mix.dialect, mix.settles = "cups-host", False
    mix.bank_strict_keys = random.random() < 0.5
    mix.bank_newest_mac = random.random() < 0.5
    _strengths(mix, random, _HOST_STRENGTHS)


def _ladder(mix: Mix, random: Random) -> None:
    """A bank that allows voids, and perhaps refunds, where it refuses reversals."""
    mix.undo = random.choice((RungKind.VOID, RungKind.REFUND, RungKind.REFUND))
    mix.undo_after_approval = random.choice((RungKind.REVERSAL, RungKind.VOID))
    mix.bank_final = random.random() < 0.4
    mix.bank_shut = random.uniform(_SHUT_MIN, _SHUT_MAX)


def _strengths(mix: Mix, random: Random, strengths: Mapping[str, float]) -> None:
    """About half of the faults are off."""
    for name, strongest in strengths.items():
        on, strength = random.random() < 0.4, random.random()
        if on:
            setattr(mix, name, strongest * (0.1 + 0.9 * strength))
