"""``yyt agent``: run a kiosk; ``yyt agent load``: the same kiosk as an open-loop load generator.

``bench`` and ``soak`` stand in :mod:`terminal_agent.bench`.
"""

import argparse
import getpass
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from terminal_agent.bench.cli import register as register_bench
from terminal_agent.config import AgentConfig, ConfigError, load

_EXAMPLE = """\
yyt agent --config conf/kiosk-1.yaml
yyt agent load --config conf/kiosk-1.yaml --rate 100 --seconds 20 --json
yyt agent devices --config conf/kiosk-1.yaml --json
yyt agent attendant-code --file kiosk/attendant.code
yyt agent bench --json
yyt agent soak --hours 24 --json
"""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``yyt agent``."""
    parser.epilog = _EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", type=Path, help="the kiosk's YAML file")
    parser.set_defaults(run=_run)
    verbs = parser.add_subparsers(title="verbs")
    generator = verbs.add_parser("load", help="open-loop payments over the real link")
    generator.add_argument("--config", type=Path, required=True, help="the kiosk's YAML file")
    generator.add_argument("--rate", type=int, required=True, help="payments a second")
    generator.add_argument("--seconds", type=int, default=20, help="0: until stopped")
    generator.add_argument("--in-flight", type=int, default=64)
    generator.add_argument("--business", default="outpatient_bill")
    generator.add_argument("--amount-fen", type=int, default=100)
    generator.add_argument("--cards", default="", help="test cards to use, by comma; else all")
    generator.add_argument("--json", action="store_true")
    generator.set_defaults(run=_load)
    code = verbs.add_parser("attendant-code", help="set the code of the attendant's screen")
    code.add_argument("--file", type=Path, required=True, help="where its hash goes")
    code.set_defaults(run=_attendant_code)
    devices = verbs.add_parser("devices", help="each role, its driver and its state")
    devices.add_argument("--config", type=Path, required=True, help="the kiosk's YAML file")
    devices.add_argument("--json", action="store_true")
    devices.set_defaults(run=_devices)
    register_bench(verbs)


def _config(args: argparse.Namespace) -> AgentConfig:
    if args.config is None:
        raise SystemExit("--config is required")
    try:
        return load(args.config)
    except ConfigError as error:
        raise SystemExit(str(error)) from None


def _run(args: argparse.Namespace) -> int:
    from twisted.internet import reactor

    from terminal_agent import logs
    from terminal_agent.app import Agent

    logs.configure()
    try:
        Agent(_config(args), reactor).start()
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    turning: Any = reactor
    turning.run()
    return 0


def _load(args: argparse.Namespace) -> int:
    from twisted.internet import reactor

    from terminal_agent import logs
    from terminal_agent.app import Agent, SteadyClock
    from terminal_agent.load import TICK_MS, Load, Plan, Report

    if min(args.rate, args.in_flight, args.amount_fen) < 1 or args.seconds < 0:
        raise SystemExit("--rate, --in-flight and --amount-fen must be at least 1")
    config = _config(args)
    link = msgspec.structs.replace(config.switch, in_flight_max=args.in_flight + 64)
    config = msgspec.structs.replace(config, switch=link)
    logs.configure()
    plan = Plan(
        business=args.business,
        rate=args.rate,
        seconds=args.seconds,
        in_flight=args.in_flight,
        amount_fen=args.amount_fen,
    )
    reports: list[Report] = []
    turning: Any = reactor

    def done(report: Report) -> None:
        reports.append(report)
        turning.stop()

    try:
        cards = _prepared_cards(config, args.cards)
        generator = Load(reactor, plan, cards, SteadyClock().now_ms, done)
        agent = Agent(
            config, reactor, on_news=generator.news, on_up=generator.begin, batch_ms=TICK_MS
        )
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    generator.agent = agent
    agent.start()
    turning.run()
    report = msgspec.to_builtins(reports[0] if reports else generator.report())
    if args.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:<16} {value}")
    return 0 if report["open"] == 0 and report["refused"] == 0 else 1


def _attendant_code(args: argparse.Namespace) -> int:
    """Typed twice at the terminal, or one line of standard input."""
    from terminal_agent.attendant_code import DIGITS_MAX, DIGITS_MIN, write_code

    if sys.stdin.isatty():
        code = getpass.getpass(f"code ({DIGITS_MIN}-{DIGITS_MAX} digits): ")
        if getpass.getpass("again: ") != code:
            raise SystemExit("the two are not the same")
    else:
        code = sys.stdin.readline().rstrip("\n")
    try:
        write_code(args.file, code)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    print(f"flows.attendant_code_file: {args.file}")
    return 0


def _devices(args: argparse.Namespace) -> int:
    from twisted.internet import reactor

    from terminal_agent import logs
    from terminal_agent.devices.survey import WORKING, Survey

    logs.configure(errors_only=True)
    turning: Any = reactor
    try:
        survey = Survey(_config(args).devices, turning, turning.stop)
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    turning.run()
    if args.json:
        print(json.dumps(survey.found))
    else:
        for line in survey.found:
            print(f"{line['role']:<14} {line['driver']:<18} {line['state']}")
    return 0 if all(line["state"] in WORKING for line in survey.found) else 1


def _prepared_cards(config: AgentConfig, chosen: str) -> list[Any]:
    """The test cards with their PIN blocks, made once by the simulated pad. Raises ConfigError."""
    from terminal_agent.desk import card_with
    from terminal_agent.devices.card_simulator import load_cards
    from terminal_agent.devices.pad_simulator import SimulatedPinPad
    from terminal_agent.devices.waiting import Waiting
    from terminal_agent.protocol import Opaque

    reader, pad = config.devices.card_reader, config.devices.pin_pad
    if (reader.driver, pad.driver) != ("simulator", "simulator"):
        raise ConfigError("load needs the simulated card reader and pad")
    known = load_cards(Path(reader.options["cards"]))
    names = chosen.split(",") if chosen else list(known)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigError(f"--cards: not in the file: {', '.join(unknown)}")
    device = SimulatedPinPad(Path(pad.options["key_file"]), Waiting(None))
    cards = [(known[name].data(), Opaque(known[name].pin)) for name in names]
    return [card_with(data, device.encrypt(pin, data.pan), None) for data, pin in cards]
