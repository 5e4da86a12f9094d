"""What processes write, as an auditor on the wire sees it: who moves money, for what, when.

A money message is written only by the node that drives its payment (I13) and, where it takes or
gives money, by the one that holds its logical terminal, never while another has one out on it
(rule 15).
"""

import re
from collections.abc import Callable
from typing import Any

from channels.iso8583.codec import Codec
from channels.iso8583.message import Message
from switch.ports import LogicalTerminal
from tests.sim.clock import SimClock
from tests.sim.node import BANK, BANK_PORT, HIS_PORT
from tests.sim.process import Mortal
from tests.sim.reading import Identity, Reading

_HIS_MONEY = re.compile(
    rb"Biz\.(?:MENZHENJS|YUJIAOJIN|JIESUANQX)<.*JIAOYILSH&gt;([^&]*)&", re.DOTALL
)
_TIMEOUT_S = BANK.response_timeout_ms / 1000


class Wire:
    """``moves``: when an operation (True) or its reversal was written. ``trespasses``:
    what was written by a node that may not."""

    def __init__(
        self,
        codec: Codec,
        reading: Reading,
        database: Any,
        clock: SimClock,
        epoch_of: Callable[[str], int],
        trace: Callable[..., None],
    ) -> None:
        self.moves: list[tuple[float, bool, Identity]] = []
        self.trespasses: list[str] = []
        self.acknowledged: Callable[[str, Message], None] = _unseen
        """Called with our answers to what the bank asks."""
        self._codec = codec
        self._reading = reading
        self._database = database
        self._clock = clock
        self._epoch_of = epoch_of
        self._trace = trace
        self._out: dict[tuple[str, str], dict[Identity, tuple[Mortal, float]]] = {}
        """Logical terminal → what is out on it: by which process, since when."""

    def written(self, process: Any, port: int, data: bytes) -> None:
        """``process`` writes ``data``; the bytes may still be lost."""
        if not isinstance(process, Mortal):
            return
        epoch = self._epoch_of(process.name)
        if port == HIS_PORT:
            found = _HIS_MONEY.search(data)
            if found:
                key = found[1].decode()
                # what refunds it un-books it under the original's key
                self._check(process, epoch, key, *self._database.referring.get(key, ()))
        elif port == BANK_PORT:
            self._to_bank(process, epoch, data)

    def read(self, process: Any, identity: Identity) -> None:
        """``process`` has read an answer to this message."""
        self._out.get(identity[:2], {}).pop(identity, None)

    def _to_bank(self, process: Mortal, epoch: int, data: bytes) -> None:
        if len(data) == self._reading.prefix:
            return  # a sign of life
        message = self._codec.decode(data[self._reading.prefix :])
        if not self._codec.dialect.mtis[message.mti].answer:
            self.acknowledged(process.name, message)
            return
        kind = self._reading.kind(message)
        if not self._reading.moves_money(kind):
            return
        operates = kind != "reversal"
        named = self._reading.identity if operates else self._reading.original
        identity = named(kind, message)
        key = self._database.owners.get(identity, "")
        if not key:
            return
        self.moves.append((self._clock.rightNow, operates, identity))
        if operates:
            self._check_terminal(process, epoch, key, identity)
        merchant, terminal, number, _ = identity
        logical = LogicalTerminal(bank="bank", merchant=merchant, terminal=terminal)
        if any(one.closed_at for one in self._database.batches.of(logical, number)):
            self._report(f"{key}: {process.name} wrote for a batch that is settled (rule 19)")
        self._check(process, epoch, key)

    def _check(self, process: Mortal, epoch: int, *keys: str) -> None:
        rows = [self._database.rows[key] for key in keys if key in self._database.rows]
        if rows and all(row.fence != epoch for row in rows):
            self._report(f"{keys[0]}: {process.name} wrote for it, {rows[0].owner} drives it")

    def _check_terminal(self, process: Mortal, epoch: int, key: str, identity: Identity) -> None:
        merchant, terminal = identity[:2]
        logical = LogicalTerminal(bank="bank", merchant=merchant, terminal=terminal)
        if self._database.holders[logical].fence != epoch:
            self._report(f"{key}: {process.name} used another node's terminal")
        now, out = self._clock.rightNow, self._out.setdefault((merchant, terminal), {})
        for other, since in out.values():
            if other is not process and other.alive and now < since + _TIMEOUT_S:
                self._report(f"{key}: {process.name} used a terminal on which {other.name} waits")
        out[identity] = process, now

    def _report(self, text: str) -> None:
        self._trace("trespass", text)
        self.trespasses.append(text)


def _unseen(_node: str, _message: Message) -> None:
    """Nobody looks."""
