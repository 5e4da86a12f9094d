"""``yyt hsm console``: type host commands, see them and their answers explained, masked."""

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from hsm import cli_serve, explain
from hsm.address import Address
from hsm.layouts import COMMANDS
from hsm.texts import say

_HEADER: Final = b"0000"

_EPILOG = """examples:
  yyt hsm console --listen tcp:127.0.0.1:1500
  yyt hsm console --connect unix:/run/yinyitong/hsm.sock
  echo NC | yyt hsm console --connect tcp:127.0.0.1:1500 --json
type a host command without its header (\\xHH for a byte that cannot be typed), or
  list        every command        CA ?   the fields of one        quit   (or Ctrl-D)"""


def register(verbs: Any) -> None:
    """Add the verb ``console`` to those of ``yyt hsm``."""
    console = verbs.add_parser(
        "console", help="控制台 type host commands and see them explained", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    where = console.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--listen", type=cli_serve.address, metavar="ADDRESS",
        help="also be a key service under the test LMKs there, and show what hosts ask it",
    )  # fmt: skip
    where.add_argument(
        "--connect", type=cli_serve.address, metavar="ADDRESS", help="ask this key service"
    )
    console.add_argument("--json", action="store_true", help="one JSON object a line")
    console.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.listen is not None:
        return _listening(args.listen, _printer(args.json))
    return _connected(args.connect, _printer(args.json))


Show = Callable[[str, explain.Explained], None]


def _printer(as_json: bool) -> Show:
    def show(direction: str, explained: explain.Explained) -> None:
        if as_json:
            print(json.dumps(explained.record(direction), ensure_ascii=False), flush=True)
        else:
            print(f"{'>' if direction == 'request' else '<'} {explained.text()}", flush=True)

    return show


def _connected(address: Address, show: Show) -> int:
    from hsm import console

    for body in _typed():
        show("request", explain.request(body))
        try:
            back = console.exchange(address, _HEADER + body)
        except OSError as error:
            print(say("cannot_reach", error), file=sys.stderr)
            return 1
        show("answer", explain.answer(body, back[len(_HEADER) :]))
    return 0


def _listening(address: Address, show: Show) -> int:
    from twisted.internet import reactor
    from twisted.internet.error import CannotListenError

    from hsm.daemon.clients import LOCAL
    from hsm.daemon.watched import watched_house

    if address.tls or not address.loopback:
        print(say("loopback", address), file=sys.stderr)
        return 2
    looped: Any = reactor
    try:
        house, where = watched_house(address, looped, lambda asked, back: _both(show, asked, back))
    except CannotListenError as error:
        print(say("cannot_listen", f"{address} ({error.socketError})"), file=sys.stderr)
        return 1
    print(say("banner"), file=sys.stderr, flush=True)
    print(say("console_listens", where), file=sys.stderr, flush=True)

    def read() -> None:
        typed = 0
        for body in _typed():
            typed += 1
            looped.callFromThread(house.answer, _HEADER + body, LOCAL)
        if typed or sys.stdin.isatty():
            looped.callFromThread(looped.stop)
        # Started with nothing to read, it serves until it is told to end.

    # A thread: what stands before us may be a terminal, a pipe or a file, and not all of them
    # can be waited for by the reactor.
    looped.callWhenRunning(threading.Thread(target=read, daemon=True).start)
    looped.run()
    return 0


def _both(show: Show, asked: bytes, back: bytes) -> None:
    body = asked[len(_HEADER) :]
    show("request", explain.request(body))
    show("answer", explain.answer(body, back[len(_HEADER) :]))


def _typed() -> Iterator[bytes]:
    """Host commands as they are typed; what asks for help is answered here."""
    while True:
        if sys.stdin.isatty():
            print("hsm> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        words = line.split()
        if not line or words == ["quit"]:
            return
        if not words:
            continue
        if words == ["help"]:
            print(_EPILOG)
        elif words == ["list"]:
            print(explain.listing())
        elif len(words) == 2 and words[1] == "?":
            command = COMMANDS.get(words[0].upper())
            print(explain.layout(command) if command else say("console_unknown", words[0][:2]))
        else:
            yield _bytes(line.rstrip("\r\n"))


def _bytes(line: str) -> bytes:
    out, at = bytearray(), 0
    while at < len(line):
        if line.startswith("\\x", at):
            try:
                out.append(int(line[at + 2 : at + 4], 16))
                at += 4
                continue
            except ValueError:
                pass
        out += line[at].encode("utf-8")
        at += 1
    return bytes(out)
