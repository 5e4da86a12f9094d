"""TLV, data object lists and commands: by examples of the standards, and by property."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terminal_agent.emv import apdu, dol, tags, tlv

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Speed is no property: a loaded machine must not fail it."""
PRIMITIVE = [tag for tag, known in tags.TAGS.items() if not tlv.is_constructed(tag)]
TEMPLATES = [tag for tag in tags.TAGS if tlv.is_constructed(tag)]

primitives = st.tuples(st.sampled_from(PRIMITIVE), st.binary(max_size=300))
trees = st.recursive(
    primitives,
    lambda inner: st.tuples(st.sampled_from(TEMPLATES), st.lists(inner, max_size=3)),
    max_leaves=8,
)


def encoded(tree: tuple[str, bytes | list]) -> bytes:
    """The tree's bytes, by the module under test."""
    tag, value = tree
    return tlv.encode(tag, value if isinstance(value, bytes) else b"".join(map(encoded, value)))


def rebuilt(found: tlv.Tlv) -> tuple[str, bytes | list]:
    """The tree that was parsed."""
    if tlv.is_constructed(found.tag):
        return found.tag, [rebuilt(child) for child in found.children]
    return found.tag, found.value


@SLOW
@given(st.lists(trees, max_size=4))
def test_what_is_encoded_is_parsed_again(forest: list) -> None:
    """Any tree of the known tags, at any length form, comes back as it was."""
    assert [rebuilt(found) for found in tlv.parse(b"".join(map(encoded, forest)), 20)] == forest


@SLOW
@given(st.binary(max_size=200))
def test_I11_any_bytes_parse_or_say_why_not(data: bytes) -> None:
    """Hostile bytes end in objects whose values lie in the input, or in TlvError."""
    try:
        found = tlv.parse(data)
    except tlv.TlvError:
        return
    assert all(item.value in data for item in tlv.walk(found))


@SLOW
@given(trees, st.data())
def test_a_cut_object_is_refused(tree: tuple, chosen: st.DataObject) -> None:
    """No strict prefix of one data object is a whole one."""
    whole = encoded(tree)
    cut = chosen.draw(st.integers(min_value=1, max_value=len(whole) - 1))
    with pytest.raises(tlv.TlvError):
        tlv.parse(whole[:cut], 20)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("9F", "a tag at offset 0 is cut short"),
        ("5A", "a length at offset 1 is missing"),
        ("5A80", "indefinite"),
        ("5A84000000015A", "too long"),
        ("5A0261", "the value of 5A at offset 0 is cut short"),
        ("70045A0299", "the value of 70 at offset 0 is cut short"),
        ("70035A0299", "the value of 5A at offset 2 is cut short"),
        ("9F8181818101", "more than 4 bytes"),
    ],
)
def test_what_is_wrong_is_said(data: str, why: str) -> None:
    """The place and the rule, never a value."""
    with pytest.raises(tlv.TlvError, match=why):
        tlv.parse(bytes.fromhex(data))


def test_I11_nesting_is_bounded() -> None:
    """A card cannot make the parser recurse without end."""
    data = b""
    for _ in range(tlv.DEPTH_MAX - 1):
        data = tlv.encode("70", data)
    assert tlv.parse(data)
    with pytest.raises(tlv.TlvError, match="too deep"):
        tlv.parse(tlv.encode("70", tlv.encode("9A", b"\1")), 1)
    with pytest.raises(tlv.TlvError, match="too deep"):
        tlv.parse(tlv.encode("70", tlv.encode("70", data)))


def test_zero_bytes_between_objects_have_no_meaning() -> None:
    """EMV book 3 annex B: 00 may stand before, between and after."""
    found = tlv.parse(bytes.fromhex("0000 9A03301231 00 9C0100 00".replace(" ", "")))
    assert [item.tag for item in found] == ["9A", "9C"]


def test_find_looks_along_the_path_through_repeated_templates() -> None:
    """A template without the wanted tag does not hide the next one that has it."""
    found = tlv.parse(bytes.fromhex("61035001416106500142870101"))
    assert tlv.find(found, "61", "87") == tlv.Tlv("87", b"\1")
    assert tlv.find(found, "61", "4F") is None


def test_a_value_is_never_in_a_repr() -> None:
    """I12: 5A is a card number."""
    assert repr(tlv.Tlv("5A", bytes.fromhex("6225880000000001"))) == "<5A: 8 bytes>"


@SLOW
@given(st.sampled_from(PRIMITIVE), st.binary(max_size=20), st.integers(0, 30))
def test_a_dol_entry_is_filled_by_its_format(tag: str, value: bytes, length: int) -> None:
    """Numbers keep their right end, compressed ones are filled with F, the others keep the left."""
    made = dol.fit(tag, value, length)
    kept = min(length, len(value))
    fill = (length - kept) * (b"\xff" if tags.form_of(tag) == "cn" else b"\0")
    if tags.form_of(tag) == "n":
        assert made == fill + value[len(value) - kept :]
    else:
        assert made == value[:kept] + fill


@SLOW
@given(st.lists(st.tuples(st.sampled_from(PRIMITIVE), st.integers(0, 30)), max_size=8))
def test_a_dol_is_answered_entry_by_entry(entries: list[tuple[str, int]]) -> None:
    """The answer is as long as the list asks for, whatever is known."""
    asked = b"".join(bytes.fromhex(tag) + bytes([length]) for tag, length in entries)
    assert dol.parse_dol(asked) == tuple(entries)
    assert dol.fill(asked, lambda tag: None) == bytes(sum(length for _, length in entries))


def test_dol_examples() -> None:
    """The PDOLs that were seen on cards: amount, electronic cash, merchant name; a template is
    zeros."""
    known = {"9F7A": b"\0", "9F02": bytes.fromhex("000000012345"), "9F4E": b"CLINIC"}
    seen = bytes.fromhex("9F7A019F02065F2A02DF6901")
    assert dol.fill(seen, known.get).hex() == "00" + "000000012345" + "0000" + "00"
    assert dol.fill(bytes.fromhex("9F4E089F0204"), known.get) == b"CLINIC\0\0" + bytes.fromhex(
        "00012345"
    )
    assert dol.fill(bytes.fromhex("7102"), {"71": b"\1\1"}.get) == b"\0\0"


@pytest.mark.parametrize("data", ["9F02", "9F0281", "9F", "9F01FF" + "9F02FF"])
def test_a_broken_dol_is_refused(data: str) -> None:
    """No length, no short length, no whole tag, or more than a command carries."""
    with pytest.raises(tlv.TlvError):
        dol.parse_dol(bytes.fromhex(data))


def play(command: apdu.Command, style: apdu.Style, *answers: str) -> tuple[list[str], apdu.Answer]:
    """(commands sent, the answer) of an exchange with these raw answers."""
    running = apdu.exchange(command, style, 4)
    sent = [next(running).hex().upper()]
    try:
        for answer in answers:
            sent.append(running.send(bytes.fromhex(answer)).hex().upper())
    except StopIteration as end:
        return sent, end.value
    raise AssertionError("the exchange wants more answers")


READ, GPO = apdu.read_record(1, 2), apdu.get_processing_options(b"\x83\0")


@pytest.mark.parametrize(
    ("command", "style", "answers", "sent", "data", "sw"),
    [
        (READ, "T=0", ["70009000"], ["00B2020C00"], "7000", 0x9000),
        (READ, "T=0", ["6C04", "70009000"], ["00B2020C00", "00B2020C04"], "7000", 0x9000),
        (GPO, "T=0", ["6104", "AABB9000"], ["80A80000028300", "00C0000004"], "AABB", 0x9000),
        (GPO, "T=1", ["AABB9000"], ["80A8000002830000"], "AABB", 0x9000),
        (
            GPO,
            "T=1",
            ["6C02", "AABB9000"],
            ["80A8000002830000", "80A8000002830002"],
            "AABB",
            0x9000,
        ),
        (
            GPO,
            "T=0",
            ["6104", "AA6101", "BB9000"],
            ["80A80000028300", "00C0000004", "00C0000001"],
            "AABB",
            0x9000,
        ),
        (
            GPO,
            "T=0",
            ["6104", "6C02", "AABB9000"],
            ["80A80000028300", "00C0000004", "00C0000002"],
            "AABB",
            0x9000,
        ),
        (GPO, "T=0", ["6985"], ["80A80000028300"], "", 0x6985),
        (GPO, "T=0", ["90"], ["80A80000028300"], "", apdu.NO_ANSWER),
        (READ, "T=0", ["6C04", "6C05"], ["00B2020C00", "00B2020C04"], "", 0x6C05),
    ],
)
def test_answers_are_fetched_in_either_style(
    command: apdu.Command, style: str, answers: list[str], sent: list[str], data: str, sw: int
) -> None:
    """61xx is followed by GET RESPONSE, 6Cxx by the same command with the right length, once."""
    assert play(command, apdu.Style(style), *answers) == (
        sent,
        apdu.Answer(bytes.fromhex(data), sw),
    )


def test_I11_a_card_that_always_has_more_is_left() -> None:
    """The number of further commands is bounded."""
    sent, answer = play(GPO, apdu.Style.T0, *["AA6110"] * 5)
    assert len(sent) == 5
    assert answer.sw == 0x6110


def test_no_command_carries_more_than_255_bytes() -> None:
    """Its data length is one byte."""
    with pytest.raises(ValueError, match="255"):
        apdu.get_processing_options(bytes(256)).encode(apdu.Style.T1)


@pytest.mark.parametrize(
    ("tag", "value", "fitting"),
    [
        ("5F28", "0156", True),
        ("5F28", "56", True),
        ("5F24", "301231", True),
        ("5F24", "3012", False),
        ("5F24", "30123A", False),
        ("5A", "6225880000000001FFFF", True),
        ("5A", "62258800000A0001", False),
        ("DF7F", "00", True),
    ],
)
def test_formats_are_checked(tag: str, value: str, fitting: bool) -> None:
    """Length and digits; a country of one byte is taken, since a card was seen with it."""
    assert tags.fits(tag, bytes.fromhex(value)) is fitting
