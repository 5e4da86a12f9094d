"""``yyt``: one command with a subcommand for each process and tool.

Subcommands come by entry point (group ``yyt.commands``, ``name = module:register``); only the
chosen one's module is imported, so ``yyt --help`` stays quick and a kiosk needs no database
library. ``register(parser)`` adds arguments and sets ``run=callable(args) -> int``. A command that
ends by the user's own fault raises ``SystemExit("one sentence")``: told on stderr, exit code 2.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points, version

GROUP = "yyt.commands"
_PR_SET_PDEATHSIG = 1
LANGUAGES = ("zh", "en")

HELP: Mapping[str, tuple[str, str]] = {
    "agent": ("运行自助终端程序", "run a kiosk's terminal agent"),
    "audit": ("核对银行、HIS、日志与终端四方账目", "compare bank, HIS, journal and terminals"),
    "bank": ("运行银行主机模拟器", "run the bank host simulator"),
    "bench": ("测量性能", "measure performance"),
    "conf": ("检查与说明配置文件", "check and explain configuration files"),
    "describe": ("解释一条 8583 报文", "explain an ISO 8583 frame"),
    "dialect": ("检查、比较、显示报文规范", "check, compare and show dialects of banks"),
    "demo": ("在本机演示整套系统", "play the whole system on this machine"),
    "emv": ("用录制卡、虚拟卡或真卡测试 IC 卡内核", "try chip cards on the kernel, explain TLV"),
    "his": ("运行 HIS 模拟器", "run the HIS simulator"),
    "hsm": ("运行软件加密机", "run the software HSM"),
    "journal": ("运行内嵌数据库", "run the embedded PostgreSQL"),
    "key": ("管理密钥库", "keep the key store"),
    "payment": ("查询支付及其路径", "show payments and the path they took"),
    "pos": ("模拟柜台 POS，压测 POS 入口", "play counter POS at the switch's POS door"),
    "switch": ("运行银医通前置", "run the switch"),
    "terminal": ("登记与管理自助终端", "enrol and manage terminals"),
}
"""One line per subcommand, (Chinese, English), so that no module is imported to list them."""

_TEXT = {
    "zh": ("银医通：医院开放支付交换", "子命令：", "各命令说明：yyt 命令 --help", "没有这个命令"),
    "en": (
        "yinyitong: an open payment switch for hospitals",
        "commands:",
        "more about one: yyt COMMAND --help",
        "no such command",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``yyt ARGV`` and return its exit code (argparse itself exits on usage errors, with 2)."""
    _die_with_parent()
    arguments = list(sys.argv[1:] if argv is None else argv)
    language = _take_language(arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview(language))
        return 0
    if arguments[0] == "--version":
        print(f"yyt {version('yinyitong')}")
        return 0
    return _run(arguments[0], arguments[1:], language)


def _die_with_parent() -> None:
    """``YYT_PARENT=pid``: the supervisor with this id wants its children gone when it is killed."""
    wanted = os.environ.pop("YYT_PARENT", "")
    if not wanted:
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if str(os.getppid()) != wanted:
        raise SystemExit(1)


def _take_language(arguments: list[str]) -> str:
    """Remove ``--lang L`` wherever it stands; commands read it as the environment's YYT_LANG."""
    if "--lang" in arguments:
        at = arguments.index("--lang")
        os.environ["YYT_LANG"] = arguments[at + 1] if at + 1 < len(arguments) else ""
        del arguments[at : at + 2]
        if os.environ["YYT_LANG"] not in LANGUAGES:
            print(f"yyt: --lang: {' | '.join(LANGUAGES)}", file=sys.stderr)
            raise SystemExit(2)
    language = os.environ.get("YYT_LANG", "zh")
    return language if language in LANGUAGES else "zh"


def commands() -> dict[str, EntryPoint]:
    """The installed subcommands by name; nothing is imported."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP))}


def _overview(language: str) -> str:
    title, heading, more, _ = _TEXT[language]
    column = LANGUAGES.index(language)
    lines = [f"  {name:<10} {HELP.get(name, ('', ''))[column]}" for name in commands()]
    usage = "yyt [--version] [--lang zh|en] COMMAND …"
    return "\n".join([title, "", usage, "", heading, *lines, "", more])


def _run(name: str, arguments: list[str], language: str) -> int:
    entry = commands().get(name)
    if entry is None:
        print(f"yyt: {name}: {_TEXT[language][3]} (yyt --help)", file=sys.stderr)
        return 2
    try:
        parser = argparse.ArgumentParser(
            prog=f"yyt {name}", formatter_class=argparse.RawDescriptionHelpFormatter
        )
        entry.load()(parser)
        args = parser.parse_args(arguments)
        if "run" not in args:
            parser.error("a subcommand is needed")
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return _ended(name, end)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing to say, and nothing more to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        # A path the user named; errors of sockets and disks keep their traceback.
        print(f"yyt {name}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


def _ended(name: str, end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(f"yyt {name}: {end.code}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
