"""``yyt hsm``: lmk gen-component, load, to-token, make-token-key, check, destroy; form-key."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hsm.admin import protocol as ask
from hsm.admin.client import Admin
from hsm.ceremony.slip import Slip, SlipError, layout, read_slip, write_slip
from hsm.ceremony.terminal import Terminal
from hsm.ceremony.texts import tell
from hsm.cli_officers import (
    StoppedError,
    add_admin,
    answered,
    at_terminal,
    connected,
    login,
    two_officers,
)
from hsm.lmk_material import SCHEMES
from hsm.sealing.errors import BadFileError, SealingError

_SCHEMES = tuple(SCHEMES)

_EPILOG = """examples:
  yyt hsm lmk gen-component --scheme aes-block --number 1 --of 3 --custodian li --escrow li.slip
  yyt hsm lmk load --id 00 --scheme aes-block --components 3
  yyt hsm lmk to-token --id 00
  yyt hsm lmk check --config /etc/yinyitong/hsm.yaml
  yyt hsm lmk destroy --id 00 --check-value 0123456789ABCDEF"""


def register(verbs: Any) -> None:
    """Add the ceremonies to the verbs of ``yyt hsm``."""
    lmk = verbs.add_parser(
        "lmk", help="本地主密钥仪式 ceremonies of an LMK", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    actions = lmk.add_subparsers(metavar="ACTION", required=True)

    generate = actions.add_parser("gen-component", help="生成分量 a component on a sealed slip")
    kind = generate.add_mutually_exclusive_group(required=True)
    kind.add_argument("--scheme", choices=_SCHEMES, help="of an LMK")
    kind.add_argument("--key-length", type=int, choices=[16, 24], help="of a ZMK or TMK, in bytes")
    generate.add_argument("--number", type=int, choices=range(1, 10), required=True)
    generate.add_argument("--of", type=int, choices=range(2, 10), required=True)
    generate.add_argument("--custodian", required=True, help="whose component it is")
    generate.add_argument("--purpose", default="", help="a line on the slip")
    generate.add_argument("--escrow", type=Path, metavar="FILE", help="the slip; a new file, 0600")
    generate.set_defaults(run=_generate)

    load = actions.add_parser("load", help="录入 put an LMK together, seal and load it")
    add_admin(load)
    load.add_argument("--id", required=True, dest="lmk_id")
    load.add_argument("--scheme", choices=_SCHEMES, required=True)
    _add_components(load)
    load.set_defaults(run=at_terminal(_load))

    to_token = actions.add_parser(
        "to-token", help="存入令牌 put the LMK of a sealed file into the token of its slot"
    )
    add_admin(to_token)
    to_token.add_argument("--id", required=True, dest="lmk_id")
    to_token.set_defaults(run=at_terminal(_to_token))

    make = actions.add_parser(
        "make-token-key", help="令牌内生成封存密钥 have the token make the key of lmk.unattended"
    )
    make.add_argument("--config", type=Path, required=True)
    make.set_defaults(run=_make_token_key)

    check = actions.add_parser("check", help="查看封存文件 what the sealed files say")
    check.add_argument("--config", type=Path, required=True)
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=_check)

    destroy = actions.add_parser("destroy", help="销毁 zeroise an LMK, sealed or in a token")
    add_admin(destroy)
    destroy.add_argument("--id", required=True, dest="lmk_id")
    destroy.add_argument("--check-value", required=True, help="of the LMK that is meant")
    destroy.set_defaults(run=at_terminal(_destroy))

    form = verbs.add_parser(
        "form-key", help="合成密钥 form a ZMK or TMK from components",
        epilog="yyt hsm form-key --type 000 --scheme U --components 3",
    )  # fmt: skip
    add_admin(form)
    form.add_argument("--type", required=True, help="000 ZMK, TMK; 70D TPK; FFF with --attributes")
    form.add_argument("--scheme", default="U", choices=["Z", "U", "T", "X", "Y", "S"])
    form.add_argument("--length", type=int, choices=[8, 16, 24], help="bytes; for scheme S")
    form.add_argument("--attributes", default="", help="scheme S: as behind #, K0T2B00N00")
    form.add_argument("--lmk", default="00")
    _add_components(form)
    form.add_argument("--json", action="store_true")
    form.set_defaults(run=at_terminal(_form))


def _add_components(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--components", type=int, choices=range(2, 10), required=True)
    parser.add_argument(
        "--slip", type=Path, action="append", default=[], metavar="FILE",
        help="the next component is on this slip (again for each); the others are typed",
    )  # fmt: skip


def _generate(args: argparse.Namespace) -> int:
    from hsm.ceremony.founding import random_component
    from hsm.ceremony.plan import KeyPlan, LmkPlan, Plan
    from hsm.daemon.hardening import harden

    if args.escrow is None or args.number > args.of:
        print(tell("escrow"), file=sys.stderr)
        return 2
    harden()
    plan: Plan = LmkPlan("00", args.scheme, False) if args.scheme else KeyPlan(args.key_length)
    value = random_component(plan)
    check_value = plan.component_check_value(memoryview(value))
    text = layout(
        Slip(value.hex().upper(), check_value),
        purpose=args.purpose or (f"LMK {args.scheme}" if args.scheme else "ZMK / TMK"),
        number=args.number,
        count=args.of,
        custodian=args.custodian,
        made=datetime.now(UTC),
    )
    try:
        write_slip(args.escrow, text)
    except BadFileError as error:
        print(error, file=sys.stderr)
        return 1
    print(tell("slip_written", args.escrow, check_value))
    return 0


def _load(args: argparse.Namespace, terminal: Terminal) -> None:
    with connected(args.admin) as admin:
        request = ask.BeginLmk(
            **two_officers(terminal),
            lmk_id=args.lmk_id,
            scheme=args.scheme,
            components=args.components,
        )
        begun = answered(admin, request)
        facts = _assemble(admin, terminal, begun, list(args.slip))
    print(tell("lmk_loaded", **facts))


def _form(args: argparse.Namespace, terminal: Terminal) -> None:
    from hsm.keys import SCHEME_BYTES

    with connected(args.admin) as admin:
        request = ask.BeginKey(
            key_type=args.type,
            scheme=args.scheme,
            length=args.length or SCHEME_BYTES.get(args.scheme, 16),
            components=args.components,
            lmk_id=args.lmk,
            attributes=args.attributes,
        )
        begun = answered(admin, request)
        facts = _assemble(admin, terminal, begun, list(args.slip))
    print(json.dumps(facts) if args.json else tell("whole_key", **facts))


def _assemble(
    admin: Admin, terminal: Terminal, begun: dict[str, Any], slips: list[Path]
) -> dict[str, Any]:
    """One custodian after the other, then the whole."""
    facts: dict[str, Any] = {}
    for number in range(1, begun["of"] + 1):
        custodian = login(terminal, tell("custodian", number), alone=True)
        component = _from_slip(slips.pop(0)) if slips else _typed(terminal, number, begun["length"])
        request = ask.Component(custodian=custodian, **component)
        facts = answered(admin, request)
        terminal.tell(tell("component_taken", **facts))
    terminal.tell(tell("whole", facts["whole"]))
    return answered(admin, ask.Confirm(check_value=terminal.ask(tell("confirm_whole"))))


def _from_slip(path: Path) -> dict[str, str]:
    try:
        slip = read_slip(path)
    except SlipError:
        raise StoppedError(tell("no_slip", path)) from None
    except SealingError as error:
        raise StoppedError(str(error)) from None
    return {"value": slip.value, "check_value": slip.check_value}


def _typed(terminal: Terminal, number: int, length: int) -> dict[str, str]:
    value = _hex(terminal, tell("component_line", number), length)
    check_value = terminal.ask(tell("slip_check")).strip()
    if check_value:
        return {"value": value, "check_value": check_value}
    return {"value": value, "again": _hex(terminal, tell("component_again", number), length)}


def _hex(terminal: Terminal, prompt: str, length: int) -> str:
    """Typed in lines of 32 characters (a slip's lines) or longer ones, until it is long enough."""
    wanted, typed, line = 2 * length, "", 1
    while len(typed) < wanted:
        piece = "".join(terminal.ask_hidden(f"{prompt}[{line}] ").split())
        if not piece:
            raise StoppedError(tell("component_length"))
        typed, line = typed + piece, line + 1
    return typed


def _to_token(args: argparse.Namespace, terminal: Terminal) -> None:
    with connected(args.admin) as admin:
        request = ask.LmkToToken(**two_officers(terminal), lmk_id=args.lmk_id)
        facts = answered(admin, request)
    print(tell("in_token", **facts))


def _make_token_key(args: argparse.Namespace) -> int:
    """Once, before the first LMK is sealed for the token."""
    from hsm.daemon.config import ConfigError, Token, load_config
    from hsm.daemon.configured import token_address
    from hsm.sealing.pkcs11 import make_token_key

    try:
        section = load_config(args.config).lmk.unattended
        if not isinstance(section, Token):
            print(tell("no_token_unattended"), file=sys.stderr)
            return 2
        make_token_key(token_address(section), section.key, section.wrap)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except SealingError as error:
        print(error, file=sys.stderr)
        return 1
    print(tell("token_key_made", section.token, section.key))
    return 0


def _destroy(args: argparse.Namespace, terminal: Terminal) -> None:
    with connected(args.admin) as admin:
        request = ask.DestroyLmk(
            **two_officers(terminal), lmk_id=args.lmk_id, check_value=args.check_value
        )
        facts = answered(admin, request)
    print(tell("destroyed", lmk=facts["lmk"], check_value=facts["check_value"]))
    for place in facts["purge"]:
        print(f"  [ ] {place}")


def _check(args: argparse.Namespace) -> int:
    """What anyone may read of the sealed files; whether they are authentic shows at unlocking."""
    from hsm.daemon.config import ConfigError, load_config
    from hsm.daemon.configured import keeper_of

    try:
        keeper = keeper_of(load_config(args.config))
        sealed = keeper.sealed()
    except (ConfigError, SealingError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    rows = {
        lmk_id: {
            "scheme": file.scheme,
            "status": "test" if file.test else "live",
            "check_value": file.check_value,
            "sealers": list(file.sealers),
        }
        for lmk_id, file in sealed.items()
        if file is not None
    }
    tokens = {lmk_id: {"token": place.token} for lmk_id, place in keeper.tokens.items()}
    if args.json:
        print(json.dumps(rows | tokens, ensure_ascii=False))
        return 0
    for lmk_id, place in keeper.tokens.items():
        print(f"LMK {lmk_id}  token {place.token} (yyt hsm status)")
    for lmk_id in sealed:
        row = rows.get(lmk_id)
        said = f"{row['scheme']} {row['status']} {row['check_value']}" if row else "empty"
        print(f"LMK {lmk_id}  {said}")
        for sealer in row["sealers"] if row else ():
            print(f"        {sealer}")
    return 0
