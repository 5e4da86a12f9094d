"""``yyt key``: the key store for officers. Every verb speaks ``--json``; no clear key comes in."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from switch.keys import checking, intake
from switch.keys.configured import configured_keys, literals
from switch.keys.desk import note, officer, settings_of, store_of, tell, tell_json, with_tools
from switch.keys.moving import Mover
from switch.keys.tables import event_table, key_table
from switch.keys.texts import say
from switch.keys.tools import KeyTools
from switch.model.held_key import LMK_ID, named_key
from switch.plugins import PluginError
from switch.ports import KeyServiceError
from switch.store import key_store
from switch.store.errors import StoreError
from switch.store.key_store import KeyConnection, KeyRefused, StoredKey

CONFIG = "--config /etc/yinyitong/switch.yaml"
EXAMPLES = {
    "list": "list",
    "show": "show icbc-zmk",
    "import": "import icbc-tmk-1 --usage TMK --bank icbc --terminal 80000101"
    " --under key:icbc-zmk --cryptogram-file tmk.txt --check-value 08D7B4",
    "export": "export kiosk001-tpk --under key:icbc-zmk --scheme X",
    "generate": "generate vault --usage DEK",
    "rotate": "rotate kiosk001-tpk --generate",
    "retire": "retire icbc-tmk-1",
    "destroy": "destroy icbc-tmk-1 --version 1",
    "rotate-lmk": "rotate-lmk --from 00 --to 10",
    "check": "check --json",
}
_NOT_AUTHORISED = "17"


def register(parser: argparse.ArgumentParser) -> None:
    """The verbs of ``yyt key``."""
    parser.description = say("title")
    parser.epilog = f"{say('example')}: yyt key list {CONFIG} | {say('software')}"
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    listing = _verb(verbs, "list", _list)
    listing.add_argument("--all", action="store_true", help=say("all"))
    _named(_verb(verbs, "show", _show))
    take = _named(_verb(verbs, "import", _import))
    _about(take)
    _source(take)
    make = _named(_verb(verbs, "generate", _generate))
    _about(make)
    _making(make)
    turn = _named(_verb(verbs, "rotate", _rotate))
    _source(turn)
    _making(turn)
    turn.add_argument("--generate", action="store_true", help=say("make"))
    turn.add_argument("--activate", action="store_true", help=say("activate"))
    _validity(turn)
    out = _named(_verb(verbs, "export", _export))
    out.add_argument("--under", required=True, metavar="key:ZMK", help=say("under"))
    out.add_argument("--scheme", choices=("U", "T", "X", "Y", "R", "S"), help=say("scheme"))
    _named(_verb(verbs, "retire", _retire))
    end = _named(_verb(verbs, "destroy", _destroy))
    end.add_argument("--version", type=int, required=True, help=say("version"))
    end.add_argument("--yes", action="store_true", help=say("yes"))
    move = _verb(verbs, "rotate-lmk", _rotate_lmk)
    move.add_argument("--from", dest="from_lmk", type=_lmk_id, required=True, help=say("from"))
    move.add_argument("--to", dest="to_lmk", type=_lmk_id, required=True, help=say("to"))
    move.add_argument("--wait-s", type=int, default=15, metavar="N", help=say("wait"))
    move.add_argument("--finish", action="store_true", help=say("finish"))
    _verb(verbs, "check", _check)


def _verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=say(name),
        description=say(name),
        epilog=f"{say('example')}: yyt key {EXAMPLES[name]} {CONFIG}",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help=say("config"))
    parser.add_argument("--json", action="store_true", help=say("json"))
    parser.set_defaults(run=lambda args: _guarded(run, args))
    return parser


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help=say("name"))
    return parser


def _about(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--usage", required=True, choices=tuple(intake.USAGES), help=say("usage"))
    parser.add_argument("--type", metavar="NNN", help=say("type"))
    for part in intake.OWNER:
        flag = f"--{part.replace('_', '-')}"
        parser.add_argument(flag, dest=part, default="", metavar="TEXT", help=say(part))
    _validity(parser)


def _validity(parser: argparse.ArgumentParser) -> None:
    for part in ("not_before", "not_after"):
        flag = f"--{part.replace('_', '-')}"
        parser.add_argument(flag, dest=part, default="", metavar="TIME", help=say(part))
    parser.add_argument("--pending", action="store_true", help=say("pending"))


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cryptogram", metavar="TEXT", help=say("cryptogram"))
    parser.add_argument("--cryptogram-file", type=Path, metavar="FILE", help=say("cryptogram_file"))
    parser.add_argument("--under", default="", metavar="key:ZMK", help=say("under"))
    parser.add_argument("--check-value", default="", metavar="HEX", help=say("check_value"))


def _making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lmk", type=_lmk_id, metavar="NN", help=say("lmk"))
    parser.add_argument("--scheme", choices=("U", "T", "S"), default="U", help=say("scheme"))


def _lmk_id(text: str) -> str:
    if LMK_ID.fullmatch(text) is None:
        raise argparse.ArgumentTypeError("00 … 99")
    return text


def _guarded(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """What an officer can do something about becomes one sentence and exit code 1."""
    try:
        return run(args)
    except KeyServiceError as error:
        authority = say("authority", error.command) if error.code == _NOT_AUTHORISED else ""
        sentence = f"{say('refused')}: {error}{authority}"
    except key_store.NO_SCHEMA:
        sentence = say("no_schema")
    except key_store.AWAY as error:
        sentence = f"{say('away')}: {str(error).strip()}"
    except (StoreError, PluginError) as error:
        sentence = str(error)
    print(f"yyt key: {sentence}", file=sys.stderr)
    return 1


# ---- looking -----------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    with store_of(settings_of(args.config)) as conn:
        found = key_store.keys(conn, destroyed=args.all)
    tell_json(found) if args.json else tell(key_table(found))
    return 0


def _show(args: argparse.Namespace) -> int:
    with store_of(settings_of(args.config)) as conn:
        found = key_store.versions(conn, args.name)
        history = key_store.events(conn, args.name)
    if not found:
        raise KeyRefused(f"{say('no_key')}: {args.name}")
    if args.json:
        tell_json({"versions": found, "history": history})
    else:
        held = [f"{key.version}  {key.held}" for key in found if key.held]
        tell("\n\n".join([key_table(found), "\n".join(held), event_table(history)]))
    return 0


def _check(args: argparse.Namespace) -> int:
    """Ask the HSM for every check value, working and configured keys included; exit code 1 when
    one is wrong, missing, or two terminals share one."""
    settings = settings_of(args.config)
    with store_of(settings) as conn:
        asked = checking.to_ask(conn, configured_keys(settings))

    async def work(tools: KeyTools) -> list[checking.Finding]:
        return await checking.check(tools, asked)

    rows = with_tools(settings, work)
    wrong = [row for row in rows if not row.right]
    if args.json:
        tell_json({"keys": rows, "wrong": len(wrong)})
    elif wrong:
        tell("\n".join(f"{say('wrong')}: {r.key}: {r.kept} ≠ {r.found}" for r in wrong))
    else:
        tell(say("right", len(rows)))
    return 1 if wrong else 0


# ---- coming in, going out ------------------------------------------------------------------------


def _import(args: argparse.Namespace) -> int:
    return _keep(args, intake.wanted(args), key_store.add, makes=False)


def _generate(args: argparse.Namespace) -> int:
    return _keep(args, intake.wanted(args), key_store.add, makes=True)


def _keep(
    args: argparse.Namespace,
    key: StoredKey,
    store: Callable[[KeyConnection, StoredKey, str], StoredKey],
    *,
    makes: bool,
) -> int:
    settings = settings_of(args.config)
    with store_of(settings) as conn:

        async def work(tools: KeyTools) -> StoredKey:
            if makes:
                brought = await intake.make(tools, key, args.scheme, args.lmk or "")
            else:
                brought = await intake.bring(tools, conn, key, args)
            whole = intake.filled(key, brought, tools.default_lmk)
            return store(conn, whole, brought.how)

        kept = with_tools(settings, work)
    _tell_kept(args, kept)
    return 0


def _tell_kept(args: argparse.Namespace, kept: StoredKey) -> None:
    if args.json:
        tell_json(kept)
    else:
        tell(f"{say('kept')}: key:{kept.name} {kept.version} {kept.state}  {kept.check_value}")


def _rotate(args: argparse.Namespace) -> int:
    with store_of(settings_of(args.config)) as conn:
        if args.activate:
            _tell_kept(args, key_store.activate_pending(conn, args.name, officer()))
            return 0
        before = key_store.active(conn, args.name)
    if before.usage == "DEK":
        raise KeyRefused(
            "a new DEK could not read what the old one wrote: keep it, and use rotate-lmk"
        )
    about = {"usage": before.usage, "type": before.key_type}
    about |= {part: getattr(before.owner, part) for part in intake.OWNER}
    described = argparse.Namespace(**{**vars(args), **about})
    key = intake.wanted(described)
    return _keep(args, key, key_store.add_version, makes=args.generate)


def _export(args: argparse.Namespace) -> int:
    settings = settings_of(args.config)
    with store_of(settings) as conn:
        key = key_store.active(conn, args.name)
        zmk = key_store.active(conn, named_key(args.under) or args.under)
        scheme = args.scheme or ("X" if key.scheme == "U" else "Y")

        async def work(tools: KeyTools) -> tuple[str, str]:
            return await tools.export_key(key.key_type, zmk.held, key.held, scheme)

        text, check = with_tools(settings, work)
        if not key.check_value.startswith(check):
            raise KeyRefused(f"the HSM says check value {check}, kept is {key.check_value}")
        key_store.exported(conn, key, f"under {zmk.name} version {zmk.version}", officer())
    if args.json:
        tell_json({"name": key.name, "cryptogram": text, "check_value": check})
    else:
        tell(f"{text}  {check}")
    return 0


def _retire(args: argparse.Namespace) -> int:
    with store_of(settings_of(args.config)) as conn:
        key_store.retire(conn, args.name, officer())
    _tell_done(args, "retired")
    return 0


def _destroy(args: argparse.Namespace) -> int:
    what = f"{args.name} {args.version}"
    with store_of(settings_of(args.config)) as conn:
        if not args.yes:
            note(say("type_name", what))
            if sys.stdin.readline().strip() != args.name:
                raise SystemExit(say("not_confirmed"))
        key_store.destroy(conn, args.name, args.version, officer())
    _tell_done(args, "destroyed")
    return 0


def _tell_done(args: argparse.Namespace, what: str) -> None:
    tell_json({"name": args.name, "state": what}) if args.json else tell(
        f"{args.name}: {say(what)}"
    )


# ---- another LMK ---------------------------------------------------------------------------------


def _rotate_lmk(args: argparse.Namespace) -> int:
    if args.from_lmk == args.to_lmk:
        raise SystemExit("--from, --to")
    settings = settings_of(args.config)
    with store_of(settings) as conn:

        async def work(tools: KeyTools) -> list[str]:
            mover = Mover(conn, tools, literals(settings), officer())
            if args.finish:
                return mover.finish(args.from_lmk, args.to_lmk)
            return await mover.move(args.from_lmk, args.to_lmk, _progress, args.wait_s)

        waits = with_tools(settings, work)
    if args.finish:
        return _tell_finished(args, waits)
    if args.json:
        tell_json({"from": args.from_lmk, "to": args.to_lmk, "nodes_behind": waits})
        return 0
    tell(say("moved", args.to_lmk))
    if waits:
        tell(f"{say('waits')}: {', '.join(waits)}")
    tell(say("then_finish", args.from_lmk, args.to_lmk))
    return 0


def _progress(done: int, todo: int) -> None:
    note(f"{done}/{todo}", over=done < todo)


def _tell_finished(args: argparse.Namespace, hindrances: list[str]) -> int:
    if args.json:
        tell_json({"finished": not hindrances, "hindrances": hindrances})
    elif hindrances:
        tell("\n".join([f"{say('unfinished')}:", *hindrances]))
    else:
        tell(say("finished", args.from_lmk, args.to_lmk))
    return 1 if hindrances else 0
