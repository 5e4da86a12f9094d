"""The protocol's reader: a value or its own error, and never a secret in the error."""

import json
import pickle
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_agent import protocol
from terminal_agent.protocol import Card, Opaque, Outgoing, Pan, PinBlock, ProtocolError, Track2

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
NAMES = st.sampled_from(sorted(protocol.REQUESTS))


def envelope(name: str, body: object, **other: object) -> str:
    """A request of KIOSK001 as text."""
    return json.dumps(
        {
            "v": 1,
            "id": "1",
            "type": "req",
            "name": name,
            "ts": 0,
            "terminal": "KIOSK001",
            "idem": "KIOSK001-20260301-000001",
            "body": body,
            **other,
        }
    )


@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_an_envelope_or_a_protocol_error(text: str) -> None:
    """Whatever arrives, nothing but ProtocolError comes out."""
    with suppress(ProtocolError):
        protocol.decode_envelope(text)


@given(NAMES, JSON)
def test_any_body_is_a_request_or_a_protocol_error(name: str, body: object) -> None:
    """The same for bodies of every name."""
    with suppress(ProtocolError):
        protocol.decode_request(protocol.decode_envelope(envelope(name, body)), "KIOSK001")


@given(
    st.text("0123456789", min_size=12, max_size=19),
    st.integers(1, protocol.AMOUNT_FEN_MAX),
    st.text(max_size=30),
)
def test_what_is_sent_is_what_is_read(pan: str, amount_fen: int, title: str) -> None:
    """Round trip of a payment, secrets included, amounts exact (I16)."""
    card = Card(pan=Pan(pan), track2=Track2(f"{pan}=3012"), pin_block=PinBlock("0" * 16))
    body = protocol.PaymentStart(
        business="b", amount_fen=amount_fen, patient="P", details={"title": title}, card=card
    )
    key = protocol.payment_key("KIOSK001", "20260301", 1)
    text = protocol.encode(
        Outgoing(
            v=protocol.VERSION,
            id="1",
            type="req",
            name=protocol.PAYMENT_START,
            ts=0,
            terminal="KIOSK001",
            idem=key,
            body=body,
        )
    )

    read = protocol.decode_request(protocol.decode_envelope(text), "KIOSK001")

    assert isinstance(read, protocol.PaymentStart)
    assert (read.amount_fen, read.details) == (amount_fen, {"title": title})
    assert read.card is not None
    assert read.card.pan.reveal() == pan


@given(st.text("0123456789abcdefXYZ<", min_size=4, max_size=40).filter(lambda x: not x.isdigit()))
def test_I12_errors_never_carry_what_was_sent(secret: str) -> None:
    """A value at a wrong place, of a wrong shape, or as an unknown key stays unsaid."""
    start = {"business": "b", "amount_fen": 1, "patient": "P"}
    for body in (
        {**start, "card": {"pan": secret}},
        {**start, "card": {"pan": "622588000000", "pin_block": secret + "x"}},
        {**start, "amount_fen": secret},
        {**start, "_" + secret: 1},
        {**start, "details": {"x": [secret]}},
    ):
        read = protocol.decode_envelope(envelope(protocol.PAYMENT_START, body))
        with pytest.raises(ProtocolError) as refused:
            protocol.decode_request(read, "KIOSK001")
        assert secret not in str(refused.value)
        assert refused.value.__cause__ is None


def test_I12_an_opaque_value_shows_nothing() -> None:
    """repr, str, format, f-string, pickle and a struct's repr."""
    secret = Pan("6225880000000001")
    card = Card(pan=secret)
    start = protocol.PaymentStart(business="b", amount_fen=1, patient="P", card=card)

    shown = f"{secret} {secret!r} {secret:>20} {card} {start}"

    assert "622588" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        pickle.dumps(Opaque("x"))


def test_unknown_fields_are_tolerated_where_stated() -> None:
    """Boot and Heartbeat of tomorrow's kiosk, answers of tomorrow's switch; nothing else."""
    tolerant = {"software": "x", "from_tomorrow": 1}
    protocol.decode_request(protocol.decode_envelope(envelope("Boot", tolerant)), "KIOSK001")
    protocol.decode_request(protocol.decode_envelope(envelope("Heartbeat", {"x": 1})), "KIOSK001")
    answer = protocol.decode_envelope(
        envelope("Payment.Query", {"key": "K", "state": "approved", "new": 1}, type="res")
    )
    assert protocol.decode_reply(answer, protocol.Told).state == "approved"

    for name in sorted(set(protocol.REQUESTS) - {"Boot", "Heartbeat"}):
        with pytest.raises(ProtocolError):
            protocol.decode_request(protocol.decode_envelope(envelope(name, {"x": 1})), "KIOSK001")


@pytest.mark.parametrize("version", range(protocol.OLDEST_VERSION, protocol.VERSION + 1))
def test_every_served_version_is_read(version: int) -> None:
    """Yesterday's kiosk talks to today's switch: each version in the range has its sample."""
    samples = {
        1: '{"v":1,"id":"a","type":"req","name":"Payment.Query","ts":1,"terminal":"K1",'
        '"idem":"K1-20260301-000001","body":{}}',
        2: '{"v":2,"id":"a","type":"req","name":"Payment.Query","ts":1,"terminal":"K1",'
        '"idem":"K1-20260301-000001","body":{}}',
        3: '{"v":3,"id":"a","type":"req","name":"Payment.Query","ts":1,"terminal":"K1",'
        '"idem":"K1-20260301-000001","body":{}}',
    }

    read = protocol.decode_envelope(samples[version])

    assert isinstance(protocol.decode_request(read, "K1"), protocol.PaymentQuery)


def test_a_reply_that_is_none_is_a_protocol_error() -> None:
    """The agent's side of the same rule."""
    for body in ([], {"state": 1, "key": "K"}, {"receipt": {"a": 1}}):
        read = protocol.decode_envelope(envelope("Payment.Query", body, type="res"))
        with pytest.raises(ProtocolError):
            protocol.decode_reply(read, protocol.Told)


def test_the_reader_bounds_its_input() -> None:
    """I11: above the limit nothing is read."""
    with pytest.raises(ProtocolError, match="larger than 10 bytes"):
        protocol.decode_envelope(" " * 11, 10)


def test_only_named_types_pass_the_hooks() -> None:
    """A programming mistake is no silent null."""
    with pytest.raises(NotImplementedError):
        protocol.encode(Outgoing(v=1, id="", type="", name="", ts=0, terminal="", body=object()))
    assert msgspec.json.decode(
        protocol.encode(
            Outgoing(v=1, id="", type="", name="", ts=0, terminal="", body={"a": Opaque("s")})
        )
    )["body"] == {"a": "s"}
