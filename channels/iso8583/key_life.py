"""How good the keys of a session are: there, young, and not refused by the bank.

A key is *to come* when there is none, when it is old, or when it is still the one that the bank has
refused (A0, 77, 99): which node of ours took a newer one does not matter (rule 16).
"""

from channels.iso8583.dialect import KeyName
from channels.iso8583.new_keys import NewKeys
from switch.model.outcome import Millis
from switch.ports import Timeline, WorkingKeys


class KeyLife:
    """Of the newest set that ``new_keys`` knows. Older than ``max_age_ms`` it starts no debit."""

    def __init__(self, new_keys: NewKeys, max_age_ms: int, timeline: Timeline) -> None:
        self._new_keys = new_keys
        self._max_age_ms = max_age_ms
        self._timeline = timeline
        self._refused: dict[KeyName, str] = {}

    def refuse(self) -> None:
        """The bank does not take these any more, or nobody knows whether it does."""
        keys = self._new_keys.newest
        self._refused = _by_name(keys) if keys is not None else {}

    def believe(self, kinds: frozenset[KeyName]) -> None:
        """The bank itself sent them just now, new or once more."""
        for name in kinds:
            self._refused.pop(name, None)

    def to_come(self) -> frozenset[KeyName]:
        """Which keys must be new before a debit may begin."""
        keys = self._new_keys.newest
        if keys is None:
            return frozenset(KeyName)
        old_at = self._timeline.now_ms() - self._renew_age_ms
        ages = {KeyName.PIK: keys.pik_at, KeyName.MAK: keys.mak_at}
        return frozenset(
            name
            for name, key in _by_name(keys).items()
            if not key
            or key == self._refused.get(name)
            or (ages[name] or keys.installed_at) <= old_at
        )

    def young(self) -> bool:
        """Whether there are both keys, and both may start debits."""
        keys = self._new_keys.newest
        if keys is None or not (keys.pik and keys.mak):
            return False
        return self._timeline.now_ms() - keys.installed_at < self._max_age_ms

    def renew_at(self) -> Millis:
        """At nine tenths of the age at which new debits would stop (rule 16)."""
        keys = self._new_keys.newest
        return Millis((keys.installed_at if keys is not None else 0) + self._renew_age_ms)

    @property
    def _renew_age_ms(self) -> int:
        return self._max_age_ms * 9 // 10


def _by_name(keys: WorkingKeys) -> dict[KeyName, str]:
    return {KeyName.PIK: keys.pik, KeyName.MAK: keys.mak}
