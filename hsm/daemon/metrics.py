"""The daemon's metrics. Labels are names of known commands and error codes: a bounded list."""

import json
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.twisted import MetricsResource
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hsm.daemon.tally import Tally

REGISTRY = CollectorRegistry(auto_describe=False)

TALLY = Tally()
REGISTRY.register(TALLY)
CONNECTIONS = Gauge("yyt_hsmd_connections", "连接数 connections open", registry=REGISTRY)
REFUSED_CONNECTIONS = Counter(
    "yyt_hsmd_refused_connections_total", "拒绝的连接 connections refused", ("reason",),
    registry=REGISTRY,
)  # fmt: skip
DROPPED_CONNECTIONS = Counter(
    "yyt_hsmd_dropped_connections_total", "断开的连接 connections dropped for a bad frame or "
    "for silence", ("reason",), registry=REGISTRY,
)  # fmt: skip
LOCKED = Gauge(
    "yyt_hsmd_locked", "未解锁 1: no LMK is loaded, every command answers 13", registry=REGISTRY
)
AUDIT_DOWN = Gauge(
    "yyt_hsmd_audit_down", "审计不可用 1: nothing can be recorded, every command answers 41",
    registry=REGISTRY,
)  # fmt: skip
AUTHORISED = Gauge(
    "yyt_hsmd_authorised_commands", "已授权指令数 commands authorised now", registry=REGISTRY
)
HELD_KEYS = Gauge(
    "yyt_hsmd_held_keys", "被限制验证的密钥数 keys held after failed verifications",
    registry=REGISTRY,
)  # fmt: skip


class _Health(Resource):
    isLeaf = True

    def __init__(self, state: Callable[[], str]) -> None:
        Resource.__init__(self)
        self._state = state

    def render_GET(self, request: Request) -> bytes:
        state = self._state()
        request.setResponseCode(200 if state == "up" else 503)
        request.setHeader("content-type", "application/json")
        return json.dumps({"hsm": state}).encode("ascii")


def listen(reactor: Any, port: int, state: Callable[[], str]) -> Any:
    """Serve ``/metrics`` and ``/health`` on a loopback port; the listening port. ``state``: ``up``,
    or why nothing can be done."""
    root = Resource()
    root.putChild(b"metrics", MetricsResource(registry=REGISTRY))  # type: ignore[no-untyped-call]
    root.putChild(b"health", _Health(state))
    return reactor.listenTCP(port, Site(root, timeout=10), interface="127.0.0.1")
