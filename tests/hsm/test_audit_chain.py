"""The chain: whatever is done to the lines without the key is found."""

import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.audit.chain import (
    GENESIS,
    AuditKey,
    Link,
    Verified,
    open_head,
    parse_link,
    seal,
    seal_head,
    start_of,
    verify,
)
from hsm.audit.record import Event

KEY = AuditKey(bytes(range(32)))
COUNT = 12


def chain(count: int = COUNT, first: Link = GENESIS) -> tuple[list[bytes], Link]:
    """Lines of a sound chain, and its head."""
    lines, link = [], first
    for number in range(count):
        event = Event(what="key.imported", who=("bank",), details={"n": number})
        line, link = seal(KEY, link, 1_000 * number, event, opens_file=number == 0)
        lines.append(line)
    return lines, link


LINES, HEAD = chain()


def checked(lines: Sequence[bytes], *known: Link, start: Link = GENESIS) -> Verified:
    """Verify these lines with this head."""
    return verify(((str(n), line) for n, line in enumerate(lines, 1)), KEY, start, known or (HEAD,))


def test_a_sound_chain_is_sound() -> None:
    """Every record proves itself, and the last one is the head."""
    found = checked(LINES)

    assert found.flaw is None
    assert (found.last, found.records, found.recoveries) == (HEAD, COUNT, 0)


@given(st.data())
def test_any_changed_bit_is_found(data: st.DataObject) -> None:
    """One bit of one byte of one line, wherever it is; the line is named."""
    number = data.draw(st.integers(0, COUNT - 1))
    line = bytearray(LINES[number])
    line[data.draw(st.integers(0, len(line) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    joined = b"".join((*LINES[:number], bytes(line), *LINES[number + 1 :]))

    found = checked(joined.splitlines(keepends=True))

    assert found.flaw is not None
    assert found.flaw.place == str(number + 1)
    assert found.flaw.expected == number + 1


@given(st.integers(0, COUNT - 1), st.integers(1, COUNT))
def test_any_deletion_is_found(at: int, count: int) -> None:
    """Lines taken out at the beginning, in the middle or at the end."""
    found = checked(LINES[:at] + LINES[at + count :])

    assert found.flaw is not None
    assert found.flaw.expected in (at + 1, COUNT)
    assert found.last.seq == at


@given(st.permutations(range(COUNT)).filter(lambda order: order != list(range(COUNT))))
def test_any_other_order_is_found(order: list[int]) -> None:
    """Records carry their place."""
    found = checked([LINES[number] for number in order])

    assert found.flaw is not None
    assert found.flaw.reason == "out_of_order"


@given(st.integers(0, COUNT), st.binary(max_size=80) | st.sampled_from(LINES))
def test_any_inserted_line_is_found(at: int, inserted: bytes) -> None:
    """Garbage or a record of the log itself, anywhere; garbage after the head is told.

    (Of two lines that are the same, the second is the one too many.)
    """
    lines = [*LINES[:at], inserted.replace(b"\n", b"") + b"\n", *LINES[at:]]
    found = checked(lines)

    if at == COUNT and inserted not in LINES:  # it could be the unfinished end of a crash
        assert found.flaw is None
        assert found.torn is not None
    else:
        assert found.flaw is not None
        assert found.flaw.place in (str(at + 1), str(at + 2))


@given(st.integers(0, len(b"".join(LINES)) - 1))
def test_any_truncation_is_found(length: int) -> None:
    """Cut at any byte, the head is not reached any more."""
    found = checked(b"".join(LINES)[:length].splitlines(keepends=True))

    assert found.flaw is not None


def test_records_of_another_key_are_found() -> None:
    """Whoever has no key cannot add a record, however well it reads."""
    event = Event(what="key.imported", who=("bank",))
    forged, _ = seal(AuditKey(bytes(32)), HEAD, 99, event)
    found = checked([*LINES, forged, *chain(1, HEAD)[0]])

    assert found.flaw is not None
    assert found.flaw.reason == "changed"


def test_a_head_noted_elsewhere_finds_a_log_that_was_begun_anew() -> None:
    """A sound chain that does not hold the noted place is another chain."""
    noted = Link(5, bytes(32))

    assert (flaw := checked(LINES, HEAD, noted).flaw) is not None
    assert (flaw.reason, flaw.expected) == ("other_chain", 5)
    assert checked(LINES, HEAD, parse_link(str(HEAD))).flaw is None
    assert (flaw := checked(LINES, HEAD, Link(40, bytes(32))).flaw) is not None
    assert (flaw.reason, flaw.expected) == ("truncated", 40)


def test_a_file_can_be_checked_on_its_own() -> None:
    """Its first record names what it continues."""
    lines, head = chain(3, HEAD)

    assert start_of(lines) == HEAD
    assert checked(lines, head, start=HEAD).flaw is None
    assert checked(LINES + lines, head).flaw is None


def recovery(before: Link, torn: bytes, **said: int | str) -> bytes:
    """The record that closes these bytes, or says it does."""
    found = checked(torn.splitlines(keepends=True), start=before)
    assert found.torn is not None
    event = Event(what="log.recovered", who=("hsm",), details=found.torn.details() | said)
    return seal(KEY, before, 0, event)[0]


def test_a_torn_line_is_closed_by_a_record_that_knows_it() -> None:
    """A crash leaves half a line; the next record says how long it was and what stood in it."""
    torn = LINES[0][:37] + b"\n"
    good = [*LINES, torn, recovery(HEAD, torn)]

    assert checked(good).flaw is None
    assert checked(good).recoveries == 1
    for wrong in (
        [*LINES, torn[:-2] + b"\n", good[-1]],  # shortened afterwards
        [*LINES, b"x" + torn[1:], good[-1]],  # changed afterwards
        [*LINES, good[-1]],  # taken away
        [*LINES, torn, torn, good[-1]],
        [*LINES, torn, recovery(HEAD, torn, torn_bytes=1)],
    ):
        assert checked(wrong).flaw is not None


def test_an_unfinished_end_is_told() -> None:
    """Half a line after the head is what a crash leaves, and no flaw."""
    found = checked([*LINES, LINES[0][:50]])

    assert found.flaw is None
    assert found.torn is not None
    assert found.torn.details()["torn_bytes"] == 50


@pytest.mark.parametrize(
    "line",
    [b"[" * 60_000, b"\xff", b"7", b'{"seq":1}', b'{"seq":' + b"9" * 5_000 + b"}", b"null", b""],
)
def test_a_line_made_to_upset_the_reader_is_no_record(line: bytes) -> None:
    """Whoever can write the folder cannot stop its verification."""
    found = checked([line + b"\n", *LINES])

    assert found.flaw is not None
    assert (found.flaw.place, found.flaw.reason) == ("1", "unreadable")


def test_a_changed_head_is_found() -> None:
    """The head file has a MAC of its own."""
    sealed = seal_head(KEY, HEAD)

    assert open_head(KEY, sealed) == HEAD
    assert open_head(KEY, sealed.replace(b"12:", b"11:")) is None
    assert open_head(AuditKey(bytes(32)), sealed) is None
    assert open_head(KEY, b"") is None
    assert open_head(KEY, b"\xff \xff") is None


def test_the_key_shows_nothing_of_itself() -> None:
    """I12: neither its repr nor a copy of the process's objects holds the key."""
    assert bytes(range(32)).hex()[:8] not in repr(KEY)
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    with pytest.raises(ValueError, match="32 bytes"):
        AuditKey(b"short")
