"""The declared tables: what is built is what is read, and garbage is an error code."""

from functools import cache, partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm import codec
from hsm.block_header import Attributes
from hsm.codec import Command, Field, Option, Tail
from hsm.commands import Service
from hsm.errors import TEXTS, CommandError
from hsm.keys import SCHEME_BYTES, Cryptogram
from hsm.kinds import Bytes, Choice, Counted, DigitRun, Digits, Hex, Key, Rest, Text
from hsm.kinds_pin import Account, PinBlock, PinField, ValidationData
from hsm.layouts import COMMANDS
from hsm.layouts.keys import FewDigits, Reserved, Said
from hsm.lmk import published_test_lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots
from hsm.tail import TRAILER

COMMAND_LIST = sorted(COMMANDS.values(), key=lambda command: command.code)


# A strategy is made once and draws as little as it can: hypothesis looks at each new one from all
# sides and pays for each draw, a hundred times as much as the codec under test.


@cache
def hex_text(width: int) -> st.SearchStrategy[str]:
    """Upper-case hex characters, drawn as one number."""
    return st.integers(0, 16**width - 1).map(lambda number: f"{number:0{width}X}"[:width])


@cache
def digit_text(width: int) -> st.SearchStrategy[str]:
    """Decimal digits, drawn as one number."""
    return st.integers(0, 10**width - 1).map(lambda number: f"{number:0{width}d}"[:width])


@cache
def digit_texts(shortest: int, longest: int) -> st.SearchStrategy[str]:
    """Decimal digits, more or fewer of them."""
    return st.one_of([digit_text(width) for width in range(shortest, longest + 1)])


@cache
def binary(longest: int, shortest: int = 0) -> st.SearchStrategy[bytes]:
    """Any bytes."""
    return st.binary(min_size=shortest, max_size=longest)


@cache
def seven_bits(longest: int) -> st.SearchStrategy[bytes]:
    """Any ASCII."""
    return binary(longest).map(lambda drawn: bytes(byte & 127 for byte in drawn))


@cache
def words_of(words: tuple[str, ...]) -> st.SearchStrategy[str]:
    """One of them."""
    return st.sampled_from(words)


@cache
def keys_of(untagged: int) -> st.SearchStrategy[Cryptogram]:
    """Keys of every scheme, and untagged ones of this width."""
    tagged = [hex_text(2 * SCHEME_BYTES[tag]).map(partial(Cryptogram, tag)) for tag in "UTXYZ"]
    blocks = [hex_text(48).map(partial(key_block, scheme)) for scheme in "SR"]
    return st.one_of(*tagged, *blocks, hex_text(untagged).map(partial(Cryptogram, "")))


@cache
def letters(width: int) -> st.SearchStrategy[str]:
    """Some printable characters."""
    return st.text("ABCxyz09-", min_size=width, max_size=width)


def value_of(kind: Any, seen: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value a kind can carry, given the values before it."""
    match kind:
        case Digits(width):
            return digit_text(width)
        case Hex(width=width):
            return hex_text(width if isinstance(width, int) else width(seen))
        case Text(width):
            return letters(width)
        case Choice(words=words):
            return words_of(tuple(words))
        case FewDigits():
            return digit_texts(1, 2)
        case Said(value):
            return words_of((value,))
        case Reserved(kind=inner):
            return value_of(inner, seen)
        case Key(untagged=width):
            return keys_of(width if isinstance(width, int) else width(seen))
        case Bytes(width=width_of):
            return binary(width_of(seen), width_of(seen))
        case DigitRun(longest):
            return digit_texts(1, longest)
        case Rest():
            return rests
        case Account():
            return digit_text(12)
        case PinBlock():
            return hex_text(16)
        case PinField(clear=clear):
            return clear_pins if clear else kept_pins
        case ValidationData():
            return validation_data
        case Counted(form=form, digits=digits, base=base):
            longest = min(40, base**digits - 1)
            return seven_bits(longest) if form and seen[form] == "2" else binary(longest)
    raise AssertionError(kind)


# Without the two characters that its end is known by.
rests = st.binary(max_size=40).map(lambda b: b.replace(b"%", b"").replace(TRAILER, b""))
clear_pins = digit_texts(4, 12).map(lambda pin: f"{pin}F")
kept_pins = digit_texts(4, 12).map(lambda pin: f"0{pin}")
validation_data = hex_text(11).map(lambda text: f"{text[:4]}N{text[4:]}")


def key_block(scheme: str, body: str) -> Cryptogram:
    """Something with the outside of a key block."""
    return Cryptogram(scheme, f"00{16 + len(body):03d}72TN00N0000{body}")


def fill(draw: st.DrawFn, parts: tuple[codec.Part, ...], seen: dict[str, Any]) -> dict[str, Any]:
    """Values for a table, its options and conditions included."""
    values: dict[str, Any] = {}
    for part in parts:
        if part.when is not None and not part.when(seen):
            continue
        fields = part.fields if isinstance(part, Option) else (part,)
        may_miss = not part.required if isinstance(part, Option) else bool(part.starts)
        if may_miss and draw(coins):
            continue
        for field in fields:
            values[field.name] = seen[field.name] = draw(value_of(field.kind, seen))
    return values


coins = st.booleans()
lmk_ids = st.sampled_from(("", "00", "07"))
trailers = st.binary(max_size=32).map(lambda b: TRAILER + b) | st.just(b"")
attributes = st.builds(
    Attributes,
    usage=st.sampled_from(("72", "P0", "M3")),
    algorithm=st.sampled_from(("T2", "A3")),
    mode=st.sampled_from("NEDGV"),
    key_version=st.just("00"),
    export=st.sampled_from("NSE"),
    blocks=st.sampled_from(((), (("KS", "0001"),), (("KC", "00AA"), ("TS", "2026")))),
)
tails = st.builds(Tail, lmk_ids, trailers, st.none(), st.just(""), st.just(""))
attributed_tails = st.builds(
    Tail, lmk_ids, trailers, st.none() | attributes, st.sampled_from(("", "N", "S", "E")),
    st.sampled_from(("", "0")),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMAND_LIST, ids=lambda command: command.code)
@given(data=st.data())
def test_a_request_reads_back(command: Command, data: st.DataObject) -> None:
    """parse(build(values)) == values for every table, with LMK id and trailer."""
    values = fill(data.draw, command.request, {})  # type: ignore[arg-type]
    tail = data.draw(attributed_tails if command.attributed else tails)
    if any(isinstance(part, Option) and part.lead == b"!" for part in command.request):
        tail = tail._replace(block_version="")

    built = codec.build_request(command, values, tail)

    assert built[:2] == command.code.encode()
    assert codec.parse_request(command, built[2:]) == (values, tail)


@pytest.mark.parametrize("command", COMMAND_LIST, ids=lambda command: command.code)
@given(data=st.data())
def test_a_response_reads_back(command: Command, data: st.DataObject) -> None:
    """The same for answers, whose fields may depend on the request."""
    known = fill(data.draw, command.request, {})  # type: ignore[arg-type]
    values = fill(data.draw, command.response, dict(known))  # type: ignore[arg-type]
    error = data.draw(st.sampled_from(sorted(command.answered)))
    trailer = data.draw(tails).trailer

    built = codec.build_response(command, error, values, known, trailer)

    assert codec.parse_response(command, built, known) == (error, values, trailer)


garbage = st.binary(max_size=120) | st.text("0123456789ABCDEFUTXYZS;%#\x19", max_size=120).map(
    str.encode
)


@pytest.mark.parametrize("code", [*sorted(COMMANDS), "ZZ", ""])
@given(body=garbage)
def test_garbage_is_answered_with_an_error_code(code: str, body: bytes) -> None:
    """Whatever stands behind a code, the answer has the header, a code and a known error, and no
    fault of ours (41) is behind it."""
    processor = Processor(
        Service(Slots({"00": published_test_lmk()}), Policy(), lambda n: bytes(range(n)))
    )

    answered = processor.answer(b"HEAD" + code.encode() + body)

    assert answered.frame.startswith(b"HEAD")
    assert answered.frame[6:8].decode() in TEXTS
    assert answered.error != "41"


@pytest.mark.parametrize("command", COMMAND_LIST, ids=lambda command: command.code)
@settings(max_examples=20)
@given(data=st.data())
def test_every_cut_of_a_request_is_an_error_or_a_value(
    command: Command, data: st.DataObject
) -> None:
    """A request cut at any of its bytes raises its own error or reads as a shorter one; nothing
    else."""
    values = fill(data.draw, command.request, {})  # type: ignore[arg-type]
    built = codec.build_request(command, values)[2:]
    for cut in range(len(built) + 1):
        error = "00"
        try:
            codec.parse_request(command, built[:cut])
        except CommandError as refused:
            error = refused.code
        assert error in TEXTS


@given(garbage)
def test_a_garbled_answer_is_the_codecs_own_error(data: bytes) -> None:
    """The client's side: any bytes are an answer or CommandError."""
    known = {"mode": "0", "mac_size": "0"}
    try:
        error, _, _ = codec.parse_response(COMMANDS["M6"], data, known)
    except CommandError:
        return
    assert len(error) == 2


def test_the_error_names_the_field_and_never_its_value() -> None:
    """I12: what the log may show of a bad field."""
    with pytest.raises(CommandError) as caught:
        codec.parse_request(COMMANDS["A6"], b"001U" + b"5ECRE7" * 3)

    assert caught.value.where == "zmk"
    assert "5ECRE7" not in str(caught.value)


def test_response_codes_follow_the_rule() -> None:
    """Second letter + 1: A0 → A1, NC → ND, NO → NP."""
    shown = {code: command.response_code for code, command in COMMANDS.items()}

    assert (shown["A0"], shown["NC"], shown["NO"], shown["M8"]) == ("A1", "ND", "NP", "M9")


def test_a_new_command_is_one_declaration() -> None:
    """A table alone gives parsing, building and the error of a bad field."""
    command = Command(code="QQ", title="", request=(Field("pvki", Digits(1)), Field("k", Key())))
    values = {"pvki": "1", "k": Cryptogram("Z", "0123456789ABCDEF")}

    assert codec.parse_request(command, codec.build_request(command, values)[2:])[0] == values
    with pytest.raises(CommandError, match="pvki"):
        codec.parse_request(command, b"xZ0123456789ABCDEF")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Digits(2), "123"),
        (Hex(16), "00"),
        (Choice(("0", "1")), "2"),
        (Key(), Cryptogram("U", "00")),
        (Counted(), bytes(0x10000)),
        (Bytes(lambda _: 3, "data"), b"1234"),
    ],
)
def test_a_value_that_does_not_fit_is_the_callers_mistake(kind: Any, value: Any) -> None:
    """Building never writes a field of another width."""
    with pytest.raises(ValueError, match=r"field|needed|words|long"):
        kind.write(value, {})
