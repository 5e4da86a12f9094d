"""``yyt terminal``: the authority, invitations, enrolment, the list, revocation, orders."""

import argparse
import datetime
import getpass
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from channels.kiosk import orders_cli, pki
from channels.kiosk.enrol_client import EnrolFailed, enrol
from channels.kiosk.enrolment import CodeFile, Enrolments
from channels.kiosk.registry import Registry, RegistryError, Terminal
from channels.kiosk.states import State, States

_TEXT = {
    "zh": {
        "made": "证书机构已建立，指纹 {0}",
        "invited": "一次性登记码（{1} 分钟内有效）：{0}\n证书机构指纹：{2}",
        "written": "登记码已写入 {0}",
        "enrolled": "终端 {0} 已登记，证书 {1}",
        "revoked": "终端 {0} 的 {1} 张证书已吊销",
        "code": "登记码：",
        "ca": "证书机构指纹：",
        "here": "在线",
        "away": "离线 最后联系 {0}",
        "never": "从未连接",
        "settings": "下发配置第 {0} 版",
        "ends": "证书到期 {0}",
    },
    "en": {
        "made": "authority made, fingerprint {0}",
        "invited": "one-time code (valid {1} minutes): {0}\nauthority's fingerprint: {2}",
        "written": "code written to {0}",
        "enrolled": "terminal {0} enrolled, certificate {1}",
        "revoked": "terminal {0}: {1} certificates revoked",
        "code": "code: ",
        "ca": "authority's fingerprint: ",
        "here": "connected",
        "away": "away since {0}",
        "never": "never connected",
        "settings": "pushed settings {0}",
        "ends": "certificate ends {0}",
    },
}

STALE_S = 180
"""A connected terminal's file is renewed every minute or so."""

_EXAMPLE = """\
yyt terminal ca init --dir var/pki --name switch.hospital.cn
yyt terminal invite KIOSK001 --hospital H001 --tpk key:kiosk001-tpk --dir var/pki \\
    --code-file k1.json
yyt terminal enrol --url https://switch.hospital.cn:8444 --code-file k1.json --dir kiosk
yyt terminal list --dir var/pki --json
yyt terminal revoke KIOSK001 --dir var/pki
yyt terminal push KIOSK001 --file settings.yaml --dir var/pki
yyt terminal command KIOSK001 lock --text "设备维护，请到窗口" --dir var/pki
yyt terminal orders KIOSK001 --dir var/pki
"""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of ``yyt terminal``."""
    parser.epilog = _EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(title="verbs", required=True)
    ca = verbs.add_parser("ca", help="the terminals' own authority").add_subparsers(required=True)
    init = ca.add_parser("init", help="make the authority and the switch's certificate")
    _dir(init)
    init.add_argument("--name", action="append", help="host name or address of the switch")
    init.set_defaults(run=_init)
    invite = verbs.add_parser("invite", help="register a terminal and make its one-time code")
    invite.add_argument("terminal")
    _dir(invite)
    invite.add_argument("--hospital", required=True)
    invite.add_argument("--tpk", default="", help="pad's key (70D, 002): key:NAME, or U… under LMK")
    invite.add_argument("--clearing", action="append", default=[], help="limit to this clearing")
    invite.add_argument("--valid-minutes", type=int, default=60)
    invite.add_argument("--code-file", type=Path, help="write the code here, do not show it")
    invite.set_defaults(run=_invite)
    take = verbs.add_parser("enrol", help="on the kiosk: spend a code, get the certificate")
    take.add_argument("--url", required=True, help="https://host:port of the enrolment door")
    take.add_argument("--dir", type=Path, required=True, help="where key and certificate go")
    source = take.add_mutually_exclusive_group(required=True)
    source.add_argument("--code-file", type=Path)
    source.add_argument("--prompt", metavar="TERMINAL", help="type code and fingerprint")
    take.set_defaults(run=_enrol)
    listing = verbs.add_parser("list", help="terminals and their certificates")
    _dir(listing)
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_list)
    revoke = verbs.add_parser("revoke", help="end all certificates of a terminal")
    revoke.add_argument("terminal")
    _dir(revoke)
    revoke.set_defaults(run=_revoke)
    orders_cli.register(verbs)


def _dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", type=Path, required=True, help="folder of the authority")


def _say(key: str, *values: object) -> str:
    language = os.environ.get("YYT_LANG", "zh")
    return _TEXT.get(language, _TEXT["zh"])[key].format(*values)


def _init(args: argparse.Namespace) -> int:
    try:
        print(_say("made", pki.init(args.dir, args.name or ["localhost", "127.0.0.1"])))
    except pki.PkiError as error:
        raise SystemExit(str(error)) from None
    return 0


def _invite(args: argparse.Namespace) -> int:
    registry = Registry(args.dir)
    try:
        kept = registry.get(args.terminal)
    except RegistryError:
        kept = Terminal(terminal=args.terminal, hospital=args.hospital)
    record = msgspec.structs.replace(
        kept,
        hospital=args.hospital,
        tpk=args.tpk or kept.tpk,
        clearing=tuple(args.clearing) or kept.clearing,
        enabled=True,
    )
    try:
        code = Enrolments(args.dir).invite(record, args.valid_minutes * 60)
    except RegistryError as error:
        raise SystemExit(str(error)) from None
    if args.code_file:
        pki.write_private(args.code_file, msgspec.json.encode(code))
        print(_say("written", args.code_file))
    else:
        print(_say("invited", code.code, args.valid_minutes, code.ca_sha256))
    return 0


def _enrol(args: argparse.Namespace) -> int:
    if args.code_file:
        try:
            code = msgspec.json.decode(args.code_file.read_bytes(), type=CodeFile)
        except msgspec.DecodeError as error:
            raise SystemExit(f"{args.code_file}: {error}") from None
    else:
        code = CodeFile(
            terminal=args.prompt,
            code=getpass.getpass(_say("code")).strip(),
            ca_sha256=input(_say("ca")).strip().lower(),
            expires_at=0,
        )
    try:
        certificate = enrol(args.url, code, args.dir)
    except EnrolFailed as error:
        raise SystemExit(str(error)) from None
    print(_say("enrolled", code.terminal, certificate))
    return 0


def _list(args: argparse.Namespace) -> int:
    terminals = list(Registry(args.dir).all())
    states = {state.terminal: state for state in States(args.dir).read_all()}
    if args.json:
        lines = [
            {
                **msgspec.to_builtins(terminal),
                "state": msgspec.to_builtins(states.get(terminal.terminal)),
            }
            for terminal in terminals
        ]
        print(json.dumps(lines, ensure_ascii=False))
        return 0
    for terminal in terminals:
        enabled = "enabled" if terminal.enabled else "disabled"
        pin = "PIN" if terminal.tpk else "no PIN key"
        serials = ", ".join(terminal.certificates) or "not enrolled"
        print(f"{terminal.terminal:<16} {terminal.hospital:<10} {enabled}, {pin}, {serials}")
        print(f"  {_state(states.get(terminal.terminal))}")
    return 0


def _state(state: State | None, now_s: Callable[[], float] = time.time) -> str:
    """What the terminal last said, on one line; what it wrote itself is not trusted to be plain.
    A file that nobody renewed says nothing of now: the switch may be down."""
    if state is None or not state.heard_at:
        return _say("never")
    fresh = now_s() - state.heard_at // 1000 < STALE_S
    contact = _say("here") if state.connected and fresh else _say("away", _time(state.heard_at))
    devices = ", ".join(f"{role} {said}" for role, said in sorted(state.devices.items()))
    release = "".join(letter for letter in state.release if letter.isprintable())
    parts = (
        contact,
        f"{release} v{state.version}".strip(),
        _say("settings", state.settings) if state.settings else "",
        devices,
        _say("ends", _time(state.certificate_ends_at)),
    )
    return "; ".join(part for part in parts if part)


def _time(at_ms: int) -> str:
    moment = datetime.datetime.fromtimestamp(at_ms // 1000).astimezone()
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _revoke(args: argparse.Namespace) -> int:
    ended: list[str] = []

    def revoked(record: Terminal) -> Terminal:
        ended.extend(record.certificates)
        return msgspec.structs.replace(
            record, certificates=(), renewals={}, revoked=(*record.revoked, *ended)
        )

    try:
        Registry(args.dir).change(args.terminal, revoked)
    except RegistryError as error:
        raise SystemExit(str(error)) from None
    print(_say("revoked", args.terminal, len(ended)))
    return 0
