"""``yyt audit``: exit code 0 without violations, 1 with, 2 when a ledger cannot be read."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from switch.audit.compare import Audit
from switch.audit.sources import SourceError, audit_demo
from switch.model.money import yuan

EXAMPLE = """examples:
  yyt audit
  yyt audit --json
"""

_TEXT = {
    "zh": (
        "银行净扣款 {0} 元，医院入账 {1} 元，终端告知 {2} 元；已核对 {3} 笔，处理中 {4} 笔，"
        "待对账证实 {5} 笔，待人工处理 {6} 笔，违例 {7} 处"
    ),
    "en": (
        "bank net {0} yuan, hospital booked {1} yuan, terminals told {2} yuan; {3} judged, "
        "{4} in flight, {5} unproven, {6} with a person, {7} violations"
    ),
}


def register(parser: argparse.ArgumentParser) -> None:
    """``yyt audit [--json] [--demo FILE]``."""
    parser.description = "Compare bank, hospital, journal and terminals of the running demo (I1)."
    parser.epilog = EXAMPLE
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    parser.add_argument(
        "--demo", type=Path, default=Path("var/demo.json"), help="where the addresses are"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the ledgers, compare, print."""
    try:
        audit = audit_demo(args.demo)
    except SourceError as error:
        raise SystemExit(str(error)) from None
    if args.json:
        print(json.dumps(as_json(audit)))
    else:
        print(sentence(audit))
        for violation in audit.violations:
            print(f"  {violation.invariant} {violation.key}: {violation.text}")
    return 1 if audit.violations else 0


def as_json(audit: Audit) -> dict[str, Any]:
    """The audit as JSON built-ins; amounts in 分."""
    result: dict[str, Any] = msgspec.to_builtins(audit)
    return result


def sentence(audit: Audit, language: str | None = None) -> str:
    """The audit in one line for people."""
    text = _TEXT.get(language or os.environ.get("YYT_LANG", "zh"), _TEXT["zh"])
    return text.format(
        yuan(audit.bank_net_fen),
        yuan(audit.his_booked_fen),
        yuan(audit.terminal_told_fen),
        audit.judged,
        audit.in_flight,
        audit.unproven,
        audit.exceptions,
        len(audit.violations),
    )
