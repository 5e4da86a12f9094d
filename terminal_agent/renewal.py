"""Renews the kiosk's certificate at two thirds of its life, long before anybody has to think of it.

Looked at when the program starts and once a day; a try that failed is repeated a little later than
the switch allows the next one. The new pair is used from the next link on, for which the present
one is ended as soon as no patient is served and no payment open.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.certificate import CertificateError, Identity
from terminal_agent.link import Late, Link, Lost, Refused
from terminal_agent.logs import get_logger

_log = get_logger("renewal")

LOOK_S = 86_400
RETRY_S = 3_900
"""The switch renews once an hour."""
IDLE_S = 60


class Renewal:
    """One kiosk's renewals."""

    link: Link

    def __init__(
        self,
        reactor: Any,
        identity: Identity,
        terminal: str,
        *,
        now_ms: Callable[[], int],
        is_idle: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._identity = identity
        self._terminal = terminal
        self._now_ms = now_ms
        self._is_idle = is_idle
        self._next: Any = None
        self._owed = False

    def start(self) -> None:
        """Look now, and every day."""
        self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def link_came_up(self) -> None:
        """A renewal that waited for the link."""
        if self._owed:
            self._look()

    def _look(self) -> None:
        self._owed = False
        if not self._identity.is_due(self._now_ms()):
            self._again(LOOK_S)
        elif not self.link.up:
            self._owed = True
            self._again(LOOK_S)
        else:
            self._again(RETRY_S)
            Deferred.fromCoroutine(self._renew()).addErrback(_broken)

    async def _renew(self) -> None:
        try:
            csr = self._identity.request(self._terminal)
            envelope = await self.link.request(
                protocol.CERTIFICATE_RENEW, protocol.CertificateRenew(csr=csr)
            )
            self._identity.keep(protocol.decode_reply(envelope, protocol.Renewed).certificate)
        except (Lost, Late, Refused, protocol.ProtocolError, CertificateError, OSError) as error:
            _log.warning("renewal_failed", reason=str(error))
            return
        _log.info("certificate_renewed")
        self._again(LOOK_S)
        self._use()

    def _use(self) -> None:
        if not self._identity.has_next:
            return  # a link of its own accord has proved it already
        if self._is_idle():
            self.link.redial()
        else:
            self._reactor.callLater(IDLE_S, self._use)

    def _again(self, wait_s: int) -> None:
        self.stop()
        self._next = self._reactor.callLater(wait_s, self._look)


def _broken(failure: Failure) -> None:
    """Named boundary: the certificate in use goes on; the next look tries again."""
    _log.error("renewal_failed", exc_info=failure.value)
