"""The key ring of a node: the key store in memory, as of one moment.

A change in the store is taken up within ``POLL_MS``, and whole: the snapshot is replaced by one
assignment, so no command of a payment sees half a rotation. While the database is away the ring
stays as it was, which is safe: an old LMK is only finished when every living node has let go of it.
"""

from typing import Final, Protocol

from twisted.internet.defer import Deferred

from switch.model.held_key import named_key
from switch.model.key_snapshot import Snapshot
from switch.model.outcome import Millis
from switch.observe.logs import get_logger
from switch.ports import Cancellable, JournalDown, KeyServiceError, Timeline

POLL_MS: Final = 1_000
"""How soon a node takes up a change of the key store."""

_log = get_logger("keys")


class Source(Protocol):
    """Where snapshots come from: the database."""

    async def newer_than(self, version: int) -> Snapshot | None:
        """None when the store has not changed since. JournalDown when it cannot be asked."""
        ...


class StoredKeyRing:
    """:class:`switch.ports.KeyRing` over the key store."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._snapshot = Snapshot()
        self._poll: Cancellable | None = None
        self._source: Source | None = None

    def resolve(self, text: str) -> str:
        """See ``ports.KeyRing.resolve``."""
        snapshot = self._snapshot
        name = named_key(text)
        if not name:
            return snapshot.successors.get(text, text)
        held = snapshot.names.get(name)
        if held is None:
            raise KeyServiceError("key", "name", f"the key store holds no active key {name!r}")
        return held

    def require_valid(self, text: str) -> None:
        """See ``ports.KeyRing.require_valid``. A literal has no limits."""
        validity = self._snapshot.validity.get(named_key(text))
        if validity is None:
            return
        now = self._timeline.now_ms()
        if validity.not_after and now >= validity.not_after:
            raise KeyServiceError("key", "expired", f"key {named_key(text)!r} has expired")
        if now < validity.not_before:
            raise KeyServiceError("key", "expired", f"key {named_key(text)!r} is not valid yet")

    async def start(self, source: Source) -> None:
        """Load the store, then look for changes until :meth:`stop`. JournalDown: not loaded."""
        self._source = source
        await self._refresh(source)
        self._plan()

    def stop(self) -> None:
        """Look no more."""
        self._source = None
        if self._poll is not None:
            self._poll.cancel()

    async def _refresh(self, source: Source) -> None:
        newer = await source.newer_than(self._snapshot.version)
        if newer is not None:
            self._snapshot = newer
            _log.info("keys_taken", version=newer.version, names=len(newer.names))

    def _plan(self) -> None:
        at = Millis(self._timeline.now_ms() + POLL_MS)
        self._poll = self._timeline.call_at(at, lambda: Deferred.fromCoroutine(self._look()))

    async def _look(self) -> None:
        source = self._source
        if source is None:
            return
        try:
            await self._refresh(source)
        except JournalDown as error:
            _log.warning("keys_not_read", reason=str(error))
        finally:
            if self._source is not None:
                self._plan()
