"""What a host asks of us itself: new keys, one message each, and the turn of its business day.

It repeats what is not answered, at times by another link; it says things wrongly, and forgets. A
key is the bank's only when its own answer has proven that we have it.
"""

from collections.abc import Callable
from random import Random
from time import localtime, strftime

from msgspec import Struct

from channels.iso8583.codec import Codec
from channels.iso8583.message import Message
from tests.sim.bank_keys import MAK, PIK, BankKeys, Key
from tests.sim.clock import SimClock
from tests.sim.key_service import kcv_of, mac_of
from tests.sim.mix import Mix

_AGAIN_S = 10.0
RESET_TRIES = 5
"""Then the bank gives a reset up, and nobody knows whether we have it."""
_KINDS = {PIK: "1", MAK: "2"}
_START, _END = "201", "202"


class Push(Struct, kw_only=True):
    """One message of the bank's. ``key`` of a reset; ``code`` is F70 of a turn of the day."""

    stan: str
    frame: bytes
    key: Key | None = None
    code: str = ""
    wrong: str = ""
    """What is wrong with it: ``kcv``, ``mac``."""
    then: str = ""
    """The key that follows its answer."""
    tries: int = 0
    answer: str = ""


class Pushes:
    """``say`` brings bytes to the switch by any link, False: there is none; ``places`` are
    (F42, F41) that a message may name. ``sent``: everything, by its STAN."""

    def __init__(
        self,
        clock: SimClock,
        random: Random,
        mix: Mix,
        codec: Codec,
        keys: BankKeys,
        places: list[tuple[str, str]],
        epoch_s: float,
        say: Callable[[bytes], bool],
        trace: Callable[..., None],
    ) -> None:
        self.sent: dict[str, Push] = {}
        self.turned_at = float("inf")
        """When it first said that its day has turned."""
        self._clock = clock
        self._random = random
        self._mix = mix
        self._codec = codec
        self._keys = keys
        self._places = places
        self._epoch_s = epoch_s
        self._say = say
        self._trace = trace

    # ---- keys ------------------------------------------------------------------------------------

    def keys(self) -> None:
        """Both keys: one behind the other's answer, or at once."""
        at_once = self._random.random() < 0.3
        self._reset(MAK, PIK if not at_once else "")
        if at_once:
            self._reset(PIK)

    def some(self) -> None:
        """New keys unasked, whatever is on its way: one of them, or both."""
        if self._random.random() < 0.5:
            self.keys()
        else:
            self._reset(self._random.choice((PIK, MAK)))

    def _reset(self, name: str, then: str = "") -> None:
        key, random = self._keys.fresh(name), self._random
        wrong = random.choice(("kcv", "mac")) if random.random() < self._mix.reset_wrong else ""
        shown = kcv_of(key.digits if wrong != "kcv" else key.digits[::-1] + "0")[:8]
        block = key.digits + (shown if wrong == "kcv" or random.random() < 0.5 else "")
        stan = f"{len(self.sent) + 1:06d}"
        fields = {"7": self._now(), "11": stan, "33": "00000000000", "48": "NK" + block}
        fields |= {"53": f"{_KINDS[name]}600000000000000", "70": "101", "128": "0" * 8}
        if random.random() < 0.5:  # a host may leave out whose they are
            fields["42"], fields["41"] = random.choice(self._places)
        encoded = self._codec.encode("0800", fields)
        by = key.text if wrong != "mac" else "another"
        frame = self._keys.seal(encoded, "0800", fields, self._codec.mab(encoded), by)
        if wrong:
            self._keys.bad[name].append(key)
        push = self.sent[stan] = Push(stan=stan, frame=frame, key=key, wrong=wrong, then=then)
        self._trace("bank", "key reset", name, stan, wrong)
        self._send(push)

    # ---- the day ---------------------------------------------------------------------------------

    def turn_day(self) -> None:
        """日切: it begins, and a little later it is over and the new day is there."""
        self._day(_START)
        self._clock.callLater(self._random.uniform(0.5, 8), self._day, _END)

    def _day(self, code: str) -> None:
        if code == _END:
            self.turned_at = self._clock.rightNow
        stan = f"{len(self.sent) + 1:06d}"
        fields = {"7": self._now(), "11": stan, "33": "00000000000", "70": code}
        frame = self._codec.encode("0820", fields)
        self.sent[stan] = push = Push(stan=stan, frame=frame, code=code)
        self._trace("bank", "day cut", code)
        self._send(push)

    # ---- both ------------------------------------------------------------------------------------

    def _send(self, push: Push) -> None:
        """Until it is answered; a reset only so often."""
        if push.answer or (push.key is not None and push.tries >= RESET_TRIES):
            return
        given_up = push.tries and push.key and self._random.random() < self._mix.reset_forgotten
        if given_up:
            return
        push.tries += self._say(push.frame)
        self._clock.callLater(_AGAIN_S, self._send, push)

    def answered(self, message: Message) -> None:
        """Our answer. One that does not prove itself changes nothing."""
        push = self.sent.get(message.fields.get("11", ""))
        if push is None or push.answer:
            return
        code = message.code
        if push.key is not None and code == "00":
            data = self._keys.macs.input(message.mti, message.fields, message.mab)
            if mac_of(push.key.text, data, self._keys.macs.form).decode() != message.fields["128"]:
                return
            if push.wrong:
                self._keys.misused.append(
                    f"key reset {push.stan}: taken, with a wrong {push.wrong}"
                )
            else:
                self._keys.adopt("", push.key)
        self._trace("bank", "heard", message.mti, push.stan, code)
        if code == "00" or push.key is not None:
            push.answer = code
        if code == "00" and push.then:
            self._clock.callLater(self._random.uniform(0, 2), self._reset, push.then)

    def _now(self) -> str:
        return strftime("%m%d%H%M%S", localtime(self._epoch_s + self._clock.rightNow))
