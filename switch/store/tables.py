"""What ``yyt payment`` and ``yyt journal`` print for people, in Chinese or English (YYT_LANG)."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from switch.model.money import yuan
from switch.model.payment import Payment
from switch.observe.columns import table
from switch.store.history import Exchange, Line, Path, shown

_TEXT = {
    "payment": ("查询支付及其路径", "show payments and the path they took"),
    "journal": (
        "流水库：运行内嵌 PostgreSQL，检查与迁移",
        "the journal: run and look after it",
    ),
    "list": ("列出支付", "list payments"),
    "show": ("显示一笔支付", "show one payment"),
    "path": ("显示一笔支付的全过程", "show everything that happened to one payment"),
    "serve": ("运行内嵌 PostgreSQL（前台）", "run the embedded PostgreSQL (foreground)"),
    "dsn": ("显示连接串", "print the connection string"),
    "migrate": ("升级库结构", "bring the schema up to date"),
    "check": ("检查持久性设置与库结构", "check durability settings and schema"),
    "restored": (
        "从备份恢复之后：流水号跳号（开门前执行）",
        "after a restore: jump the STANs (before opening)",
    ),
    "state": ("只列此状态", "only payments in this state"),
    "hospital": ("只列此医院", "only payments of this hospital"),
    "limit": ("最多行数", "at most so many lines"),
    "key": ("支付键", "the payment's key"),
    "dsn_option": (
        "连接串，或 file:路径、env:变量名",
        "connection string, or file:PATH, env:NAME",
    ),
    "data": ("内嵌库数据目录", "data folder of the embedded server"),
    "var": ("演示目录（默认 var）", "folder of the demo (default: var)"),
    "json": ("输出 JSON", "print JSON"),
    "waiver": ("书面豁免", "the written waiver of the configuration"),
    "jump": ("跳过的流水号个数", "how many numbers to leave out"),
    "example": ("示例", "example"),
    "no_such_payment": ("没有这笔支付", "no such payment"),
    "no_schema": (
        "此数据库中还没有流水库；先执行 yyt journal migrate",
        "this database holds no journal yet: run yyt journal migrate",
    ),
    "no_journal": (
        "{0} 中还没有流水库；先用 yyt journal serve --data {0} 启动，或用 --dsn、--data 指出所在",
        "{0} holds no journal yet: start it with yyt journal serve --data {0}, "
        "or say with --dsn or --data where it is",
    ),
    "away": ("数据库连接不上", "the database cannot be reached"),
    "bad_limit": ("--limit：至少为 1", "--limit: at least 1"),
    "bad_jump": ("--jump：1 至 999998", "--jump: 1 to 999998"),
    "schema": ("库结构版本", "schema version"),
    "jumped": ("已跳号的终端数", "terminals jumped"),
    "none": ("没有支付", "no payments"),
    "durable": ("持久性设置符合要求 (I4)", "durability settings are as needed (I4)"),
    "alive": ("在线", "alive"),
    "gone": ("已离线", "gone"),
    "waiting": ("等待应答", "no answer yet"),
    "h_born": ("时间", "born"),
    "h_at": ("时间", "at"),
    "h_key": ("支付键", "key"),
    "h_business": ("业务", "business"),
    "h_amount": ("金额(元)", "yuan"),
    "h_state": ("状态", "state"),
    "h_terminal": ("终端", "terminal"),
    "h_bill": ("账单", "bill"),
    "h_code": ("代码", "code"),
    "h_leg": ("步骤", "leg"),
    "h_party": ("对方", "with"),
    "h_verb": ("动作", "verb"),
    "h_end": ("结果", "end"),
    "h_took": ("耗时ms", "ms"),
    "h_version": ("版本", "version"),
    "h_event": ("事件", "event"),
    "h_where": ("其后状态", "stood then"),
    "h_attempt": ("次", "attempt"),
    "h_identity": ("报文标识", "message identities"),
    "h_exchanges": ("报文往返", "exchanges"),
    "h_steps": ("经过", "steps"),
    "h_text": ("说明", "text"),
    "h_node": ("节点", "node"),
    "h_open": ("处理中", "open"),
}


def text(name: str) -> str:
    """A text in the operator's language; ``name`` must exist (KeyError)."""
    return _TEXT[name][os.environ.get("YYT_LANG") == "en"]


def payment_list(lines: Sequence[Line]) -> str:
    """One line for each payment, newest first."""
    if not lines:
        return text("none")
    rows = [
        (
            _time(line.born_at),
            line.key,
            line.business,
            yuan(line.amount_fen),
            line.state,
            line.terminal,
            line.bill,
            line.code,
        )
        for line in lines
    ]
    heads = ("born", "key", "business", "amount", "state", "terminal", "bill", "code")
    return table([text(f"h_{head}") for head in heads], rows)


def payment_card(payment: Payment) -> str:
    """One payment and its legs."""
    return _card(shown(payment))


def payment_path(path: Path) -> str:
    """The payment, each exchange with its times, each step, and its numbers at banks."""
    parts = [_card(path.payment), "", f"{text('h_exchanges')}:"]
    heads = ("at", "leg", "party", "verb", "attempt", "end", "code", "took", "text")
    parts.append(
        table([text(f"h_{head}") for head in heads], [_exchange(one) for one in path.exchanges])
    )
    parts += ["", f"{text('h_steps')}:"]
    steps = [
        (str(one.version), _time(one.at), f"{one.event}[{one.leg}]", one.code, one.trail)
        for one in path.steps
    ]
    columns = ("version", "at", "event", "code", "where")
    parts.append(table([text(f"h_{column}") for column in columns], steps))
    if path.identities:
        parts += ["", f"{text('h_identity')}:"]
        parts += ["  " + " ".join(f"{k}={v}" for k, v in one.items()) for one in path.identities]
    return "\n".join(parts)


def journal_report(report: Mapping[str, Any]) -> str:
    """What ``yyt journal check`` found."""
    nodes = [
        (
            node["name"],
            str(node["epoch"]),
            text("alive" if node["alive"] else "gone"),
            str(node["open"]),
        )
        for node in report["nodes"]
    ]
    heads = [text("h_node"), "epoch", text("h_state"), text("h_open")]
    parts = [
        report["dsn"],
        f"{text('schema')}: {report['schema']}",
        report["problem"] or text("durable"),
    ]
    return "\n".join([*parts, table(heads, nodes)] if nodes else parts)


def _card(plain: Mapping[str, Any]) -> str:
    head = [
        f"{text('h_key')}: {plain['key']}",
        f"{text('h_state')}: {plain.get('rest') or plain.get('stage', 'forward')}"
        f"  {plain.get('code', '')} {plain.get('text', '')}".rstrip(),
        f"{text('h_business')}: {plain['hospital']} {plain['business']}"
        f"  {text('h_amount')}: {yuan(plain['amount_fen'])}",
        f"{text('h_terminal')}: {plain['terminal']}  {text('h_bill')}: {plain.get('bill', '')}",
        f"{text('h_born')}: {_time(plain['born_at'])}",
    ]
    for leg in plain.get("legs", []):
        facts = " ".join(f"{name}={value}" for name, value in leg["facts"].items())
        head.append(
            f"  {leg['kind']:<6} {leg.get('state', 'idle'):<9} {leg['counterparty']}"
            f" {yuan(leg['amount_fen'])} {leg.get('code', '')} {facts}".rstrip()
        )
    return "\n".join(head)


def _exchange(one: Exchange) -> tuple[str, ...]:
    return (
        _time(one.began_at or one.ended_at or 0),
        f"{one.kind}[{one.leg}]",
        one.counterparty,
        one.verb,
        str(one.attempt or ""),
        one.end or text("waiting"),
        one.code,
        "" if one.took_ms is None else str(one.took_ms),
        one.text,
    )


def _time(at_ms: int) -> str:
    """Local time with milliseconds; empty for 0."""
    if not at_ms:
        return ""
    seconds, millis = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, tz=UTC).astimezone():%m-%d %H:%M:%S}.{millis:03d}"
