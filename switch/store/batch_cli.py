"""``yyt bank settle`` and ``yyt bank batches``: orders to the settlement job, and what became of
them, through the journal."""

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg2.extensions import connection

from switch.model.batch import NOT_OURS, OPEN, Batch, BatchResult, BatchState
from switch.ports import LogicalTerminal
from switch.store import history
from switch.store.batches import order, select
from switch.store.cli import say, verb, where
from switch.store.tables import text as common_text

_LOOK_S = 0.5
_UNDER_WAY = 3
"""Exit code: not at its end yet."""

_WANTED = """
WITH held AS (
    SELECT h.merchant, h.terminal FROM terminal_holder h
    JOIN node n ON (n.name, n.epoch) = (h.owner, h.fence) AND n.lease_until > clock_timestamp()
    WHERE h.bank = %(bank)s AND h.terminal <> '')
SELECT t.merchant, t.terminal FROM logical_terminal t
WHERE t.bank = %(bank)s AND t.terminal <> '' AND CASE %(terminal)s
    WHEN '' THEN (t.merchant, t.terminal) IN (SELECT * FROM held) OR NOT EXISTS (SELECT FROM held)
    ELSE t.terminal = %(terminal)s END
ORDER BY 1, 2
"""
"""What was named; else what nodes hold, which leaves out what is no longer configured. No node at
all: every terminal, for when there is one."""

_TEXT = {
    "zh": {
        "settle": "令某银行的终端批结算，等待结果",
        "batches": "列出批结算及其结果",
        "bank": "通道名（配置文件 channels 中的 name）",
        "terminal": "只结算这一终端号（41 域）",
        "wait": "最多等待多少秒；0 = 不等",
        "limit": "最多列出多少笔",
        "nobody": "没有这样的终端，或尚未使用过",
        "none": "没有批结算",
        "heads": "终端 批次 状态 结果 借记笔数 借记金额 贷记笔数 贷记金额 已上送 应答码 说明",
        "ordered": "等待在途交易",
        "settling": "结算中",
        "uploading": "批上送",
        "closed": "已结",
        "empty": "无交易",
        "failed": "失败",
        "balanced": "平",
        "unbalanced": "不平",
        NOT_OURS: "本行批次不由我方结算",
    },
    "en": {
        "settle": "order the settlement of a bank's terminals and wait for its end",
        "batches": "list settlements and what became of them",
        "bank": "name of the channel in the configuration",
        "terminal": "this terminal (field 41) only",
        "wait": "seconds to wait at most; 0 = do not wait",
        "limit": "at most so many",
        "nobody": "no such terminal, or it was never used",
        "none": "no settlements",
        "heads": "terminal batch state result debits yuan credits yuan uploaded code text",
        "ordered": "waits for what is open",
        "settling": "settling",
        "uploading": "uploading",
        "closed": "closed",
        "empty": "empty",
        "failed": "failed",
        "balanced": "balanced",
        "unbalanced": "unbalanced",
        NOT_OURS: "this bank's batches are not settled by us",
    },
}


def register(verbs: Any) -> None:
    """Add the verbs to ``yyt bank``."""
    settle = verb(verbs, "settle", "yyt bank settle icbc --terminal 10000001", _settle, _say)
    settle.add_argument("bank", metavar="BANK", help=_say("bank"))
    settle.add_argument("--terminal", default="", metavar="F41", help=_say("terminal"))
    settle.add_argument("--wait", type=int, default=120, metavar="SECONDS", help=_say("wait"))
    batches = verb(verbs, "batches", "yyt bank batches icbc --json", _batches, _say)
    batches.add_argument("bank", metavar="BANK", nargs="?", default="", help=_say("bank"))
    batches.add_argument("--limit", type=int, default=50, metavar="N", help=_say("limit"))


def _settle(args: argparse.Namespace) -> int:
    """0: closed and balanced, or empty; 1: not balanced, or failed; 3: still under way."""
    conn = history.connect(where(args), writes=True)
    try:
        ids = _order(conn, args.bank, args.terminal)
        if not ids:
            raise SystemExit(f"{args.bank} {args.terminal}: {_say('nobody')}".replace(" :", ":"))
        end = time.monotonic() + args.wait
        found = _of(conn, ids)
        while any(one.state in OPEN for one in found) and time.monotonic() < end:
            time.sleep(_LOOK_S)
            found = _of(conn, ids)
    finally:
        conn.close()
    _show(args, found)
    if any(one.state in OPEN for one in found):
        return _UNDER_WAY
    return 0 if all(_good(one) for one in found) else 1


def _order(conn: connection, bank: str, terminal: str) -> list[int]:
    """The settlements under way once each terminal's is ordered, which some may have been."""
    with conn.cursor() as cursor:
        cursor.execute(_WANTED, {"bank": bank, "terminal": terminal})
        names = cursor.fetchall()
    ids = []
    for merchant, name in names:
        one = LogicalTerminal(bank=bank, merchant=merchant, terminal=name)
        order(conn, one, "", None)
        newest = select(
            conn,
            "(bank, merchant, terminal) = (%s, %s, %s) ORDER BY id DESC LIMIT 1",
            (bank, merchant, name),
        )
        ids += [batch.id for batch in newest]
    return ids


def _of(conn: connection, ids: Sequence[int]) -> list[Batch]:
    return select(conn, "id = ANY(%s) ORDER BY id", (list(ids),))


def _good(batch: Batch) -> bool:
    return batch.state is BatchState.EMPTY or batch.result == BatchResult.BALANCED


def _batches(args: argparse.Namespace) -> int:
    conn = history.connect(where(args))
    try:
        found = select(
            conn,
            "(%s = '' OR bank = %s) ORDER BY id DESC LIMIT %s",
            (args.bank, args.bank, max(1, args.limit)),
        )
    finally:
        conn.close()
    _show(args, found)
    return 0


def _show(args: argparse.Namespace, batches: Sequence[Batch]) -> None:
    if args.json:
        say(msgspec.json.encode(batches).decode())
    elif not batches:
        say(_say("none"))
    else:
        rows = [_say("heads").split(" "), *[_row(one) for one in batches]]
        for row in rows:
            say("  ".join(row).rstrip())


def _row(batch: Batch) -> list[str]:
    sums, ours = batch.totals, batch.code != NOT_OURS
    return [
        batch.terminal.terminal,
        batch.number,
        _say(batch.state),
        _say(batch.result) if batch.result else "-",
        str(sums.debit_count),
        _yuan(sums.debit_fen),
        str(sums.credit_count),
        _yuan(sums.credit_fen),
        str(batch.uploaded),
        (batch.code or "-") if ours else "-",
        batch.text if ours else _say(NOT_OURS),
    ]


def _yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def _say(name: str) -> str:
    texts = _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
    return texts[name] if name in texts else common_text(name)
