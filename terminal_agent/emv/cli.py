"""``yyt emv``: play a card through the kernel, explain TLV."""

import argparse
import json
import os
import secrets
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from terminal_agent.config import ConfigError
from terminal_agent.emv.actions import EmvPayment, End, HostAnswer, OnlineNeeded, Step, Verdict
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.driver import Card, drive
from terminal_agent.emv.explain import explain, lines
from terminal_agent.emv.kernel import Kernel
from terminal_agent.emv.profile import Profile, Terminal, load_profile, shipped
from terminal_agent.emv.tlv import TlvError
from terminal_agent.emv.transcript import Recorder, TranscriptError, load_transcript

_EXAMPLE = """\
yyt emv run --transcript card.json --amount 12345 --json
yyt emv run --card debit --record card.json
yyt emv run --reader 'ACS.*' --amount 1
yyt emv explain 9F2701809F3602000195058000048000
yyt emv explain - < field55.hex

An online-only PBOC/EMV kernel for contact cards. It is NOT a certified EMVCo Level 2 kernel.
PBOC/EMV 接触式联机内核，未经 EMVCo Level 2 认证。
"""
_AMOUNT_FEN_MAX = 999_999_999_999
_INPUT_CHARACTERS_MAX = 1 << 18
_WORDS = {
    "zh": {"end": "结果", "reasons": "原因", "field55": "55 域", "reversal": "需冲正"},
    "en": {"end": "end", "reasons": "reasons", "field55": "field 55", "reversal": "reverse it"},
}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``yyt emv``."""
    parser.epilog = _EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(title="verbs", required=True)
    run = verbs.add_parser("run", help="pay with a recorded, virtual or real card; the host agrees")
    card = run.add_mutually_exclusive_group(required=True)
    card.add_argument("--transcript", type=Path, help="a recorded card (JSON)")
    card.add_argument("--card", help="a virtual card, by name")
    card.add_argument("--reader", help="a card in the PC/SC reader whose name fits this expression")
    run.add_argument("--amount", type=int, default=100, help="fen (default 100)")
    run.add_argument("--profile", default="cup", help=f"{', '.join(shipped())}, or a YAML file")
    run.add_argument("--merchant", default="000000000000000", help="merchant number, 15 characters")
    run.add_argument("--terminal", default="00000000", help="terminal number, 8 characters")
    run.add_argument("--record", type=Path, help="write the exchanges as a transcript; test cards")
    run.add_argument("--json", action="store_true")
    run.set_defaults(run=_run)
    told = verbs.add_parser("explain", help="name and explain data objects")
    told.add_argument("hex", help="TLV in hex, or - to read it from stdin (no card data in argv)")
    told.add_argument("--unmasked", action="store_true", help="show card number, tracks and name")
    told.add_argument("--json", action="store_true")
    told.set_defaults(run=_explain)


def _language() -> str:
    language = os.environ.get("YYT_LANG", "zh")
    return language if language in _WORDS else "zh"


def _run(args: argparse.Namespace) -> int:
    if not 1 <= args.amount <= _AMOUNT_FEN_MAX:
        raise SystemExit(f"--amount must be 1 to {_AMOUNT_FEN_MAX} fen")
    for option, text, length in (("merchant", args.merchant, 15), ("terminal", args.terminal, 8)):
        if len(text) != length or not text.isascii():
            raise SystemExit(f"--{option} has {length} ASCII characters")
    try:
        profile = load_profile(args.profile)
        card, style = _card(args)
    except (ConfigError, TranscriptError) as error:
        raise SystemExit(str(error)) from None
    recorder = Recorder(card.atr)
    kernel = Kernel(profile, _terminal(args), _payment(args.amount), style)
    end = drive(kernel, card, _agreeing, heard=recorder.heard) if card.atr else None
    if args.record is not None:
        _write(args.record, recorder.encode())
    result = _result(card.atr, kernel.steps, end, profile)
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        _tell(result)
    return 0


def _write(path: Path, transcript: bytes) -> None:
    """For the owner alone: a transcript holds the card's number."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(transcript)


def _card(args: argparse.Namespace) -> tuple[Card, Style]:
    """The chosen card; recorded and virtual ones take either style."""
    if args.transcript is not None:
        return load_transcript(args.transcript), Style.T1
    if args.card is not None:
        from terminal_agent.devices.virtual_card import PRESETS, VirtualCard

        if args.card not in PRESETS:
            raise SystemExit(f"--card: {', '.join(sorted(PRESETS))}")
        return VirtualCard(PRESETS[args.card]), Style.T1
    from terminal_agent.devices.interfaces import DeviceError
    from terminal_agent.devices.pcsc_card import open_reader

    try:
        connected = open_reader(args.reader)
    except DeviceError as error:
        raise SystemExit(str(error)) from None
    return connected, connected.style


def _terminal(args: argparse.Namespace) -> Terminal:
    return Terminal(
        merchant_number=args.merchant,
        terminal_number=args.terminal,
        merchant_name="",
        interface_serial="00000001",
    )


def _payment(amount_fen: int) -> EmvPayment:
    now = datetime.now().astimezone()
    return EmvPayment(
        amount_fen=amount_fen,
        date=now.strftime("%y%m%d"),
        time=now.strftime("%H%M%S"),
        unpredictable=secrets.token_bytes(4),
        counter=1,
    )


def _agreeing(_: OnlineNeeded) -> HostAnswer:
    """A host that approves everything and has no issuer data."""
    return HostAnswer(verdict=Verdict.APPROVED, code=b"00")


def _result(
    atr: bytes, steps: tuple[Step, ...], end: End | None, profile: Profile
) -> dict[str, object]:
    """The run in stable keys. No card number, no track."""
    allowed = profile.fallback.unreadable if end is None else end.stripe_allowed

    def revealed(field: str) -> str | None:
        value = getattr(end, field, None)
        return None if value is None else str(value.reveal())

    return {
        "profile": profile.name,
        "atr": atr.hex().upper(),
        "steps": [msgspec.structs.asdict(step) for step in steps],
        "aid": end.aid if end else "",
        "label": end.label if end else "",
        "pan_masked": end.pan_masked if end else "",
        "tvr": end.tvr if end else "0000000000",
        "tsi": end.tsi if end else "0000",
        "field55": revealed("field55"),
        "end": end.kind.value if end else "terminated",
        "reasons": list(end.reasons) if end else ["chip_unreadable"],
        "host_approved": bool(end and end.host_approved),
        "reversal_needed": bool(end and end.reversal_needed),
        "field55_reversal": revealed("field55_reversal"),
        "script_results": end.script_results if end else "",
        "field55_notice": revealed("field55_notice"),
        "stripe_allowed": allowed,
    }


def _tell(result: dict[str, object]) -> None:
    words = _WORDS[_language()]
    steps = result["steps"]
    assert isinstance(steps, list)
    for number, step in enumerate(steps, 1):
        print(f"{number:>2} {step['name']:<24}{step['detail']}".rstrip())
    print()
    print(f"AID       {result['aid']} {result['label']}".rstrip())
    print(f"PAN       {result['pan_masked']}".rstrip())
    print(f"TVR       {result['tvr']}")
    print(f"TSI       {result['tsi']}")
    print(f"{words['field55']:<10}{result['field55'] or '-'}")
    reasons = result["reasons"]
    assert isinstance(reasons, list)
    print(f"{words['end']:<10}{result['end']}" + (f" ({', '.join(reasons)})" if reasons else ""))
    if result["reversal_needed"]:
        print(f"{words['reversal']:<10}{result['field55_reversal']}")


def _explain(args: argparse.Namespace) -> int:
    text = sys.stdin.read(_INPUT_CHARACTERS_MAX) if args.hex == "-" else args.hex
    try:
        data = bytes.fromhex(text)
        found = explain(data, ("zh", "en").index(_language()), args.unmasked)
    except TlvError as error:
        raise SystemExit(str(error)) from None
    except ValueError:
        raise SystemExit("hexadecimal digits are needed") from None
    if args.json:
        print(json.dumps({"objects": msgspec.to_builtins(found)}, ensure_ascii=False, indent=1))
    else:
        print("\n".join(lines(found)))
    return 0
