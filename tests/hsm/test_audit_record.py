"""What may stand in an audit record, and what never."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.audit import RefusedDetailError
from hsm.audit.record import Event, canonical

SECRETS = [
    "0123456789ABCDEF",  # a single-length key or a PIN block
    "U0123456789abcdef0123456789ABCDEF",
    "key 01234567 89ABCDEF",
    "01:23:45:67:89:ab:cd:ef",
    "6222021234567890",
    "6222 0212 3456 789",
    "400000123456",  # the account field of a PIN command
]


def event(**details: str | int) -> Event:
    """With these details."""
    return Event(what="key.imported", who=("bank",), details=details)


@pytest.mark.parametrize("text", SECRETS)
def test_I12_what_looks_secret_is_refused_everywhere(text: str) -> None:
    """In a detail, its name, a client's name; the error names the field, never the value."""
    with pytest.raises(RefusedDetailError) as refused:
        event(purpose=f"for {text} please")
    assert str(refused.value) == "purpose"
    with pytest.raises(RefusedDetailError, match="who"):
        Event(what="key.imported", who=(text,))
    with pytest.raises(RefusedDetailError, match="a detail's name"):
        event(**{text: 1})


@pytest.mark.parametrize(
    "text",
    [
        "192.168.100.100:15000",
        "2026-11-22T00:00Z",
        "bank-01",
        "王芳",
        "13800138000",
        "unix uid 998",
    ],
)
def test_what_names_people_and_machines_is_allowed(text: str) -> None:
    """Addresses, ISO times, phone numbers of eleven digits."""
    assert event(value=text).details["value"] == text


@given(st.binary(min_size=8, max_size=48), st.sampled_from(["{}", "U{}", "({})", "键{}键"]))
def test_I12_no_key_gets_into_a_record(key: bytes, form: str) -> None:
    """Canary: any key of 8 bytes or more as hex, whatever stands around it."""
    for text in (key.hex(), key.hex().upper(), key.hex(" "), key.hex("-")):
        with pytest.raises(RefusedDetailError):
            event(name=form.format(text))
        with pytest.raises(RefusedDetailError):
            event(number=int.from_bytes(key, "big") + 10**11)


@pytest.mark.parametrize(
    "value", ["", "12345", "0123456789ABCDEF0", "0123 4567", "GHIJ", "0123456789ABCDEF 1"]
)
def test_a_check_value_has_up_to_16_hex_characters(value: str) -> None:
    """The one field that may hold 16 of them holds nothing else."""
    assert event(check_value="268604AB12345678").details["check_value"]
    assert event(check_value_00="268604").details["check_value_00"]
    if value != "12345":
        with pytest.raises(RefusedDetailError):
            event(check_value=value)


@pytest.mark.parametrize("value", [10**11, -(10**11), True, 1.5, None, b"x", "a\nb", "x" * 101])
def test_only_short_texts_and_numbers(value: object) -> None:
    """No line breaks, no bytes, no number as long as a card's."""
    with pytest.raises(RefusedDetailError):
        Event(what="x", who=("bank",), details={"value": value})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("what", "who", "result"),
    [
        ("Key", ("a",), "00"),
        ("", ("a",), "00"),
        ("a..b", ("a",), "00"),
        ("a", (), "00"),
        ("a", ("",), "00"),
        ("a", ("x" * 65,), "00"),
        ("a", ("a\u202eb",), "00"),
        ("a", tuple("abcdefghij"), "00"),
        ("a", ("a",), "0"),
        ("a", ("a",), "okay"),
    ],
)
def test_names_are_names(what: str, who: tuple[str, ...], result: str) -> None:
    """Dotted words, one to nine printable names, a two-character code."""
    with pytest.raises(RefusedDetailError):
        Event(what=what, who=who, result=result)


def test_details_are_bounded() -> None:
    """I11: 64 of them."""
    assert event(**{f"n{n}": n for n in range(64)})
    with pytest.raises(RefusedDetailError):
        event(**{f"n{n}": n for n in range(65)})


def test_the_line_is_canonical_and_people_can_read_it() -> None:
    """Sorted keys, no spaces, Chinese names as they are."""
    made = Event(what="authorised", who=("王芳", "li"), details={"purpose": "季度换钥 2026-11-21"})
    line = canonical(7, 1_700_000_000_000, made)

    assert (
        line
        == (
            '{"details":{"purpose":"季度换钥 2026-11-21"},"result":"00","seq":7,'
            '"time_ms":1700000000000,"what":"authorised","who":["王芳","li"]}'
        ).encode()
    )
    assert json.loads(canonical(8, 0, made, "00"))["previous"] == "00"
