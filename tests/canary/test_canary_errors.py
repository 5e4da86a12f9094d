"""Goal: no error that a message with card data can cause carries any of it (I12)."""

import io
import json
import pickle
import traceback
from collections.abc import Callable, Iterator

import msgspec
import pytest
import structlog

from channels.iso8583.codec import Codec
from channels.iso8583.errors import Iso8583Error
from channels.iso8583.load import load_dialect
from channels.iso8583.rules import check_complete
from his_bridge.errors import HisError
from his_bridge.profile import FunctionName
from his_bridge.profile_file import load_profile
from his_bridge.reply import ReplyMap
from his_bridge.template import Template
from hsm.codec import parse_request
from hsm.errors import CommandError
from hsm.layouts import COMMANDS
from switch.model.hospital import PatientQuery
from switch.model.secret import Secret
from switch.observe import logs
from terminal_agent import protocol
from tests.canary.bench import PAN, PIN, TAIL, TRACK2
from tests.canary.scanner import Scanner

BLOCK = "9A41C07FB35D26E8"
KEY = "3F7C15D94AB2E86051C8A7F9630DB4E2"
CODEC = Codec(load_dialect("cup-pos"))
SALE = {
    "2": PAN,
    "3": "000000",
    "4": "000000012345",
    "11": "000042",
    "22": "021",
    "25": "00",
    "26": "12",
    "35": TRACK2.replace("=", "D"),
    "41": "10000001",
    "42": "103290083980001",
    "49": "156",
    "52": BLOCK,
    "53": "2600000000000000",
    "60": "2200000700050",
    "64": "ABCDEF01",
}


@pytest.fixture(scope="module")
def known() -> Scanner:
    """The canaries of this page."""
    scanner = Scanner()
    scanner.learn("PAN", digits=PAN)
    scanner.learn("track 2", digits=TAIL)
    scanner.learn("PIN", digits=PIN)
    scanner.learn("PIN block", key=BLOCK)
    scanner.learn("key", key=KEY)
    return scanner


@pytest.fixture
def lines() -> Iterator[io.BytesIO]:
    """Where this test's logs go."""
    before = structlog.get_config()
    stream = io.BytesIO()
    logs.configure("debug", stream)
    yield stream
    structlog.reset_defaults()
    structlog.configure(**before)


def _sale() -> bytes:
    return CODEC.encode("0200", SALE)


def _cut_frames() -> list[bytes]:
    """A sale cut at every byte, one byte too long, and with each byte of its body spoilt."""
    whole = _sale()
    cut = [whole[:size] for size in range(1, len(whole))]
    spoilt = [whole[:at] + b"\xff" + whole[at + 1 :] for at in range(11, len(whole))]
    return [*cut, whole + b"1", *spoilt]


def _decoded(frame: bytes) -> None:
    check_complete(CODEC.dialect, CODEC.decode(frame))


def _envelope(body: object, **more: object) -> bytes:
    head = {"v": 1, "id": "1", "type": "req", "name": protocol.PAYMENT_START, "ts": 0}
    keyed = {"terminal": "K1", "idem": "K1-20260101-000001", "body": body}
    return json.dumps({**head, **keyed, **more}).encode()


def _asked(message: bytes) -> None:
    protocol.decode_request(protocol.decode_envelope(message), "K1")


_CARD = {"pan": PAN, "track2": TRACK2, "pin_block": BLOCK, "entry_mode": "021"}
_START = {"business": "outpatient_bill", "amount_fen": 1, "patient": "P", "card": _CARD}
MESSAGES = (
    _envelope(_START)[:-20],
    _envelope(_START, terminal=PAN),
    _envelope(_START, **{PAN: 1}),
    _envelope(_START, v=PAN),
    _envelope({**_START, PAN: 1}),
    _envelope({**_START, "amount_fen": TRACK2}),
    _envelope({**_START, "card": {**_CARD, "pan": int(PAN)}}),
    _envelope({**_START, "card": {**_CARD, "pan": PAN + "x"}}),
    _envelope({**_START, "card": {**_CARD, "track2": f"{TRACK2}{TRACK2}"}}),
    _envelope({**_START, "card": {**_CARD, "pin_block": f"{BLOCK}0"}}),
    _envelope({**_START, "card": {**_CARD, "entry_mode": PAN}}),
    _envelope({**_START, "card": {**_CARD, TRACK2: 1}}),
)


def _encoded(number: str, value: str) -> Callable[[], object]:
    return lambda: CODEC.encode("0200", {**SALE, number: value})


def _hsm_request(data: bytes) -> Callable[[], object]:
    command = COMMANDS[data[:2].decode()]
    return lambda: parse_request(command, data[2:])


def _his_request() -> object:
    profile = load_profile("demo-h1")
    template = Template(profile, FunctionName.PATIENT_QUERY, {"operator": "ZZ01"})
    return template.render(PatientQuery(card_no=f"{TRACK2}';--"))


FAILS: dict[str, Callable[[], object]] = {
    **{
        f"frame {n}": (lambda frame=frame: _decoded(frame)) for n, frame in enumerate(_cut_frames())
    },
    **{f"message {n}": (lambda text=text: _asked(text)) for n, text in enumerate(MESSAGES)},
    "field 2 too long": _encoded("2", PAN * 2),
    "field 35 no track": _encoded("35", f"{TRACK2} "),
    "field 52 no block": _encoded("52", f"{BLOCK}G"),
    "field unknown": _encoded("99", PAN),
    "HIS request": _his_request,
    "HSM key cut": _hsm_request(f"CAU{KEY}"[:20].encode()),
    "HSM key no hex": _hsm_request(f"CAU{KEY[:-1]}ZU{KEY}12{BLOCK}01{PAN[3:15]}".encode()),
    "Secret pickled": lambda: pickle.dumps(Secret(PAN)),
    "Secret as JSON": lambda: msgspec.json.encode({"pan": Secret(PAN)}),
    "Secret as plain JSON": lambda: json.dumps({"pan": Secret(PAN)}),
    "Opaque pickled": lambda: pickle.dumps(protocol.Opaque(PIN)),
    "PAN refused": lambda: protocol.Pan(f"{PAN}x"),
    "track refused": lambda: protocol.Track2(f"{TRACK2}x"),
    "block refused": lambda: protocol.PinBlock(f"{BLOCK}x"),
}
EXPECTED = (
    Iso8583Error,
    protocol.ProtocolError,
    HisError,
    CommandError,
    TypeError,
    ValueError,
    NotImplementedError,
)


def test_I12_errors_carry_nothing(known: Scanner, lines: io.BytesIO) -> None:
    """Goal: text, representation, pickle, traceback and log line of each error show no canary."""
    raised = 0
    for name, fails in FAILS.items():
        try:
            fails()
        except EXPECTED as error:
            raised += 1
            shown = [str(error), repr(error), *traceback.format_exception(error)]
            logs.get_logger("canary").error("failed", exc_info=error)
            hits = known.scan(name, "\n".join(shown).encode() + pickle.dumps(error.args))
            assert hits == []

    assert raised > len(MESSAGES) + len(_sale())
    assert known.scan("log", lines.getvalue()) == []
    assert lines.getvalue().count(b"\n") == raised


@pytest.mark.parametrize("place", ["ERRMSG", "ERRNO", "JIAOYILSH", "JINE", "unreadable"])
def test_I12_a_hospital_that_echoes_a_card_number_is_masked(known: Scanner, place: str) -> None:
    """Goal: some HIS print what they were sent; what is kept of their answer shows no PAN."""
    values = {"ERRNO": "0", "ERRMSG": "", "JIAOYILSH": "K1", "DANJUHAO": "B1", "JINE": "1.00"}
    values[place] = f"card {PAN}" if place == "ERRMSG" else PAN
    inside = "".join(f"<{tag}>{text}</{tag}>" for tag, text in values.items() if "ERR" not in tag)
    xml = (
        f"<MENZHENJS_OUT><OUTMSG><ERRNO>{values['ERRNO']}</ERRNO>"
        f"<ERRMSG>{values['ERRMSG']}</ERRMSG></OUTMSG>{inside}</MENZHENJS_OUT>"
    )
    returned = "0" if place != "ERRMSG" else "-1"
    escaped = xml.replace("<", "&lt;") if place != "unreadable" else f"<{PAN}>"
    body = (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        f"<runserviceResponse><runserviceResult>{returned}</runserviceResult>"
        f"<tradeout>{escaped}</tradeout></runserviceResponse></soap:Body></soap:Envelope>"
    )
    mapping = ReplyMap(load_profile("demo-h1"), FunctionName.CONFIRM)

    mapped = mapping.read(200, body.encode(), {"idem": "K1", "bill_id": "B1", "amount_fen": 100})

    assert known.scan(place, msgspec.json.encode(mapped)) == []


def test_I12_a_log_line_with_everything_in_it(known: Scanner, lines: io.BytesIO) -> None:
    """Goal: what carries card data is masked by its type, at any depth, and so is a traceback with
    all of it in its local variables."""
    card = {"pan": Secret(PAN), "frames": [_sale(), bytearray(_sale())], "pin": Secret(PIN)}

    def charged(card: dict[str, object], clear: str) -> None:
        raise RuntimeError(f"no answer for {card['pan']} and {len(clear)}")

    try:
        charged(card, TRACK2)
    except RuntimeError:
        logs.get_logger("canary").exception("failed", card=card, text=f"{card['pin']!r:>20}")

    assert known.scan("log", lines.getvalue()) == []
    assert b"<secret>" in lines.getvalue()
