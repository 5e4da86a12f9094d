"""Every metric of the house, in one place (docs/metrics.md is tested against this list).

Units last in names. Labels are bounded by configuration; what a foreign system can choose
(response codes) goes through :func:`count_response_code`. No label ever carries a card, a patient
or a payment key (I12).
"""

import re

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

# A ``_created`` series beside every counter would double the page and tell nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry(auto_describe=False)

_MILLISECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Buckets for what we do ourselves: the goal is p99 below 0.05 s."""
_EXCHANGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
"""Buckets for what others do: bank timeouts reach 60 s, a leg may wait longer."""
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, text, labels, registry=REGISTRY, buckets=buckets)


# ---- alarms --------------------------------------------------------------------------------------
ALARMS = _counter(
    "yyt_alarms_total", "日志报警 log lines of level error, by name", "event", "invariant"
)

# ---- payments ------------------------------------------------------------------------------------
PAYMENTS = _counter(
    "yyt_payments_total", "支付终局数 payments come to rest", "hospital", "business", "end"
)
PAYMENTS_IN_FLIGHT = _gauge("yyt_payments_in_flight", "处理中支付数 payments not at rest")
LEG_SECONDS = _histogram(
    "yyt_leg_seconds", "各步耗时 time of one exchange of a leg", _EXCHANGES, "kind", "outcome"
)
OWN_SECONDS = _histogram(
    "yyt_own_seconds",
    "本系统自身耗时 a payment's time minus the time spent with others",
    _MILLISECONDS,
)
EXCEPTIONS_OPEN = _gauge("yyt_exceptions_open", "待处理差错 exceptions waiting for a person (I15)")
REFUSED_REQUESTS = _counter(
    "yyt_refused_requests_total", "拒绝受理 requests not taken at all", "reason"
)
PIN_BLOCKS_REFUSED = _counter(
    "yyt_pin_blocks_refused_total",
    "不符的密码块 PIN blocks made for another bank, merchant, terminal, kiosk, key, or way (I8)",
    "bank",
    "what",
)
LATE_REPLIES = _counter(
    "yyt_late_replies_total", "迟到应答 replies after their timer (I5)", "counterparty"
)

# ---- reversals -----------------------------------------------------------------------------------
REVERSALS_WAITING = _gauge(
    "yyt_reversals_waiting", "待冲正笔数 undo legs not yet acknowledged (I3)", "counterparty"
)
REVERSAL_OLDEST_SECONDS = _gauge(
    "yyt_reversal_oldest_seconds", "最久待冲正时长 age of the oldest of them (I3)", "counterparty"
)

REVERSALS_SENT = _counter(
    "yyt_reversals_sent_total", "已发冲正 reversals sent: first, repeat (I3)", "bank", "attempt"
)
REVERSALS_ENDED = _counter(
    "yyt_reversals_answered_total",
    "冲正应答 answers to reversals: acknowledged, not_found, refused, unclear (I3)",
    "bank",
    "end",
)

# ---- banks ---------------------------------------------------------------------------------------
LINK_UP = _gauge("yyt_link_up", "链路状态 1 = connected", "bank", "link")
BANK_READY = _gauge(
    "yyt_bank_ready",
    "银行可受理 1 = new debits may go there: connected and signed on, here or by another node",
    "bank",
    "clearing",
)
LINK_RECONNECTS = _counter("yyt_link_reconnects_total", "重连次数 reconnects", "bank", "link")
CONNECTIONS_REFUSED = _counter(
    "yyt_connections_refused_total",
    "拒绝的连接 connections refused: address, limit, peer_limit, tls, peer_name",
    "door",
    "reason",
)
LINK_CERTIFICATE_END_SECONDS = _gauge(
    "yyt_link_certificate_end_seconds",
    "链路证书到期时刻 when our certificate for TLS ends, seconds since 1970",
    "door",
)
BANK_IN_FLIGHT = _gauge("yyt_bank_in_flight", "在途报文 exchanges waiting at a bank", "bank")
RESPONSE_CODES = _counter(
    "yyt_response_codes_total", "应答码 response codes (field 39)", "bank", "code"
)
MAC_FAILURES = _counter("yyt_mac_failures_total", "MAC 校验失败 wrong MAC (I10)", "bank")
UNMATCHED_REPLIES = _counter(
    "yyt_unmatched_replies_total", "无法匹配的应答 replies that match no request", "bank"
)
BANK_REQUESTS = _counter(
    "yyt_bank_requests_total", "银行发起的请求 what a bank asked of us on a link", "bank", "kind"
)
BANK_CLOCK_SKEW_SECONDS = _gauge(
    "yyt_bank_clock_skew_seconds",
    "与银行时钟偏差 how far our clock and the bank's differ (I14)",
    "bank",
)
BANK_TERMINALS_HELD = _gauge(
    "yyt_bank_terminals_held",
    "本节点持有的逻辑终端 logical terminals this node holds (I13)",
    "bank",
)
BANK_TERMINAL_MOVES = _counter(
    "yyt_bank_terminal_moves_total",
    "逻辑终端换节点 logical terminals that changed nodes",
    "bank",
    "how",
)

BATCHES_CLOSED = _counter(
    "yyt_batches_closed_total", "已结算批次 batches settled (rule 19)", "bank", "result"
)

SCRIPT_NOTICES = _counter(
    "yyt_script_notices_total",
    "脚本结果通知 notices of issuer scripts: acknowledged, refused, again, not_now, not_owed",
    "bank",
    "end",
)

# ---- hsm -----------------------------------------------------------------------------------------
HSM_COMMAND_SECONDS = _histogram(
    "yyt_hsm_command_seconds", "加密机指令耗时 HSM host commands", _MILLISECONDS, "command"
)
HSM_ERRORS = _counter("yyt_hsm_errors_total", "加密机错误 HSM errors", "command", "code")

# ---- hospitals -----------------------------------------------------------------------------------
HIS_FUNCTION_SECONDS = _histogram(
    "yyt_his_function_seconds",
    "HIS 功能耗时 HIS functions",
    _EXCHANGES,
    "hospital",
    "function",
    "outcome",
)
HIS_BREAKER_OPEN = _gauge(
    "yyt_his_breaker_open", "HIS 熔断 1 = no new debits: the hospital cannot book", "hospital"
)

# ---- journal -------------------------------------------------------------------------------------
JOURNAL_QUEUE_DEPTH = _gauge("yyt_journal_queue_depth", "日志队列 writes waiting to commit")
JOURNAL_BATCH_SIZE = _histogram(
    "yyt_journal_batch_size", "组提交批量 writes in one commit (I4)", _BATCHES
)
JOURNAL_COMMIT_SECONDS = _histogram(
    "yyt_journal_commit_seconds", "提交耗时 one commit (I4)", _MILLISECONDS
)

# ---- terminals -----------------------------------------------------------------------------------
TERMINALS_CONNECTED = _gauge("yyt_terminals_connected", "在线终端 terminals connected", "front")
TERMINALS_REFUSED = _counter(
    "yyt_terminals_refused_total", "拒绝的终端连接或请求 links and requests refused", "reason"
)
TERMINAL_UP = _gauge("yyt_terminal_up", "终端在线 1 = connected", "terminal")
TERMINAL_DEVICE_UP = _gauge(
    "yyt_terminal_device_up",
    "终端设备可用 1 = a device of a connected terminal works",
    "terminal",
    "role",
)
TERMINAL_CERTIFICATE_END_SECONDS = _gauge(
    "yyt_terminal_certificate_end_seconds",
    "终端证书到期时刻 when the certificate in use ends, seconds since 1970",
    "terminal",
)

_CODE = re.compile(r"[0-9A-Z]{2}")
_EVENT = re.compile(r"[a-z][a-z0-9_]{1,39}")
_INVARIANT = re.compile(r"I(1[0-6]|[1-9])")


def count_response_code(bank: str, code: str) -> None:
    """Count field 39; anything but two of 0-9A-Z is ``other``, so a bank cannot grow the list."""
    RESPONSE_CODES.labels(bank, code if _CODE.fullmatch(code) else "other").inc()


def count_alarm(event: object, invariant: object) -> None:
    """Count a log line of level error. Events are literals of the source and invariants are those
    of docs/invariants.md; anything else is ``other`` or empty (I11). The key of the payment, and
    whatever else the line says, stays in the line (I12)."""
    name, cited = str(event), str(invariant)
    ALARMS.labels(
        name if _EVENT.fullmatch(name) else "other",
        cited if _INVARIANT.fullmatch(cited) else "",
    ).inc()


def exposition() -> bytes:
    """The page Prometheus reads (text format 0.0.4)."""
    return generate_latest(REGISTRY)


def all_metrics() -> dict[str, MetricWrapperBase]:
    """Name as declared → metric, for the documentation test."""
    return {
        metric._name + ("_total" if isinstance(metric, Counter) else ""): metric
        for metric in globals().values()
        if isinstance(metric, MetricWrapperBase)
    }
