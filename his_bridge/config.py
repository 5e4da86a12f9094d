"""What an operator states for one hospital; the interface itself stands in the profile."""

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from his_bridge.breaker import BreakerSettings
from his_bridge.errors import ProfileError
from his_bridge.http import Target
from his_bridge.policy import FUNCTION_OF, Level
from his_bridge.profile import FunctionName, Profile
from his_bridge.profile_file import load_profile
from switch.model.secret import Secret

HEAD_LIMIT_BYTES = 16_384
"""Of a response; IIS and Tomcat keep below 8 KB themselves."""

Limit = Annotated[int, Meta(ge=1)]


class HospitalConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hospital behind the bridge."""

    profile: str
    """Name of a shipped profile, or a file."""
    url: str
    """``http://host:port/path`` or ``https://…``."""
    level: Level
    """How much of the profile's guarantees to use: L1 until the acceptance test is passed."""
    ca_file: str = ""
    """For https: the hospital's own authority (PEM); empty = the system's."""
    site: dict[str, str] = {}
    """Fills the profile's ``${site.…}``: operator code, branch …"""
    secrets: dict[str, Secret[str]] = {}
    """More of ``site``, by reference: the operator's password."""
    connections: Limit
    """Open at once, and so the calls in flight: one call at a time on each (I11)."""
    inquiries_limit: Limit
    """Connections that patient and bill queries may hold at once; leave some for money."""
    connect_timeout_ms: Limit
    """Without a connection by then the call was not sent."""
    idle_ms: Limit
    """A connection idle for longer is not used again; shorter than the web server's keep-alive
    time, or a call may meet a closing connection and end as unknown."""
    queue_limit: Limit
    """Calls that wait for a connection, money and inquiries each; one more is not sent."""
    queue_wait_ms: Limit
    """How long they wait; then they were not sent."""
    breaker: BreakerSettings
    """When new debits stop because the hospital cannot book (I6)."""

    def operations(self) -> frozenset[str]:
        """What else this hospital books (switch.model.operation)."""
        functions = load_profile(self.profile).functions
        asked = {name: operation for (_, operation), name in FUNCTION_OF.items() if operation}
        return frozenset(asked[name] for name in functions if name in asked)

    def named_files(self) -> tuple[tuple[str, str], ...]:
        """(field, path) of the hospital's authority."""
        return (("ca_file", self.ca_file),) if self.ca_file else ()

    def longest_ms(self) -> int:
        """Hold and confirm of one payment, each with its longest wait for a connection."""
        return self._longest_ms(FunctionName.HOLD, FunctionName.CONFIRM)

    def booking_ms(self) -> int:
        """Confirm alone, where the bank began the payment."""
        return self._longest_ms(FunctionName.CONFIRM)

    def _longest_ms(self, *names: FunctionName) -> int:
        functions = load_profile(self.profile).functions
        asked = [functions[name] for name in names if name in functions]
        return sum(self.queue_wait_ms + one.timeout_ms for one in asked)


def target_of(config: HospitalConfig, profile: Profile) -> tuple[Target, bytes]:
    """Where to connect, and the request head up to ``Content-Length: ``.

    Raises ProfileError for a URL that is not http(s).
    """
    parts = urlsplit(config.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ProfileError("url", "must be http://host[:port]/path or https://…")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    encoding = profile.transport.encoding
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: text/xml; charset={encoding}\r\n"
        f'SOAPAction: "{profile.transport.soap_action}"\r\nContent-Length: '
    )
    target = Target(
        host=parts.hostname,
        port=parts.port or (443 if tls else 80),
        tls=tls,
        ca_file=config.ca_file,
        connections=config.connections,
        inquiries_limit=config.inquiries_limit,
        connect_timeout_ms=config.connect_timeout_ms,
        idle_ms=config.idle_ms,
        queue_limit=config.queue_limit,
        queue_wait_ms=config.queue_wait_ms,
        head_limit_bytes=HEAD_LIMIT_BYTES,
        body_limit_bytes=profile.transport.reply_limit_bytes,
    )
    return target, head.encode("ascii")


def site_of(config: HospitalConfig) -> dict[str, str]:
    """``site`` and ``secrets`` together. Raises ProfileError where a name stands in both."""
    for key in config.secrets:
        if key in config.site:
            raise ProfileError(f"secrets.{key}", "stands in site, too")
    return config.site | {key: secret.reveal() for key, secret in config.secrets.items()}
