"""The auditor of what we tell a host that asks something of us: done is said of what is stored.

It reads our answers as they are written, and the database at that moment.
"""

from channels.iso8583.message import Message
from switch.ports import LogicalTerminal
from switch.store.memory import MemoryDatabase
from tests.sim.bank_keys import MAK
from tests.sim.pushes import Push, Pushes

_SHARED = LogicalTerminal(bank="bank", merchant="", terminal="")


class Acknowledgements:
    """``findings``: acknowledged, and not so (I4, I10)."""

    def __init__(self, pushes: Pushes, database: MemoryDatabase, new_day: str) -> None:
        self.findings: list[str] = []
        self._pushes = pushes
        self._database = database
        self._new_day = new_day
        self._newest: dict[str, Push] = {}
        """Name of a key → the newest reset of it that we have acknowledged."""

    def written(self, node: str, message: Message) -> None:
        """``node`` writes an answer to the bank."""
        push = self._pushes.sent.get(message.fields.get("11", ""))
        if push is None or message.code != "00":
            return
        if push.key is not None:
            self._keys(node, push)
        elif push.code == "202" and self._database.bank_days.get("bank", "") < self._new_day:
            self.findings.append(f"{node}: the turn of the day acknowledged before its commit")

    def _keys(self, node: str, push: Push) -> None:
        """What is stored is what the newest acknowledged reset brought, or newer."""
        assert push.key is not None
        name = push.key.name
        newest = max((self._newest.get(name, push), push), key=lambda one: one.key.number)  # type: ignore[union-attr]
        self._newest[name] = newest
        stored = self._database.working_keys.get(_SHARED)
        text = "" if stored is None else stored.mak if name == MAK else stored.pik
        numbers = {one.key.text: one.key.number for one in self._pushes.sent.values() if one.key}
        if numbers.get(text, 0) < newest.key.number:  # type: ignore[union-attr]
            self.findings.append(f"{node}: {name} of reset {push.stan} acknowledged, not stored")
