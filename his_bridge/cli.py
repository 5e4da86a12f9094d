"""``yyt his``: the simulator, and a check of profiles."""

import argparse
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from his_bridge.errors import ProfileError
from his_bridge.policy import FUNCTION_OF, Level, leg_policy
from his_bridge.profile import Profile

_TEXT = {
    "zh": {
        "about": "医院 HIS：模拟器与接口配置检查",
        "simulate": "运行 HIS 模拟器（demo-h1 接口，账本落盘后才应答）",
        "check": "检查一份 HIS 接口配置",
        "good": "接口配置正确",
        "bad": "接口配置有误",
        "site": "需在配置 site/secrets 中提供",
        "example": "示例",
    },
    "en": {
        "about": "the hospital's HIS: its simulator, and a check of profiles",
        "simulate": "run the HIS simulator (interface demo-h1; answers only what is durable)",
        "check": "check a HIS profile",
        "good": "profile is right",
        "bad": "profile is wrong",
        "site": "to be given in site/secrets of the configuration",
        "example": "example",
    },
}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    text = _TEXT["en" if os.environ.get("YYT_LANG") == "en" else "zh"]
    parser.description = text["about"]
    parser.epilog = f"{text['example']}: yyt his check demo-h1"
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    simulate = verbs.add_parser(
        "simulate",
        help=text["simulate"],
        description=text["simulate"],
        epilog=f"{text['example']}: yyt his simulate --listen 127.0.0.1:9100 --http 9101 "
        "--ledger var/his.db",
    )
    simulate.add_argument("--listen", required=True, metavar="HOST:PORT", help="SOAP; 0 = free")
    simulate.add_argument("--http", required=True, type=int, metavar="PORT", help="/ledger …")
    simulate.add_argument("--ledger", required=True, type=Path, metavar="FILE")
    simulate.add_argument("--level", choices=[str(level) for level in Level], default="L3")
    simulate.set_defaults(run=_simulate)

    check = verbs.add_parser(
        "check",
        help=text["check"],
        description=text["check"],
        epilog=f"{text['example']}: yyt his check demo-h1",
    )
    check.add_argument("profile", metavar="PROFILE", help="name or file")
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=lambda args: _check(args, text))


def _simulate(args: argparse.Namespace) -> int:
    from twisted.internet import reactor
    from twisted.internet.error import CannotListenError

    from his_bridge.simulator import listen
    from switch.observe import logs

    host, colon, port = args.listen.rpartition(":")
    if not colon or not port.isdecimal():
        raise SystemExit("--listen HOST:PORT")
    logs.configure()
    try:
        listen(
            reactor,
            host=host,
            port=int(port),
            http_port=args.http,
            ledger=args.ledger,
            level=Level(args.level),
        )
    except (CannotListenError, OSError, sqlite3.Error, ValueError) as error:
        raise SystemExit(str(error)) from None
    reactor.run()
    return 0


def _check(args: argparse.Namespace, text: dict[str, str]) -> int:
    from his_bridge.profile_file import load_profile

    try:
        profile = load_profile(args.profile)
    except ProfileError as error:
        if args.json:
            _say(json.dumps({"ok": False, "path": error.path, "error": error.text}))
        else:
            _say(f"{text['bad']}: {args.profile}: {error}", sys.stderr)
        return 1
    summary = summary_of(profile)
    if args.json:
        _say(json.dumps({"ok": True, **summary}, ensure_ascii=False))
        return 0
    _say(f"{text['good']}: {profile.name} ({profile.version})")
    for name, function in summary["functions"].items():
        legs = "".join(f"  {key}={value}" for key, value in function.items())
        _say(f"  {name:14}{legs}")
    if summary["site"]:
        _say(f"{text['site']}: {', '.join(summary['site'])}")
    return 0


def summary_of(profile: Profile) -> dict[str, Any]:
    """What the profile offers: per function its code, timeout and, for money, what follows."""
    from his_bridge.profile_file import site_values

    legs = {function: leg for leg, function in FUNCTION_OF.items()}
    functions: dict[str, dict[str, Any]] = {}
    for name, function in profile.functions.items():
        row: dict[str, Any] = {"code": function.trade_code, "timeout_ms": function.timeout_ms}
        if name in legs:
            kind, operation = legs[name]
            policy = leg_policy(profile, kind, Level.L3, operation)
            row["on_unknown"] = str(policy.on_unknown)
            row["undo"] = "+".join(rung.kind for rung in policy.ladder) or "-"
        functions[str(name)] = row
    return {
        "profile": profile.name,
        "version": profile.version,
        "functions": functions,
        "site": sorted(site_values(profile)),
    }


def _say(line: str, stream: Any = None) -> None:
    print(line, file=stream or sys.stdout)
