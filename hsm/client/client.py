"""The key service as the composition root starts, stops and asks it."""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from hsm.client.config import HsmConfig
from hsm.client.connection import Connect
from hsm.client.pool import Pool
from hsm.client.service import HostCommandService
from hsm.codec import Command
from switch.observe import metrics
from switch.ports import KeyRing, KeyServiceError, Timeline


class HsmClient(HostCommandService):
    """Host commands over a pool of connections."""

    def __init__(
        self,
        name: str,
        config: HsmConfig,
        timeline: Timeline,
        connect: Connect,
        *,
        random: Callable[[], float],
        entropy: Callable[[int], bytes],
        ring: KeyRing | None = None,
    ) -> None:
        """``connect`` opens transports (see hsm.client.connector); ``random`` gives jitter, 0 ≤ x <
        1; ``entropy(n)`` gives n bytes for the vault's IVs."""
        super().__init__(self._over_the_pool, config.dek, config.lmk_id, entropy, ring)
        self.name = name
        self._pool = Pool(
            config, timeline, connect, random, _count_dropped, lmk_in_use=lambda: self.lmk_in_use
        )

    def start(self) -> None:
        """Begin to connect; commands wait (``timeout_ms``) until a connection is there."""
        self._pool.start()

    async def stop(self) -> None:
        """Close every connection; what is under way fails as ``down``."""
        self._pool.stop()

    def health(self) -> Mapping[str, str]:
        """Address → ``up``, or why no command goes there."""
        return {f"{self.name} {address}": state for address, state in self._pool.health().items()}

    @property
    def up(self) -> bool:
        """Whether any key service is in rotation: without one no new payment should begin."""
        return self._pool.connections_up > 0

    async def _over_the_pool(self, command: Command, body: bytes) -> bytes:
        began = time.perf_counter()
        try:
            answer = await self._pool.exchange(command.code, body, idempotent=command.idempotent)
        except KeyServiceError as error:
            metrics.HSM_ERRORS.labels(command.code, error.code).inc()
            raise
        _seconds(command.code).observe(time.perf_counter() - began)
        if answer[2:4] not in _SETTLED:
            _count_error(command.code, answer[2:4])
        return answer


_SETTLED = (b"00", b"01")


@cache
def _seconds(code: str) -> Any:
    return metrics.HSM_COMMAND_SECONDS.labels(code)


def _count_error(command: str, code: bytes) -> None:
    known = code.isalnum() and code.isascii()
    metrics.HSM_ERRORS.labels(command, code.decode("ascii") if known else "other").inc()


def _count_dropped(reason: str) -> None:
    metrics.HSM_ERRORS.labels("answer", reason).inc()
