"""Field 55 as the switch reads it: BER-TLV in, rule 18's tags out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.model.chip import (
    FIELD_BYTES_MAX,
    ISSUER,
    JOURNALED,
    ChipError,
    chosen,
    encode,
    for_chip,
    journaled,
    parse,
)

SHORT_TAGS = st.integers(1, 0xFF).filter(lambda tag: tag & 0x1F != 0x1F).map(lambda t: f"{t:02X}")
LONG_TAGS = st.tuples(st.sampled_from(["9F", "5F", "DF", "BF"]), st.integers(1, 0x7F)).map(
    lambda parts: f"{parts[0]}{parts[1]:02X}"
)
TAGS = st.one_of(SHORT_TAGS, LONG_TAGS, st.sampled_from(sorted(JOURNALED)))
OBJECTS = st.lists(st.tuples(TAGS, st.binary(max_size=40)), max_size=8).filter(
    lambda objects: len(encode(objects)) <= FIELD_BYTES_MAX
)


@given(OBJECTS)
def test_what_was_encoded_is_read_again(objects: list[tuple[str, bytes]]) -> None:
    """Every tag, known or not, every value, in order."""
    assert parse(encode(objects)) == tuple(objects)


@given(st.binary(max_size=300))
def test_any_bytes_are_objects_or_a_clear_error(data: bytes) -> None:
    """Never another error; what is read is written and read again as the same."""
    try:
        read = parse(data)
    except ChipError:
        return
    assert parse(encode(read)) == read


@given(OBJECTS)
def test_I12_only_rule_18_is_journaled(objects: list[tuple[str, bytes]]) -> None:
    """The closed list, no value longer than its tag can have, each once, always in one order."""
    kept = parse(bytes.fromhex(journaled(encode(objects))))

    tags = [tag for tag, _ in kept]
    assert tags == [tag for tag in JOURNALED if tag in tags]
    for tag, value in kept:
        assert len(value) <= JOURNALED[tag]
        assert value == next(v for t, v in objects if t == tag)


def test_I12_a_card_number_under_any_tag_is_not_journaled() -> None:
    """5A and 57, a template round them, and a number hidden under a tag of the list."""
    number = bytes.fromhex("6225880000000001")
    others = [("5A", number), ("57", number + b"\xd3\x01"), ("70", encode([("5A", number)]))]
    hidden = [("9F36", number), ("95", number), ("DF31", number * 3)]

    assert journaled(encode(others + hidden)) == ""


@given(OBJECTS)
def test_what_is_for_the_chip_comes_as_it_came(objects: list[tuple[str, bytes]]) -> None:
    """All scripts, in their order; a bank may echo the whole request besides."""
    expected = [(tag, value) for tag, value in objects if tag in ISSUER]

    assert for_chip(encode(objects)) == encode(expected)


def test_tags_are_chosen_in_the_order_asked_for() -> None:
    """The first of each; what is not there is left out."""
    data = encode([("9F36", b"\x01"), ("95", b"\x02"), ("9F36", b"\x03")])

    assert chosen(data, ["95", "DF31", "9F36"]) == encode([("95", b"\x02"), ("9F36", b"\x01")])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("9F", "the tag at offset 0 is cut short or too long"),
        ("9F8181818101", "the tag at offset 0 is cut short or too long"),
        ("95", "the length at offset 1 is missing"),
        ("9581", "the length at offset 2 is missing"),
        ("9580", "the length at offset 1 is indefinite or too long"),
        ("95820001", "the length at offset 1 is indefinite or too long"),
        ("00009F360200", "the value of 9F36 at offset 2 is cut short"),
        ("00" * 256, "more than 255 bytes"),
    ],
)
def test_malformed_data_is_named_by_its_place(data: str, expected: str) -> None:
    """Which rule, and where; never what stood there."""
    with pytest.raises(ChipError) as caught:
        parse(bytes.fromhex(data))

    assert str(caught.value) == expected
