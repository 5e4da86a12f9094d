"""What a request is, told by its literal parts."""

import pytest

from channels.iso8583.load import load_dialect
from channels.iso8583.message import Message
from channels.iso8583.recognise import Recogniser
from channels.iso8583.template import compiled, filled

NAMES = ("cup-pos", "gz-ascii", "zj-bcd", "cups-host")
VALUES = {
    "pan": "6225881234567890123",
    "amount": "000000012345",
    "stan": "000042",
    "batch": "000007",
    "terminal": "10000001",
    "merchant": "103290083980001",
    "currency": "156",
    "entry_mode": "021",
    "chip": "9505000000000082020000",
    "qr_code": "134567890123456789",
    "original_batch": "000007",
    "original_F3": "000000",
    "original_F4": "000000012345",
    "original_F11": "000041",
    "original_F25": "00",
    "original_F37": "123456789012",
    "original_F38": "123456",
    "original_sent_date": "0101",
    "original_sent_time": "101010",
    "original_mti": "0200",
    "sent_date": "0102",
    "sent_time": "111111",
    "mti": "0200",
    "reason": "98",
    "key_kind": "1",
    "key_block": "00" * 16,
    "F11": "000041",
    "F3": "000000",
    "F4": "000000012345",
    "F25": "00",
    "F60": "2200000700050",
    "close_code": "207",
    "upload_count": "0003",
    "debit_count": "003",
    "debit_amount": "000000000300",
    "credit_count": "001",
    "credit_amount": "000000000100",
}


def _own(dialect):
    found = {"reversal": dialect.reversal.template, **dialect.operations, **dialect.network}
    if dialect.script_notice is not None:
        found["script_notice"] = dialect.script_notice
    if dialect.settlement is not None:
        found["settlement"] = dialect.settlement.request
        found["upload"] = dialect.settlement.upload
        found["upload_end"] = dialect.settlement.upload_end
    return found


CASES = [(name, kind) for name in NAMES for kind in _own(load_dialect(name))]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_each_template_is_recognised_as_itself(name, kind):
    """Every message a dialect can make is known again by whoever receives it."""
    dialect = load_dialect(name)
    template = _own(dialect)[kind]
    message = Message(mti=template.mti, fields=filled(compiled(template), VALUES))

    assert Recogniser(dialect).kind(message) == kind


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_an_answer_is_what_its_request_was(name, kind):
    """The answer of a host that echoes most fields is told by the same parts."""
    dialect = load_dialect(name)
    template = _own(dialect)[kind]
    fields = filled(compiled(template), VALUES)
    kept = {n: fields[n] for n in (*dialect.answers.echo, "22") if n in fields}
    answer = Message(mti=dialect.mtis[template.mti].answer, fields=kept)

    assert Recogniser(dialect).kind(answer) == kind


@pytest.mark.parametrize(
    ("mti", "fields"),
    [
        ("0200", {"3": "990000", "25": "00", "60": "2200000700050"}),
        ("0800", {"41": "10000001", "60": "00000007370"}),
        ("0200", {}),
        ("0900", {"3": "000000"}),
    ],
    ids=["other F3", "parameter download", "nothing to tell by", "unknown type"],
)
def test_what_fits_nothing_is_nothing(mti, fields):
    """A message of another business is not taken for the nearest one."""
    message = Message(mti=mti, fields=fields)

    assert Recogniser(load_dialect("cup-pos")).kind(message) == ""


def test_the_tail_of_field_60_does_not_matter_to_a_sale():
    """Terminals differ in 60.4 to 60.7; the business is told by what 60 begins with."""
    fields = {"3": "000000", "22": "051", "25": "00", "60": "22000007000601"}

    assert Recogniser(load_dialect("cup-pos")).kind(Message(mti="0200", fields=fields)) == "sale"


def test_identities_and_what_all_share_do_not_tell():
    """Another acquirer, merchant type or reason code in field 60 leaves a host's sale a sale."""
    fields = {"3": "000000", "18": "5411", "22": "051", "25": "00", "32": "01030000000"}
    fields |= {"33": "01030000000", "60": "000005000000000000000000000001"}

    message = Message(mti="0200", fields=fields)

    assert Recogniser(load_dialect("cups-host")).kind(message) == "sale"
