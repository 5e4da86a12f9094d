"""``yyt hsm serve``: with sealed LMKs by a configuration, or with the published test LMKs."""

import argparse
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsm.address import Address, parse_address
from hsm.texts import say

if TYPE_CHECKING:
    from hsm.daemon.serve import Options

_AUDIT_KEY = "audit.key"

_EPILOG = """examples:
  yyt hsm serve --config /etc/yinyitong/hsm.yaml
  yyt hsm serve --test-lmk --listen tcp:127.0.0.1:1500

软件不是安全密码设备。Software is not a secure cryptographic device."""


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``yyt hsm serve``."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", type=Path, help="sealed LMKs; all that follows is then ignored")
    parser.add_argument(
        "--test-lmk", action="store_true", help="the published test LMKs 00, 01, 02"
    )
    parser.add_argument(
        "--listen", type=address, help="tcp:127.0.0.1:PORT (0: any) | unix:/PATH; with --test-lmk"
    )
    parser.add_argument("--profile", default="payshield", help="the hosts' dialect; a name or file")
    parser.add_argument("--header-length", type=count, default=4)
    parser.add_argument("--max-connections", type=count, default=64)
    parser.add_argument("--frame-timeout-ms", type=count, default=5_000)
    parser.add_argument("--idle-timeout-ms", type=count, default=600_000)
    parser.add_argument("--metrics-port", type=int, help="loopback port, 0: any; default: none")
    parser.add_argument(
        "--allow-uid", type=int, action="append", default=[], help="besides our own (unix only)"
    )
    parser.add_argument(
        "--allow-command", action="append", default=[], help="only these (default: every one)"
    )
    parser.add_argument("--audit", type=Path, metavar="FOLDER", help="write an audit log there")
    parser.set_defaults(run=run)


def address(text: str) -> Address:
    """An address, for argparse."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """A positive number, for argparse."""
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError("a positive whole number is needed")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM: 0; 1: it could not begin; 2: it was told wrongly."""
    if args.config is None and (not args.test_lmk or args.listen is None):
        print(say("no_lmk") if args.listen else say("one_of_two"), file=sys.stderr)
        return 2
    from hsm.daemon.config import ConfigError
    from hsm.daemon.serve import CannotServeError, serve

    try:
        options = test_options(args) if args.config is None else _configured(args.config)
        from twisted.internet import reactor

        serve(options, reactor)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except CannotServeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def test_options(args: argparse.Namespace) -> "Options":
    """The published test LMKs 00, 01 and 02, and nothing refused: loopback or a Unix socket only.
    ConfigError otherwise."""
    from hsm.daemon.clients import Anyone, ByUser, client
    from hsm.daemon.config import ConfigError
    from hsm.daemon.house import Limits
    from hsm.daemon.serve import AuditPlace, Listener, Options
    from hsm.lmk import published_test_lmks
    from hsm.policy import open_policy
    from hsm.profile import load_profile
    from hsm.slots import Slots

    where: Address = args.listen
    if where.tls or not where.loopback:
        raise ConfigError(say("loopback", where))
    only = client("local", args.allow_command or ("all",))
    uids = {os.getuid(), *args.allow_uid}
    door: Any = ByUser(dict.fromkeys(uids, only)) if where.path else Anyone(only)
    audit = args.audit and AuditPlace(args.audit, args.audit / _AUDIT_KEY, "test-lmk", True)
    print(say("banner"), file=sys.stderr, flush=True)
    policy = open_policy(args.header_length, args.max_connections)
    return Options(
        listeners=(Listener(where, door),),
        slots=Slots(published_test_lmks()),
        policy=replace(policy, profile=load_profile(args.profile)),
        limits=Limits(
            connections_max=args.max_connections,
            frame_ms=args.frame_timeout_ms,
            idle_ms=args.idle_timeout_ms,
        ),
        metrics_port=args.metrics_port,
        audit=audit,
    )


def _configured(path: Path) -> "Options":
    from hsm.daemon.config import load_config
    from hsm.daemon.configured import options

    made = options(load_config(path))
    if made.policy.test:
        print(say("banner_test_mode"), file=sys.stderr, flush=True)
    return made
