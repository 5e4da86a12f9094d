"""``yyt bank simulate``: the simulator as a program, with a live view and script files."""

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from channels.bank_simulator.branch import Task
    from channels.bank_simulator.branch_service import BranchService
    from channels.bank_simulator.habits import Order
    from channels.bank_simulator.ledger import Ledger
    from channels.bank_simulator.service import BankService, Push
    from channels.bank_simulator.view import View
    from channels.bank_simulator.world import World
    from channels.iso8583.dialect import Dialect

_TEXT = {
    "zh": {
        "simulate": "运行银行主机模拟器（签到、MAC、PIN、落盘账本、可注入故障、脚本）",
        "listen": "等待前置连接；端口 0 表示任选",
        "connect": "主动连接前置",
        "http": "账本与控制的本机端口；0 表示任选",
        "ledger": "账本文件",
        "keys": "终端主密钥、卡、付款码（仅测试数据）",
        "dialect": "报文规范：cup-pos（默认）、gz-ascii、zj-bcd、cups-host，或文件路径",
        "seed": "随机种子，默认取自系统",
        "watch": "每条报文、链路的每次变化显示一行（已脱敏）",
        "json": "与 --watch 或 --script 同用：每行一个 JSON 对象",
        "script": "按脚本预期与注入，结束后退出：0 符合，1 不符",
        "branch": "兼作银行自有终端，连接前置的 bank_origin 入口",
        "passed": "脚本通过",
        "failed": "脚本未通过",
        "stopped": "脚本未结束就被停止",
        "world": "--keys 的最小文件（测试数据，绝不用真实密钥或卡）",
        "port": "端口是 0 到 65535 的整数",
        "address": "应写作 HOST:PORT，端口 {} 到 65535",
        "no_ledger": "打不开账本",
        "in_use": "另一个模拟器正在使用此账本",
        "json_alone": "--json 与 --watch 或 --script 同用（启动时的 ready 行总是 JSON）",
        "example": "示例",
    },
    "en": {
        "simulate": "run the bank simulator (sign-on, MAC, PIN, durable book, bad habits, scripts)",
        "listen": "the switch dials us; port 0 = any",
        "connect": "we dial the switch",
        "http": "local port of the ledger and the controls; 0 = any",
        "ledger": "the file of the book",
        "keys": "terminals' master keys, cards, payment codes (test data only)",
        "dialect": "cup-pos (default), gz-ascii, zj-bcd, cups-host, or path of a file",
        "seed": "of keys and chances; default: from the system",
        "watch": "one line for each message, masked, and for what happens to links",
        "json": "with --watch or --script: one JSON object a line",
        "script": "expect and misbehave as the file says, then exit: 0 as expected, 1 not",
        "branch": "be the bank's own kiosk too, at the switch's door bank_origin",
        "passed": "script passed",
        "failed": "script failed",
        "stopped": "stopped before the script ended",
        "world": "the least --keys file (test data, never real keys or cards)",
        "port": "a port is a whole number from 0 to 65535",
        "address": "HOST:PORT is needed, the port from {} to 65535",
        "no_ledger": "the ledger cannot be opened",
        "in_use": "another simulator uses this ledger",
        "json_alone": "--json goes with --watch or --script (the line ready is JSON anyway)",
        "example": "examples",
    },
}
_PORT_MAX = 65_535
_LAST_WORDS_S = 0.1
"""After a script: its last answers leave."""
_EXAMPLE = """{example}:
  yyt bank simulate --listen 127.0.0.1:8583 --http 8584 --ledger bank.db --keys bank.yaml --watch
  yyt bank simulate --connect 127.0.0.1:9443 --http 8584 --ledger bank.db --keys bank.yaml \\
      --dialect cups-host --script lost-answer.yaml --json

{world}:
  terminals:
  - {{merchant: "103290083980001", terminal: "10000001", tmk: 0123456789ABCDEFFEDCBA9876543210}}
  cards:
  - {{name: zhang, pan: "6225881234567890", pin: "135790", balance_fen: 1000000}}

docs/bank-simulator.md
"""


def register(verbs: Any, language: str) -> None:
    """Add the verb ``simulate``."""
    text = _TEXT[language]
    simulate = verbs.add_parser(
        "simulate",
        help=text["simulate"],
        description=text["simulate"],
        epilog=_EXAMPLE.format(**text),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def port(given: str) -> int:
        if not given.isdecimal() or int(given) > _PORT_MAX:
            raise argparse.ArgumentTypeError(f"{given}: {text['port']}")
        return int(given)

    def address(given: str, least: int = 0) -> tuple[str, int]:
        host, _, number = given.rpartition(":")
        if not host or not number.isdecimal() or not least <= int(number) <= _PORT_MAX:
            raise argparse.ArgumentTypeError(f"{given}: {text['address'].format(least)}")
        return host, int(number)

    def peer(given: str) -> tuple[str, int]:
        return address(given, least=1)

    way = simulate.add_mutually_exclusive_group(required=True)
    way.add_argument("--listen", type=address, metavar="HOST:PORT", help=text["listen"])
    way.add_argument("--connect", type=peer, metavar="HOST:PORT", help=text["connect"])
    simulate.add_argument("--http", required=True, type=port, metavar="PORT", help=text["http"])
    simulate.add_argument("--ledger", required=True, type=Path, metavar="FILE", help=text["ledger"])
    simulate.add_argument("--keys", required=True, type=Path, metavar="FILE", help=text["keys"])
    simulate.add_argument("--dialect", default="cup-pos", metavar="NAME|FILE", help=text["dialect"])
    simulate.add_argument("--seed", type=int, default=None, metavar="N", help=text["seed"])
    simulate.add_argument("--watch", action="store_true", help=text["watch"])
    simulate.add_argument("--json", action="store_true", help=text["json"])
    simulate.add_argument("--script", type=Path, metavar="FILE", help=text["script"])
    simulate.add_argument("--branch", type=peer, metavar="HOST:PORT", help=text["branch"])
    simulate.set_defaults(run=lambda args: _simulate(args, language))


def _simulate(args: argparse.Namespace, language: str) -> int:
    from twisted.internet import reactor
    from twisted.internet.error import CannotListenError

    from channels.bank_simulator.script import ScriptError, load_script
    from channels.bank_simulator.world import WorldError
    from channels.iso8583.errors import DialectError
    from switch.observe import logs

    shows = args.watch or args.script is not None
    if args.json and not shows:
        raise SystemExit(_TEXT[language]["json_alone"])
    logs.configure(stream=sys.stderr.buffer if shows else None)
    result = Result(args.script is not None)
    try:
        script = load_script(args.script) if args.script is not None else None
        bank = _open(args, reactor, _ledger(args.ledger, _TEXT[language]))
        service = bank.service
        view = _view(service, args, language) if shows else None
        if view is not None and args.watch:
            service.host.watch = view.seen
            service.watch = view.link
            if bank.branch is not None:
                bank.branch.watch = view.link
        if view is not None and script is not None:
            from channels.bank_simulator.script import Player

            stage = ReactorStage(bank, reactor, view, result, _TEXT[language])
            player = Player(script, stage)
            service.host.watch = _both(view.seen if args.watch else None, player.seen)
            reactor.callWhenRunning(player.start)
        if view is not None:
            view.gone = lambda: _unread(reactor)
    except (WorldError, DialectError, ScriptError, CannotListenError) as error:
        raise SystemExit(str(error)) from None
    reactor.run()
    if view is not None and result.awaited:
        view.say(_TEXT[language]["stopped"], passed=False)
    return result.code


class Bank(NamedTuple):
    """What runs."""

    service: "BankService"
    branch: "BranchService | None"


class Result:
    """How a script ends; one that is awaited and does not end has failed."""

    def __init__(self, awaited: bool) -> None:
        self.awaited = awaited
        self.code = 1 if awaited else 0


class ReactorStage:
    """What a script does to a running bank."""

    def __init__(
        self,
        bank: "Bank",
        reactor: Any,
        view: "View",
        result: Result,
        text: dict[str, str],
    ) -> None:
        self._service = bank.service
        self._branch = bank.branch
        self._reactor = reactor
        self._view = view
        self._result = result
        self._text = text

    def set_habits(self, order: "Order") -> None:
        """Raises ValueError."""
        self._service.host.habits.set(order)

    def push(self, order: "Push") -> None:
        """Raises PushError."""
        self._service.push(order)

    def cut_over(self) -> str:
        """The bank's day turns."""
        return self._service.host.cut_over()

    def drop_links(self) -> None:
        """All of them."""
        for link in list(self._service.links):
            link.hang_up()

    def net_fen(self) -> int:
        """What the book comes to."""
        return sum(entry.net_fen for entry in self._service.host.ledger.entries())

    def branch(self, task: "Task", told: Callable[[str], None]) -> None:
        """Raises ValueError when there is none."""
        from twisted.internet.defer import Deferred

        if self._branch is None:
            raise ValueError("no --branch")

        def failed(failure: Any) -> None:
            told(str(failure.value))

        doing = Deferred.fromCoroutine(self._branch.do(task))
        doing.addCallback(lambda said: told(str(said["code"]))).addErrback(failed)

    def say(self, text: str) -> None:
        """A line of the script's."""
        self._view.say(text)

    def arm(self, wait_ms: int, what: Callable[[], None]) -> Callable[[], None]:
        """A timer."""
        call = self._reactor.callLater(wait_ms / 1000, what)
        return lambda: call.cancel() if call.active() else None

    def ended(self, failure: str) -> None:
        """Say how, and stop."""
        self._result.code = 1 if failure else 0
        self._result.awaited = False
        text = f"{self._text['failed']}: {failure}" if failure else self._text["passed"]
        self._view.say(text, passed=not failure)
        self._reactor.callLater(_LAST_WORDS_S, self._reactor.stop)


def _unread(reactor: Any) -> None:
    """Nobody reads stdout: end quietly, as a filter does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    reactor.callLater(0, reactor.stop)


def _both(*watches: Callable[[Any], None] | None) -> Callable[[Any], None]:
    told = [watch for watch in watches if watch is not None]

    def tell(seen: Any) -> None:
        for watch in told:
            watch(seen)

    return tell


def _view(service: "BankService", args: argparse.Namespace, language: str) -> "View":
    from channels.bank_simulator.view import View

    return View(
        service.host.dialect,
        sys.stdout,
        lambda: time.strftime("%H:%M:%S"),
        language=language,
        as_json=args.json,
    )


def _ledger(path: Path, text: dict[str, str]) -> "Ledger":
    from channels.bank_simulator.ledger import Ledger, LedgerError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(str(path))
        # Never closed: it is ours until the process ends. What a ledger keeps in memory (RRN, keys,
        # money spent) would be wrong beside another simulator's.
        fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return ledger
    except BlockingIOError:
        raise SystemExit(f"{path}: {text['in_use']}") from None
    except OSError as error:
        raise SystemExit(f"{path}: {text['no_ledger']}: {error.strerror}") from None
    except LedgerError as error:
        raise SystemExit(f"{path}: {text['no_ledger']}: {error}") from None


def _open(args: argparse.Namespace, reactor: Any, ledger: "Ledger") -> Bank:
    """Open links and HTTP, and print the ready line."""
    from channels.bank_simulator.host import BankHost
    from channels.bank_simulator.service import BankDialer, BankListener, BankService
    from channels.bank_simulator.world import load_world
    from channels.iso8583.load import load_dialect
    from switch.observe.http import serve_json

    dialect = load_dialect(args.dialect)
    world = load_world(args.keys)
    host = BankHost(
        dialect=dialect,
        world=world,
        ledger=ledger,
        random=Random(args.seed),  # noqa: S311 - a simulator must be able to repeat itself
        now_ms=lambda: int(time.time() * 1000),
    )
    service = BankService(host, reactor, dialect.length_prefix)
    ready = {"ready": "bank", "pid": os.getpid()}
    if args.listen:
        name, number = args.listen
        port = reactor.listenTCP(number, BankListener(service), interface=name)
        ready["iso8583"] = f"{name}:{port.getHost().port}"
    else:
        name, number = args.connect
        # Whoever watches is there by then.
        reactor.callWhenRunning(reactor.connectTCP, name, number, BankDialer(service))
        ready["iso8583"] = f"{name}:{number}"
    branch = _branch(args, dialect, world, reactor) if args.branch else None
    routes = {**service.routes(), **(branch.routes() if branch is not None else {})}
    http: Any = serve_json(reactor, args.http, routes)
    ready["http"] = f"127.0.0.1:{http.getHost().port}"
    reactor.addSystemEventTrigger("after", "shutdown", ledger.close)
    print(json.dumps(ready), flush=True)
    return Bank(service, branch)


def _branch(
    args: argparse.Namespace, dialect: "Dialect", world: "World", reactor: Any
) -> "BranchService":
    from channels.bank_simulator.branch import Branch
    from channels.bank_simulator.branch_service import BranchService
    from channels.bank_simulator.world import WorldError

    if not world.branches:
        raise WorldError(f"{args.keys}: branches: --branch needs one")

    def date_time() -> tuple[str, str]:
        now = time.localtime()
        return time.strftime("%Y%m%d", now), time.strftime("%H%M%S", now)

    try:
        branch = Branch(dialect, world.branches[0], date_time)
    except ValueError as error:
        raise WorldError(str(error)) from None
    service = BranchService(branch, dialect, reactor)
    reactor.callWhenRunning(reactor.connectTCP, *args.branch, service)
    return service
