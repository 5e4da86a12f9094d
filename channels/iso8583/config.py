"""Configuration of a bank channel. Every time and every limit is the operator's to state."""

from msgspec import Struct


class ClientLink(Struct, frozen=True, kw_only=True, tag="client", tag_field="mode"):
    """We dial the bank."""

    host: str
    port: int


class ServerLink(Struct, frozen=True, kw_only=True, tag="server", tag_field="mode"):
    """The bank dials us. A connection above ``accept_limit`` is closed; we keep listening."""

    host: str
    """The address of ours to listen on."""
    port: int
    accept_limit: int


class TerminalConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logical terminal: the owner of a key set, a batch and a STAN counter."""

    merchant: str
    """F42, 15 characters."""
    terminal: str
    """F41, 8 characters."""
    clearing: str
    """Whose money it collects: ``outpatient`` or ``inpatient`` (双秘钥双商户号)."""
    tmk: str
    """The bank's terminal master key under our LMK, type ZMK (000)."""
    in_flight: int
    """Payments at once on this terminal; 1 unless the bank allows more in writing."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bank. Times in milliseconds."""

    dialect: str
    """Name of a built-in dialect, or path of a dialect file."""
    links: tuple[ClientLink | ServerLink, ...]
    terminals: tuple[TerminalConfig, ...]
    pin_required: bool
    cutover: str
    """``HH:MM`` local time at which the bank's business day turns (日切)."""
    connect_timeout_ms: int
    reconnect_first_ms: int
    reconnect_ceiling_ms: int
    response_timeout_ms: int
    echo_idle_ms: int
    """Nothing received for so long: ask whether the bank is still there."""
    echo_timeout_ms: int
    sign_on_retry_ms: int
    frame_limit_bytes: int
    frame_timeout_ms: int
    """A frame is complete within this time of its first byte, else the link is closed."""
    in_flight_limit: int
    """Sales at once at this bank; reversals have as many slots of their own."""
    queue_limit: int
    """Sales that may wait for a free terminal; one more is refused at once."""
    queue_wait_ms: int
    stan_block: int
    expired_limit: int
    """Ended exchanges remembered, to know late and duplicate answers."""
    max_wrong_macs: int
    """So many unauthentic frames in a row: the link is dropped and signed on anew."""
    key_max_age_ms: int
    """Older keys start no debit; they are renewed at nine tenths of it."""
    clock_skew_alarm_ms: int
    not_found_waits_ms: tuple[int, ...]
    """After 25 (no original): the reversal is sent again at these waits."""
    reversal_waits_ms: tuple[int, ...]
    """Waits between the tries of a reversal; the last one repeats for ever."""
