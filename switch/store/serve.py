"""``python -m switch.store.serve``: what ``yyt journal serve`` runs, with test settings besides.

The process becomes PostgreSQL, so its id is PostgreSQL's.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from switch.store.embedded import exec_server, prepare
from switch.store.errors import EmbeddedError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``yyt journal serve``."""
    parser.add_argument("--data", type=Path, required=True, help="数据目录 data folder")
    parser.add_argument("--socket-dir", default="", help="套接字目录 folder of the unix socket")
    parser.add_argument("--binaries", default="", help="PostgreSQL 程序目录 folder of initdb")
    parser.add_argument(
        "--die-with-parent",
        action="store_true",
        help="父进程结束时一同停止 stop when the starting process ends",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="PostgreSQL 参数 a setting of the server",
    )


def serve(args: argparse.Namespace) -> int:
    """Make the cluster when it is missing, then become its server. 1 = it cannot be done here."""
    try:
        command = prepare(args.data, args.socket_dir, args.binaries)
        command += [f"--{setting}" for setting in args.set]
        exec_server(command, args.data, args.die_with_parent)
    except EmbeddedError as error:
        print(f"yyt journal serve: {error}", file=sys.stderr)  # noqa: T201 - a command speaks
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program of its own."""
    parser = argparse.ArgumentParser(prog="python -m switch.store.serve")
    add_arguments(parser)
    return serve(parser.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
