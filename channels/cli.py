"""``yyt bank``: the bank host simulator, and what else is done with banks from a command line."""

import argparse
import os
from importlib.metadata import entry_points

from channels.bank_simulator import cli as simulator
from channels.iso8583 import trace_cli

VERBS = "yyt.commands.bank"
"""Group of entry points that add verbs of their own (``name = module:register``)."""

_TEXT = {
    "zh": ("银行链路：主机模拟器、批结算", "示例"),
    "en": ("bank links: the host simulator, settlement", "example"),
}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    language = "en" if os.environ.get("YYT_LANG") == "en" else "zh"
    about, example = _TEXT[language]
    parser.description = about
    parser.epilog = f"{example}: yyt bank simulate --help"
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    simulator.register(verbs, language)
    trace_cli.register(verbs)
    for entry in sorted(entry_points(group=VERBS)):
        entry.load()(verbs)
