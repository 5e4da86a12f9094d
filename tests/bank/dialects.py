"""All built-in dialects for tests: messages with every field, and values that fit each field."""

from importlib.resources import files

from hypothesis import strategies as st

from channels.iso8583.codec import Codec
from channels.iso8583.dialect import Content
from channels.iso8583.load import load_dialect

NAMES = ("cup-pos", "gz-ascii", "zj-bcd", "cups-host")
CODECS = {name: Codec(load_dialect(name)) for name in NAMES}

_ALPHABETS = {
    Content.DIGITS: "0123456789",
    Content.TRACK: "0123456789D",
    Content.ASCII: "ABCxyz 019-/",
    Content.TEXT: "ABC 银联门诊019",
}


def values(dialect, number):
    """Values that the dialect allows for a field."""
    field = dialect.fields[number]
    encoding = dialect.encodings[field.like]
    low, high = (0 if encoding.len_type else field.max), min(field.max, 120)
    if encoding.content is Content.BINARY:
        return st.binary(min_size=low, max_size=high).map(lambda raw: raw.hex().upper())
    if encoding.content is Content.TEXT:  # counted in bytes of GBK
        return st.text(_ALPHABETS[Content.TEXT], max_size=high).map(
            lambda text: _fitting(text, high, fixed=not encoding.len_type)
        )
    return st.text(_ALPHABETS[encoding.content], min_size=low, max_size=high)


def messages(name):
    """Message types and fields that the dialect can encode."""
    dialect = CODECS[name].dialect
    fields = st.fixed_dictionaries({}, optional={n: values(dialect, n) for n in dialect.fields})
    return st.tuples(st.sampled_from(sorted(dialect.mtis)), fields)


def _fitting(text, size, *, fixed):
    while len(text.encode("gbk")) > size:
        text = text[:-1]
    return text + " " * (size - len(text.encode("gbk"))) if fixed else text


SALE = {
    "2": "6225881234567890123",
    "3": "000000",
    "4": "000000012345",
    "11": "000042",
    "22": "021",
    "23": "001",
    "25": "00",
    "26": "12",
    "35": "6225881234567890123D49121010000012300",
    "41": "10000001",
    "42": "103290083980001",
    "49": "156",
    "52": "0123456789ABCDEF",
    "53": "2600000000000000",
    "55": "9F2608112233445566778895050000001000",
    "60": "2200000700050",
}


def sale(name):
    """A sale with a blank MAC, in the dialect's forms."""
    dialect = CODECS[name].dialect
    mac = dialect.fields[dialect.mac.field]
    binary = dialect.encodings[mac.like].content is Content.BINARY
    return SALE | {dialect.mac.field: "ABCDEF01" * (2 if binary else 1)}


_RESETS = """
  key_reset:
    mti: "0800"
    fields: {"11": "{stan}", "41": "{terminal}", "42": "{merchant}", "60": "00{batch}101"}
    answer: {"62": "{F62}"}
  day_cut_end:
    mti: "0820"
    fields: {"11": "{stan}", "41": "{terminal}", "42": "{merchant}", "60": "00{batch}402"}
"""


def with_key_resets(path):
    """Writes cup-pos for a bank whose sign-on brings keys, and which also sends keys and the turn
    of its day by itself; the path."""
    text = (files("channels.iso8583") / "dialects" / "cup-pos.yaml").read_text(encoding="utf-8")
    text = text.replace("network:", "network:" + _RESETS.rstrip(), 1)
    path.write_text(text, encoding="utf-8")
    return path
