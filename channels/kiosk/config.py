"""The kiosk front's section of the configuration. Every limit is stated, none has a default."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from channels.kiosk.registry import Registry
from switch.model.ask import Ask

Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
Limit = Annotated[int, Meta(ge=1, le=1_000)]


class Offer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A business that terminals may ask for."""

    title: str
    clearing: str
    """``outpatient`` or ``inpatient``: a terminal's record may be limited to some."""


class KioskConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where terminals connect, and how much each may ask."""

    bind: str
    """Address to listen on."""
    port: int
    """WebSocket over mutual TLS; 0 = any free port."""
    enrol_port: int
    """Enrolment over TLS; 0 = any free port."""
    pki: str
    """Folder of the authority, the server's certificate and the terminals' registry."""
    businesses: dict[str, Offer]
    connections_max: int
    handshake_timeout_ms: int
    """TLS and the WebSocket upgrade together."""
    silence_timeout_ms: int
    """No message for so long: the link is cut. At least twice ``heartbeat_ms``."""
    terminal_timeout_ms: int
    """Told to the terminal at boot: a request is not given up before. At least as long as the
    exchanges of one payment may take together (rule 12 of docs/payment-law.md)."""
    heartbeat_ms: int
    """Told to the terminal at boot."""
    finish_timeout_ms: Milliseconds
    """How long a terminal may take to finish a chip card (second GENERATE AC, scripts), and to say
    how one ended."""
    finish_ask_times: Limit
    """Without an answer the terminal is asked so often how the card ended; then the debit goes
    back."""
    finish_ask_wait_ms: Milliseconds
    """Before each of these, and between tries while the terminal is away."""
    message_bytes_max: int
    """A larger message closes the link (1009)."""
    in_flight_max: int
    """Open requests of one terminal; one more is answered ``busy``."""
    outgoing_bytes_max: int
    """Waiting for a terminal that does not read; more cuts the link."""
    registry_check_ms: int
    """How soon a revoked or disabled terminal is cut off."""
    enrol_connections_max: int
    enrol_timeout_ms: int
    """A whole enrolment exchange."""
    enrol_tries_per_minute: int
    """Codes tried, over all terminals; more are answered 429."""

    def listens_on(self) -> tuple[tuple[tuple[str | int, ...], str, int], ...]:
        """(path, host, port) of both ports."""
        ports = {"port": self.port, "enrol_port": self.enrol_port}
        return tuple(((key,), self.bind, port) for key, port in ports.items())

    def asks_for(self) -> tuple[Ask, ...]:
        """Its businesses; hospital and medium are the terminal's to say."""
        return tuple(
            Ask(path=("businesses", name), business=name, clearing=offer.clearing, kiosks=True)
            for name, offer in self.businesses.items()
        )

    def longest_ms(self) -> int:
        """What its terminals may add to a payment: finishing the card."""
        return self.finish_timeout_ms

    def held_keys(self) -> tuple[tuple[str, str, str], ...]:
        """(file, key type, text) of every pad key in the registry. RegistryError."""
        terminals = Registry(Path(self.pki)).all()
        return tuple((f"terminals/{t.terminal}.json tpk", "002", t.tpk) for t in terminals if t.tpk)
