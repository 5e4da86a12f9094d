"""Configuration of a bank channel. Every time and every limit is the operator's to state."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from channels.iso8583.clocks import DayWindow
from channels.iso8583.dialect import Action
from channels.iso8583.errors import DialectError
from channels.iso8583.load import configured_dialect, load_dialect, said_of_terminals
from channels.iso8583.sentences import sentence
from switch.model.held_key import check_held
from switch.net.allowed import AllowList

Milliseconds = Annotated[int, Meta(ge=1, le=7 * 86_400_000)]
Limit = Annotated[int, Meta(ge=1, le=1_000_000)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
TerminalId = Annotated[str, Meta(pattern="^[0-9A-Za-z]{8}$")]
MerchantId = Annotated[str, Meta(pattern="^[0-9A-Za-z]{15}$")]
TimeOfDay = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
UndoName = Literal["reversal", "void", "refund"]


def tls_files(place: str, tls: "ClientTls | ServerTls | None") -> tuple[tuple[str, str], ...]:
    """(field, path) of every file that a section ``tls`` at ``place`` names."""
    named = [(name, getattr(tls, name, "")) for name in ("ca", "certificate", "key")]
    return tuple((f"{place}.{name}", path) for name, path in named if path)


class ClientTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS 1.2 or 1.3 towards a peer that we dial: paths of PEM files."""

    ca: str
    """The authorities that may have signed the peer's certificate; no other is trusted."""
    peer_name: str
    """Who must answer: a host name or address of its certificate, or its common name."""
    certificate: str = ""
    """Ours, with its chain, where the peer asks for one."""
    key: str = ""
    """Its private key, not encrypted, readable by the switch's user alone."""

    def __post_init__(self) -> None:
        """A certificate and its key come together."""
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key: both or neither")
        if not self.peer_name:
            raise ValueError("peer_name: who must answer is not stated")


class ServerTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS 1.2 or 1.3 towards peers that dial us: each must show a certificate."""

    ca: str
    """The authorities that may have signed the peers' certificates; no other is trusted."""
    certificate: str
    """Ours, with its chain."""
    key: str
    """Its private key, not encrypted, readable by the switch's user alone."""
    peer_names: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Who may come: host names, addresses or common names of their certificates."""


class ClientLink(
    Struct, frozen=True, kw_only=True, tag="client", tag_field="mode", forbid_unknown_fields=True
):
    """We dial the bank."""

    host: str
    port: Port
    tls: ClientTls | None = None
    """Absent: the link is in clear; MAC and PIN block are all that protects it."""


class Doorway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where peers connect to us. Who is refused is closed; we keep listening."""

    host: str
    """The address of ours to listen on."""
    port: Port
    accept_limit: Limit
    """Connections at once."""
    peer_limit: Limit
    """Of these, from one address."""
    allow: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Addresses and ranges (CIDR) that may connect; ``0.0.0.0/0`` lets all of IPv4 in."""
    tls: ServerTls | None = None
    """Absent: connections are in clear; MAC and PIN block are all that protects them."""

    def __post_init__(self) -> None:
        """Ranges are ranges; ``10.1.2.3/16`` is a mistake for an address or for 10.1.0.0/16."""
        AllowList(self.allow)


class ServerLink(
    Doorway, frozen=True, kw_only=True, tag="server", tag_field="mode", forbid_unknown_fields=True
):
    """The bank dials us."""


class TerminalConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logical terminal: the owner of a key set, a batch and a STAN counter."""

    merchant: MerchantId
    """F42, 15 characters."""
    terminal: TerminalId
    """F41, 8 characters."""
    clearing: str
    """Whose money it collects: ``outpatient`` or ``inpatient`` (双密钥双商户号)."""
    tmk: str
    """The bank's terminal master key, type ZMK (000): ``key:NAME`` in the key store, or a
    cryptogram under our LMK."""
    in_flight: Limit
    """Payments at once on this terminal; 1 unless the bank allows more in writing."""
    kiosk: str = ""
    """Id of the kiosk that this terminal is dedicated to: its pad makes PIN blocks under the
    terminal's own PIN key (pass-through), and nobody else uses it. Empty: it belongs to the pool,
    and the HSM translates."""
    serial: str = ""
    """Hardware serial number that the bank registered (终端序列号), for the dialect's
    ``terminal_block``; refused where no message has it. Empty: the block is left out."""
    operator: Annotated[str, Meta(pattern=r"^[0-9A-Za-z ]{0,10}\Z")] = ""
    """Operator number (操作员号, 63.1), filled with spaces as the bank wants it; refused where
    no message of the dialect has it. Empty: the dialect's constant."""
    merchant_name: Annotated[str, Meta(max_length=40)] = ""
    """商户名称 as slips print it; empty: not printed."""

    def __post_init__(self) -> None:
        """The form of its key."""
        check_held("tmk", self.tmk)


class UndoConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the bank lets a debit be undone, in writing (rule 8)."""

    ladder: Annotated[tuple[UndoName, ...], Meta(min_length=1)] = ("reversal",)
    """``reversal``, then ``void``, then ``refund``: the next one only when the bank has definitely
    refused the one before. Those that the dialect has no message for are left out."""
    after_approval: Literal["reversal", "void"] = "reversal"
    """Where undoing begins once the approval has come: ``void`` at a bank that takes a reversal
    after a time-out only."""

    def __post_init__(self) -> None:
        """A ladder goes down, and begins with what needs no answer to have come."""
        if self.ladder[0] != "reversal":
            raise ValueError("undo.ladder: begins with reversal")
        if list(self.ladder) != [name for name in get_args(UndoName) if name in self.ladder]:
            raise ValueError("undo.ladder: of reversal, void, refund, in this order")
        if self.after_approval not in self.ladder:
            raise ValueError(f"undo.after_approval: {self.after_approval} is not in undo.ladder")


class SettlementConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Batch settlement (批结算) of this bank's logical terminals."""

    at: TimeOfDay | None = None
    """``HH:MM`` local time, every day; absent: when an operator orders it."""
    deadline_ms: Milliseconds
    """From the order on: what is Unknown or going back then becomes an exception (rule 19)."""
    waits_ms: Annotated[tuple[Milliseconds, ...], Meta(min_length=1)]
    """Waits before a message of the settlement is sent again; the last one repeats."""
    tries: Limit
    """Definite failures before a batch is left to a person."""


class TraceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A masked record of every message, for a bank's tests (验收测试)."""

    directory: str
    """Whole path of a folder of the switch's user; below ``node.data_dir``, say."""
    files: Limit
    """The one that is written, and older ones, oldest dropped."""
    bytes: Annotated[int, Meta(ge=4_096, le=1_000_000_000)]
    """A file this long is full."""

    def __post_init__(self) -> None:
        """Not below whatever folder the switch happens to be started in."""
        if not Path(self.directory).is_absolute():
            raise ValueError(f"trace.directory: write the whole path, not {self.directory!r}")


_WISH_LOOKS = 3


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bank. Times in milliseconds."""

    dialect: str
    """Name of a built-in dialect, or whole path of a dialect file."""
    links: Annotated[tuple[ClientLink | ServerLink, ...], Meta(min_length=1)]
    terminals: Annotated[tuple[TerminalConfig, ...], Meta(min_length=1)]
    pin_required: bool
    cutover: TimeOfDay
    """``HH:MM`` local time at which the bank's business day turns (日切)."""
    cutover_earliest: TimeOfDay | None = None
    """A bank that announces its day itself (日切) is believed from then on; earlier, it is refused
    and alarmed. None: not before ``cutover``."""
    cutover_latest: TimeOfDay | None = None
    """A bank that announces its day itself (日切) is waited for until then; after it the calendar
    counts all the same. None: it is not waited for beyond ``cutover``."""
    connect_timeout_ms: Milliseconds
    """Until a connection stands, and again until TLS does."""
    reconnect_first_ms: Milliseconds
    reconnect_ceiling_ms: Milliseconds
    response_timeout_ms: Milliseconds
    echo_idle_ms: Milliseconds
    """Nothing received for so long: ask whether the bank is still there."""
    echo_timeout_ms: Milliseconds
    sign_on_retry_ms: Milliseconds
    frame_limit_bytes: Limit
    frame_timeout_ms: Milliseconds
    """A frame is complete within this time of its first byte, else the link is closed."""
    in_flight_limit: Limit
    """Sales at once at this bank; reversals have as many slots of their own."""
    queue_limit: Limit
    """Sales that may wait for a free terminal; one more is refused at once."""
    queue_wait_ms: Milliseconds
    """How long a payment waits for a free terminal, a sign-on included. A refusal for stale keys
    (A0, 77) that comes later than this after the sending is not tried again (rule 17 of
    docs/payment-law.md)."""
    terminal_share_ms: Milliseconds
    """How often nodes on one database look at whose the logical terminals are."""
    stan_block: Limit
    expired_limit: Limit
    """Ended exchanges remembered, to know late and duplicate answers."""
    max_wrong_macs: Limit
    """So many unauthentic frames in a row: the link is dropped and signed on anew."""
    key_max_age_ms: Milliseconds
    """Older keys start no debit; they are renewed at nine tenths of it."""
    clock_skew_alarm_ms: Milliseconds
    not_found_waits_ms: Annotated[tuple[Milliseconds, ...], Meta(min_length=1)]
    """After 25 (no original): the reversal is sent again at these waits."""
    reversal_waits_ms: Annotated[tuple[Milliseconds, ...], Meta(min_length=1)]
    """Waits between the tries of a reversal; the last one repeats for ever."""
    undo: UndoConfig = UndoConfig()
    settlement: SettlementConfig | None = None
    """Absent: the bank closes batches by itself, or has none."""
    trace: TraceConfig | None = None
    """Absent: nothing is recorded."""

    def __post_init__(self) -> None:
        """Refuse what the schema cannot see: a dialect that is none, a terminal named twice."""
        try:
            dialect = configured_dialect(self.dialect)
        except DialectError as error:
            raise ValueError(str(error)) from None
        if self.undo.after_approval not in {"reversal", *dialect.operations}:
            raise ValueError(f"undo.after_approval: dialect {dialect.name} has no void")
        if self.settlement is not None and dialect.settlement is None:
            raise ValueError(f"settlement: dialect {dialect.name} has no settlement")
        DayWindow.of(self.cutover, self.cutover_earliest, self.cutover_latest)
        names = [(one.merchant, one.terminal) for one in self.terminals]
        if len(set(names)) < len(names):
            raise ValueError("a logical terminal is named twice")
        if not dialect.sign_on.brings_keys and len({one.tmk for one in self.terminals}) > 1:
            raise ValueError("this bank sends one key set for all terminals: one tmk for all")
        said = said_of_terminals(self.dialect)
        for number, one in enumerate(self.terminals):
            for name, value in (("operator", one.operator), ("serial", one.serial)):
                if value and name not in said:
                    text = sentence("no_place", dialect.name)
                    raise ValueError(f"terminals[{number}].{name}: {text}")

    @property
    def wish_ms(self) -> int:
        """A wish for what another node holds ends when it was not repeated for so long."""
        return _WISH_LOOKS * self.terminal_share_ms

    def operations(self) -> frozenset[str]:
        """What this bank can be asked, by names of switch.model.operation."""
        return frozenset(load_dialect(self.dialect).operations)

    def held_keys(self) -> tuple[tuple[str, str, str], ...]:
        """(field, key type, text) of every key this section names."""
        return tuple((f"terminals[{n}].tmk", "000", t.tmk) for n, t in enumerate(self.terminals))

    def named_files(self) -> tuple[tuple[str, str], ...]:
        """(field, path) of every file of TLS this section names."""
        links = enumerate(self.links)
        return tuple(one for n, link in links for one in tls_files(f"links[{n}].tls", link.tls))

    def listens_on(self) -> tuple[tuple[tuple[str | int, ...], str, int], ...]:
        """(path, host, port) of every port that peers dial."""
        links = enumerate(self.links)
        doors = ((n, link) for n, link in links if isinstance(link, ServerLink))
        return tuple((("links", n, "port"), link.host, link.port) for n, link in doors)

    def clearings(self) -> frozenset[str]:
        """Merchant roles with terminals for everybody."""
        return frozenset(one.clearing for one in self.terminals if not one.kiosk)

    def pass_through(self) -> frozenset[str]:
        """Merchant roles with terminals that are dedicated to kiosks."""
        return frozenset(one.clearing for one in self.terminals if one.kiosk)

    @property
    def again_within_ms(self) -> int:
        """A refusal for stale keys this late has no second attempt: it would take too long."""
        return min(self.queue_wait_ms, self.response_timeout_ms)

    def longest_ms(self) -> int:
        """A debit's longest way to its answer: waiting for a terminal, then for the bank; and where
        the bank can refuse for stale keys, both once more after a refusal that came in time. The
        sign-on between them is within the second wait for a terminal."""
        once_ms = self.queue_wait_ms + self.response_timeout_ms
        rows = load_dialect(self.dialect).codes.values()
        if not any(row.action is Action.AGAIN for row in rows):
            return once_ms
        return self.queue_wait_ms + self.again_within_ms + once_ms
