"""``yyt terminal push``, ``command`` and ``orders``: what an operator wants of a terminal."""

import argparse
import datetime
import json
import os
from pathlib import Path

import msgspec
import yaml

from channels.kiosk.orders import Do, Order, OrderBook, OrderError, Placed
from channels.kiosk.registry import Registry, RegistryError
from channels.kiosk.states import State, States
from terminal_agent import protocol

_TEXT = {
    "zh": {
        "pushed": "终端 {0} 的配置第 {1} 版已登记，终端在线时下发，重启后生效",
        "ordered": "终端 {0} 的指令 {1} 已登记，编号 {2}",
        "none": "终端 {0} 没有指令",
        "waiting": "等待",
        "done": "完成",
        "refused": "拒绝",
    },
    "en": {
        "pushed": "terminal {0}: settings version {1} placed; in force after its next start",
        "ordered": "terminal {0}: {1} placed, order {2}",
        "none": "terminal {0}: no orders",
        "waiting": "waiting",
        "done": "done",
        "refused": "refused",
    },
}
_DEPTH_MAX = 4
_FILE_BYTES_MAX = 16_384


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    push = verbs.add_parser("push", help="change settings of a terminal from here")
    _terminal(push)
    push.add_argument(
        "--file",
        type=Path,
        required=True,
        help=f"YAML with any of: {', '.join(protocol.PUSHABLE)}",
    )
    push.set_defaults(run=_push)
    command = verbs.add_parser("command", help="lock, unlock or restart a terminal, fetch its log")
    _terminal(command)
    command.add_argument("do", choices=("lock", "unlock", "restart", "logs"))
    command.add_argument("--text", default="", help="with lock: what the terminal shows")
    command.set_defaults(run=_command)
    orders = verbs.add_parser("orders", help="what waits for a terminal, was done, was refused")
    _terminal(orders)
    orders.add_argument("--json", action="store_true")
    orders.set_defaults(run=_orders)


def _terminal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("terminal")
    parser.add_argument("--dir", type=Path, required=True, help="folder of the authority")


def _say(key: str, *values: object) -> str:
    language = os.environ.get("YYT_LANG", "zh")
    return _TEXT.get(language, _TEXT["zh"])[key].format(*values)


def _push(args: argparse.Namespace) -> int:
    settings = read_settings(args.file)
    states = {state.terminal: state for state in States(args.dir).read_all()}
    known = states.get(args.terminal, State(terminal=args.terminal))
    order = _placed(args, "settings", settings=settings, above=known.settings)
    print(_say("pushed", args.terminal, order.version))
    return 0


def _command(args: argparse.Namespace) -> int:
    if args.text and args.do != "lock":
        raise SystemExit("--text: only with lock")
    order = _placed(args, args.do, text=args.text)
    print(_say("ordered", args.terminal, args.do, order.id))
    return 0


def _placed(
    args: argparse.Namespace,
    do: Do,
    *,
    text: str = "",
    settings: dict[str, str] | None = None,
    above: int = 0,
) -> Order:
    try:
        Registry(args.dir).get(args.terminal)
        return OrderBook(args.dir).place(
            args.terminal, do, text=text, settings=settings, above=above
        )
    except (RegistryError, OrderError) as error:
        raise SystemExit(str(error)) from None


def _orders(args: argparse.Namespace) -> int:
    book = OrderBook(args.dir)
    try:
        Registry(args.dir).get(args.terminal)
    except RegistryError as error:
        raise SystemExit(str(error)) from None
    placed = book.placed(args.terminal)
    if args.json:
        print(json.dumps([_shown(one, book, args) for one in placed], ensure_ascii=False))
        return 0
    if not placed:
        print(_say("none", args.terminal))
    for one in placed:
        shown = _shown(one, book, args)
        what = f"{one.order.do} {one.order.version}" if one.order.version else one.order.do
        made_at = datetime.datetime.fromtimestamp(one.order.made_at).astimezone()
        state = _say(str(shown["state"]))
        print(f"{made_at:%Y-%m-%d %H:%M:%S}  {what:<12} {state:<8} {shown['said']}".rstrip())
        if shown["log"]:
            print(f"  {shown['log']}")
    return 0


def _shown(placed: Placed, book: OrderBook, args: argparse.Namespace) -> dict[str, object]:
    order, reply = placed.order, placed.reply
    log = book.log_path(args.terminal, order.id)
    state = "waiting" if reply is None else "done" if reply.ok else "refused"
    return {
        **msgspec.to_builtins(order),
        "state": state,
        "said": reply.text if reply else "",
        "answered_at": reply.at if reply else 0,
        "log": str(log) if log.exists() else "",
    }


def read_settings(path: Path) -> dict[str, str]:
    """A YAML file as dotted path → text, nested like the terminal's own file or written dotted.
    Raises SystemExit with one sentence; a path that stands twice is a mistake."""
    try:
        content = path.read_bytes()
        if len(content) > _FILE_BYTES_MAX:
            raise SystemExit(f"{path}: larger than {_FILE_BYTES_MAX} bytes")
        root = yaml.compose(content.decode(), yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path}: {error}") from None
    found: dict[str, str] = {}
    _flatten(path, root, "", found, _DEPTH_MAX)
    return found


def _flatten(
    path: Path, node: yaml.Node | None, at: str, found: dict[str, str], depth_left: int
) -> None:
    if isinstance(node, yaml.MappingNode) and depth_left:
        for key, value in node.value:
            below = f"{at}.{key.value}" if at else str(key.value)
            _flatten(path, value, below, found, depth_left - 1)
    elif isinstance(node, yaml.ScalarNode) and at:
        if at in found:
            raise SystemExit(f"{path}: {at} stands twice")
        found[at] = str(node.value)
    else:
        raise SystemExit(f"{path}: {at or 'the file'}: must be settings by name")
