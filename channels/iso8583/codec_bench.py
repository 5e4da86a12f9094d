"""How long encoding and decoding takes, beside pyiso8583 alone in the same run.

``python -m channels.iso8583.codec_bench`` prints it; tests use the specification as their oracle.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import iso8583

from channels.iso8583.codec import Codec
from channels.iso8583.dialect import Dialect
from channels.iso8583.load import load_dialect

SALE = {
    "2": "6225881234567890123",
    "3": "000000",
    "4": "000000012345",
    "11": "000042",
    "12": "101500",
    "13": "0726",
    "14": "4912",
    "22": "051",
    "23": "001",
    "25": "00",
    "26": "12",
    "35": "6225881234567890123D49121010000012300",
    "37": "123456789012",
    "41": "10000001",
    "42": "103290083980001",
    "49": "156",
    "52": "0123456789ABCDEF",
    "53": "2600000000000000",
    "55": "9F260811223344556677889F3602001C9505000004E0009F3704A1B2C3D4820200009C0100",
    "60": "2200000700050",
    "64": "ABCDEF01",
}
"""With the message type 22 elements, as a chip sale of ``cup-pos`` has them."""

_ROUNDS = 7


def specification(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """A dialect in pyiso8583's terms, without headers."""
    spec: dict[str, dict[str, Any]] = {
        "h": {"data_enc": "b", "len_enc": "b", "len_type": 0, "max_len": 0},
        "t": {"data_enc": dialect.mti_encoding, "len_enc": "ascii", "len_type": 0, "max_len": 4},
        "p": {"data_enc": dialect.bitmap_encoding, "len_enc": "b", "len_type": 0, "max_len": 16},
    }
    if dialect.mti_encoding == "b":
        spec["t"]["len_count"] = "nibbles"
    spec["p"]["max_len"] = 8 if dialect.bitmap_encoding == "b" else 16
    if any(int(number) > 64 for number in dialect.fields):
        spec["1"] = spec["p"]
    for number, field in dialect.fields.items():
        encoding = dialect.encodings[field.like]
        spec[number] = {
            "data_enc": encoding.data_enc,
            "len_enc": encoding.len_enc,
            "len_type": encoding.len_type,
            "len_count": encoding.len_count,
            "max_len": field.max,
            "left_pad": encoding.left_pad,
            "right_pad": encoding.right_pad,
        }
    return spec


def measure(times: int = 2_000) -> dict[str, int]:
    """Nanoseconds of one encode + decode: ours with headers and content checks, pyiso8583's
    without, and ours in percent of it. The best of several rounds, which take turns."""
    dialect = load_dialect("cup-pos")
    codec, spec = Codec(dialect), specification(dialect)
    message = {"t": "0200", **SALE}

    def ours() -> None:
        codec.decode(codec.encode("0200", SALE))

    def theirs() -> None:
        raw, _ = iso8583.encode(dict(message), spec)
        iso8583.decode(raw, spec)

    rounds = [(_one_ns(ours, times), _one_ns(theirs, times)) for _ in range(_ROUNDS)]
    codec_ns = min(ours_ns for ours_ns, _ in rounds)
    pyiso8583_ns = min(theirs_ns for _, theirs_ns in rounds)
    return {
        "codec_ns": codec_ns,
        "pyiso8583_ns": pyiso8583_ns,
        "percent": 100 * codec_ns // pyiso8583_ns,
    }


def _one_ns(what: Callable[[], None], times: int) -> int:
    began = time.perf_counter_ns()
    for _ in range(times):
        what()
    return (time.perf_counter_ns() - began) // times


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure()) + "\n")
