"""``yyt hsm``: init, unlock, lock, status, auth, officer. Passphrases are typed at /dev/tty."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from hsm.admin import protocol as ask
from hsm.admin.client import Admin, AdminError
from hsm.admin.protocol import Login
from hsm.ceremony.terminal import NoTerminalError, Terminal
from hsm.ceremony.texts import tell
from hsm.daemon.hardening import harden
from hsm.sealing.errors import SealingError

ADMIN_PATH: Final = "/run/yinyitong/hsm-admin.sock"


class StoppedError(Exception):
    """The tool gives up; the text is a sentence for whoever sits there."""


def register(verbs: Any) -> None:
    """Add the officers' verbs to those of ``yyt hsm``."""
    init = verbs.add_parser(
        "init", help="新建加密机 a new key service",
        epilog="yyt hsm init --production --folder /var/lib/yinyitong-hsm",
    )  # fmt: skip
    mode = init.add_mutually_exclusive_group(required=True)
    mode.add_argument("--test", action="store_true", help="with a random LMK of test status")
    mode.add_argument("--production", action="store_true", help="its LMK comes by a ceremony")
    init.add_argument("--folder", type=Path, required=True)
    init.add_argument("--sockets", type=Path, help="folder of the sockets; default: the same")
    init.add_argument("--client-uid", type=int, help="the switch's user; default: ours")
    init.set_defaults(run=at_terminal(_init))

    unlock = verbs.add_parser("unlock", help="解锁 open the sealed LMKs: two officers")
    add_admin(unlock)
    unlock.set_defaults(run=at_terminal(_unlock))

    lock = verbs.add_parser("lock", help="锁定 forget every LMK: one officer")
    add_admin(lock)
    lock.set_defaults(run=at_terminal(_lock))

    auth = verbs.add_parser(
        "auth", help="授权状态 the authorised state",
        epilog='yyt hsm auth on --for A4,A8 --minutes 15 --purpose "TMK of the new bank link"',
    )  # fmt: skip
    actions = auth.add_subparsers(metavar="on | off", required=True)
    on = actions.add_parser("on", help="two officers allow commands for a while")
    add_admin(on)
    on.add_argument("--for", dest="commands", required=True, metavar="A4,A8")
    on.add_argument("--minutes", type=int, required=True)
    on.add_argument("--purpose", required=True, help="it stands in the audit log")
    on.set_defaults(run=at_terminal(_auth_on))
    off = actions.add_parser("off", help="one officer ends it")
    add_admin(off)
    off.set_defaults(run=at_terminal(_auth_off))

    officer = verbs.add_parser("officer", help="安全官与保管人 officers and custodians")
    actions = officer.add_subparsers(metavar="add | list | remove", required=True)
    add = actions.add_parser("add", help="two officers name a third person")
    add_admin(add)
    add.add_argument("name")
    add.add_argument("--role", choices=["officer", "custodian"], default="officer")
    add.set_defaults(run=at_terminal(_add))
    listing = actions.add_parser("list", help="names and roles")
    add_admin(listing)
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_list)
    remove = actions.add_parser("remove", help="two officers take somebody out")
    add_admin(remove)
    remove.add_argument("name")
    remove.set_defaults(run=at_terminal(_remove))


def add_admin(parser: argparse.ArgumentParser) -> None:
    """``--admin``."""
    parser.add_argument("--admin", default=ADMIN_PATH, help=f"admin socket; {ADMIN_PATH}")


def at_terminal(
    action: Callable[[argparse.Namespace, Terminal], None],
) -> Callable[[argparse.Namespace], int]:
    """A verb for people: exit 0 done, 1 refused or interrupted, 2 no terminal."""

    def run(args: argparse.Namespace) -> int:
        harden()
        try:
            terminal = Terminal()
        except NoTerminalError:
            print(tell("no_terminal"), file=sys.stderr)
            return 2
        try:
            action(args, terminal)
        except (StoppedError, SealingError) as error:
            print(error, file=sys.stderr)
        except (NoTerminalError, KeyboardInterrupt):
            print(tell("interrupted"), file=sys.stderr)
        else:
            return 0
        finally:
            terminal.close()
        return 1

    return run


def asked(path: str, request: Struct) -> dict[str, Any]:
    """One request on a connection of its own. StoppedError: refused, or nobody there."""
    with connected(path) as admin:
        return answered(admin, request)


def connected(path: str) -> Admin:
    """A connection. StoppedError: nobody there."""
    try:
        return Admin(path)
    except OSError as error:
        raise StoppedError(tell("cannot_reach", f"{path} ({error})")) from None


def answered(admin: Admin, request: Struct) -> dict[str, Any]:
    """The facts of an answer. StoppedError: refused, or the line broke."""
    try:
        return admin.ask(request)
    except AdminError as error:
        raise StoppedError(tell(error.code, error.what)) from None
    except OSError as error:
        raise StoppedError(tell("cannot_reach", error)) from None


def login(terminal: Terminal, prompt: str, *, alone: bool = False) -> Login:
    """Name and passphrase of whoever sits down; ``alone``: the others are asked to look away."""
    name = terminal.ask(prompt).strip()
    if alone:
        terminal.tell(tell("hand_over", name))
    return Login(name, terminal.ask_hidden(tell("passphrase", name)))


def two_officers(terminal: Terminal) -> dict[str, Login]:
    """``first`` and ``second``, for the requests that want both."""
    first = login(terminal, tell("officer", 1))
    second = login(terminal, tell("officer", 2))
    return {"first": first, "second": second}


def _new_login(terminal: Terminal, name: str) -> Login:
    typed = terminal.ask_hidden(tell("passphrase", name))
    if terminal.ask_hidden(tell("passphrase_again", name)) != typed:
        raise StoppedError(tell("differs"))
    return Login(name, typed)


def _init(args: argparse.Namespace, terminal: Terminal) -> None:
    from hsm.audit import AuditDown, AuditKeyError
    from hsm.ceremony.founding import found
    from hsm.officers import PeopleError
    from hsm.sealing.passphrase import Officer
    from hsm.texts import say

    folder = args.folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        raise StoppedError(tell("folder_taken", folder))
    logins = []
    for number in (1, 2):
        name = terminal.ask(tell("officer", number)).strip()
        logins.append(_new_login(terminal, name))
    first, second = (Officer(one.name, one.passphrase) for one in logins)
    try:
        path = found(
            folder, args.production, (first, second),
            sockets=args.sockets, client_uid=args.client_uid,
        )  # fmt: skip
    except PeopleError as error:
        raise StoppedError(tell(error.code, error.who)) from None
    except (OSError, AuditKeyError, AuditDown) as error:
        raise StoppedError(str(error)) from None
    if args.test:
        terminal.tell(say("banner_test_mode"))
    print(tell("init_done", folder, ", ".join(sorted(p.name for p in folder.iterdir()))))
    admin = (args.sockets or folder) / Path(ADMIN_PATH).name
    option = "" if str(admin) == ADMIN_PATH else f" --admin {admin}"
    print(tell("init_next_test" if args.test else "init_next", path, option))


def _unlock(args: argparse.Namespace, terminal: Terminal) -> None:
    with connected(args.admin) as admin:
        facts = answered(admin, ask.Unlock(**two_officers(terminal)))
    print(tell("unlocked", _pairs(facts["loaded"])))
    if facts["sealed_for"]:
        print(tell("sealed_for", _pairs(facts["sealed_for"])))
    if facts["failed"]:
        print(tell("not_opened", _pairs(facts["failed"])))


def _lock(args: argparse.Namespace, terminal: Terminal) -> None:
    asked(args.admin, ask.Lock(officer=login(terminal, tell("officer", 1))))
    print(tell("locked"))


def _auth_on(args: argparse.Namespace, terminal: Terminal) -> None:
    commands = tuple(code.strip().upper() for code in args.commands.split(",") if code.strip())
    with connected(args.admin) as admin:
        request = ask.Authorise(
            **two_officers(terminal), commands=commands, minutes=args.minutes, purpose=args.purpose
        )
        print(tell("granted", _pairs(answered(admin, request)["authorised"])))


def _auth_off(args: argparse.Namespace, terminal: Terminal) -> None:
    facts = asked(args.admin, ask.Withdraw(officer=login(terminal, tell("officer", 1))))
    print(tell("withdrawn", " ".join(facts["ended"]) or "-"))


def _add(args: argparse.Namespace, terminal: Terminal) -> None:
    with connected(args.admin) as admin:
        officers = two_officers(terminal)
        terminal.tell(tell("hand_over", args.name))
        person = _new_login(terminal, args.name)
        request = ask.AddPerson(**officers, person=person, role=args.role)
        facts = answered(admin, request)
    print(tell("added", name=facts["name"], role=facts["role"]))
    if facts["not_sealed"]:
        print(tell("not_opened", _pairs(facts["not_sealed"])))


def _list(args: argparse.Namespace) -> int:
    try:
        people = asked(args.admin, ask.ListPeople())["people"]
    except StoppedError as error:
        print(error, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(people, ensure_ascii=False))
    else:
        for person in people:
            print(f"{person['role']:<10} {person['name']}")
    return 0


def _remove(args: argparse.Namespace, terminal: Terminal) -> None:
    with connected(args.admin) as admin:
        request = ask.RemovePerson(**two_officers(terminal), name=args.name)
        facts = answered(admin, request)
    print(tell("removed", name=facts["name"]))
    if facts["resealed"]:
        print(tell("resealed"))
    if facts["not_sealed"]:
        print(tell("not_opened", _pairs(facts["not_sealed"])))


def status(args: argparse.Namespace) -> int:
    """``yyt hsm status --admin``: everything the daemon says of itself."""
    try:
        facts = asked(args.admin, ask.Status())
    except StoppedError as error:
        print(error, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    state = "LOCKED 未解锁" if facts["locked"] else "unlocked 已解锁"
    print(f"{facts['name']}  {facts['mode']}  {state}  {facts['firmware']}  {facts['version']}")
    for lmk_id, slot in facts["slots"].items():
        there = "loaded" if slot["loaded"] else "not loaded"
        shown = f"{slot.get('scheme', '-'):<10} {slot['status']:<5} {slot.get('check_value', '-')}"
        print(f"LMK {lmk_id}  {shown}  {there}")
    print(f"authorised: {_pairs(facts['authorised']) or '-'}")
    print(f"audit: {facts['audit']}   held keys: {facts['held_keys']}")
    return 0


def _pairs(found: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in found.items())
