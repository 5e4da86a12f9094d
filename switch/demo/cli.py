"""``yyt demo``: everything at once, with real processes, until Ctrl-C."""

import argparse
import contextlib
import fcntl
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from switch.audit.cli import as_json, sentence
from switch.audit.compare import Audit
from switch.audit.sources import SourceError, audit_demo
from switch.demo import programs, stage
from switch.demo.play import Play
from switch.demo.ports import free_ports
from switch.demo.processes import NotReady, Supervisor
from switch.demo.scenes import MORNING, Played
from switch.demo.screen import Screen, say
from switch.store.books import read_books
from switch.store.embedded import embedded_dsn

EXAMPLE = """examples (bin/demo is the same, and sets everything up first):
  yyt demo                    play a patient morning, leave everything running until Ctrl-C
  yyt demo --once --json      play it and exit: 0 only when the books are right
  yyt demo --load 20          20 payments a second; kill -9 any process and watch it come back
  yyt audit                   (meanwhile, elsewhere) compare bank, hospital, journal, terminals
"""

READY_S = 60.0
SETTLE_S = 30.0
AUDIT_EVERY_S = 10.0


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``yyt demo``."""
    parser.description = "The whole system on this machine, on loopback, with simulated outsiders."
    parser.epilog = EXAMPLE
    parser.add_argument("--once", action="store_true", help="play the morning, audit, exit")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--load", type=int, default=0, metavar="N", help="N payments a second")
    parser.add_argument(
        "--var", type=Path, default=Path("var"), help="where demo.json and all data go"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0: played and the audit is clean; 1: it is not, or something did not come up."""
    if args.load < 0 or (args.load and args.once):
        raise SystemExit("--load takes a number above 0 and does not go with --once")
    args.var.mkdir(exist_ok=True, parents=True)
    with _alone(args.var):
        return Demo(args).run()


class Demo:
    """One run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._var: Path = args.var.absolute()
        self._screen = Screen(sys.stderr if args.json else sys.stdout)
        self._stage = stage.Stage(folder=self._var / "demo", ports=free_ports())
        self._supervisor = Supervisor(self._var, self._screen.line)
        self._interrupted = threading.Event()
        self._started = time.monotonic()
        self._answer = ""

    def run(self) -> int:
        """Start, play, audit; then wait for Ctrl-C unless ``--once``."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._interrupted.set())
        try:
            self._start()
            code = self._load() if self._args.load else self._morning()
            if not self._args.once and not self._args.load:
                self._show_addresses()
                self._interrupted.wait()
        except NotReady as error:
            if self._interrupted.is_set():
                return 130
            print(f"yyt demo: {error}", file=sys.stderr)
            return 1
        finally:
            self._screen.settle()
            self._screen.line(say("正在停止所有进程", "stopping all processes"))
            self._supervisor.stop()
        if self._answer:
            print(self._answer, flush=True)
        return code

    # ---- acts ------------------------------------------------------------------------------------

    def _start(self) -> None:
        tell = self._screen.line
        setting = self._stage
        programs_of = programs.Programs(setting, load=self._args.load)
        self._supervisor.stopped_by(self._interrupted)
        stage.clear(setting.folder)
        stage.make_outside(setting)
        self._supervisor.run()
        tell(say("启动数据库、加密机、银行、医院", "starting PostgreSQL, HSM, bank, hospital"))
        self._supervisor.start(programs_of.foundation(), READY_S)
        tell(say("装载密钥与证书", "loading keys and certificates"))
        stage.make_inside(setting)
        tell(say("启动银医通前置,向银行签到", "starting the switch, signing on to the bank"))
        self._supervisor.start([programs_of.switch()], READY_S)
        tell(say("登记三台自助终端", "enrolling three kiosks"))
        stage.enrol(setting)
        self._supervisor.start([*programs_of.kiosks(), programs_of.page_kiosk()], READY_S)
        tell(say("全部就绪", "everything is up"))

    def _morning(self) -> int:
        addresses = programs.http_addresses(self._stage)
        play = Play(addresses, self._supervisor.kill, self._screen.row)
        morning = play.run(MORNING)
        self._screen.settle()
        audit = self._settled_audit()
        self._screen.line(sentence(audit))
        as_expected = all(played.as_expected for played in morning)
        for played in morning:
            if not played.as_expected:
                self._screen.line(_unexpected(played))
        if self._args.json:
            print(json.dumps(self._summary(audit)), flush=True)
        return 0 if as_expected and not audit.violations and not audit.in_flight else 1

    def _load(self) -> int:
        """Payments at the wished rate until the interrupt, an audit every now and then."""
        self._show_addresses()
        clean = True
        while not self._interrupted.wait(AUDIT_EVERY_S):
            try:
                audit = audit_demo(self._var / "demo.json")
            except SourceError as error:
                self._screen.line(str(error))
                continue
            clean = clean and not audit.violations
            self._screen.line(sentence(audit))
        return 0 if clean else 1

    def _settled_audit(self) -> Audit:
        """The audit once nothing is in flight any more (or when SETTLE_S is over)."""
        end = time.monotonic() + SETTLE_S
        while True:
            audit = audit_demo(self._var / "demo.json")
            if not audit.in_flight or time.monotonic() > end or self._interrupted.is_set():
                return audit
            time.sleep(0.2)

    def _summary(self, audit: Audit) -> dict[str, Any]:
        ends = [payment.rest for payment in read_books(embedded_dsn(self._stage.postgres))]
        names = ("done", "declined", "undone", "exception")
        story = as_json(audit)
        kept = ("bank_net_fen", "his_booked_fen", "terminal_told_fen", "violations")
        return {
            "payments": len(ends),
            **{name: ends.count(name) for name in names},
            "audit": {name: story[name] for name in kept},
            "seconds": round(time.monotonic() - self._started, 1),
        }

    def _show_addresses(self) -> None:
        tell = self._screen.line
        tell(say("地址(Ctrl-C 停止):", "addresses (Ctrl-C stops everything):"))
        for process in json.loads((self._var / "demo.json").read_text())["processes"]:
            shown = "  ".join(f"{name} {value}" for name, value in process["addresses"].items())
            tell(f"  {process['name']:<9} pid {process['pid']:<7} {shown}")
        tell(say("另开窗口可运行: bin/yyt audit", "in another window: bin/yyt audit"))
        page = f"http://127.0.0.1:{self._stage.ports.page}/demo"
        tell(say(f"在浏览器中亲自缴费: {page}", f"pay by yourself in a browser: {page}"))


def _unexpected(played: Played) -> str:
    scene = played.scene
    return (
        f"✗ {scene.name}: {played.state} {played.code} {played.text} "
        f"({scene.state} {scene.code} expected)"
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One demo per folder: a second would wipe the first one's books."""
    with (folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another demo runs in {folder}") from None
        yield
