"""Chip cards finished at a terminal, seen from the terminal's end of a real TLS link."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kiosk.rig import PAN, Client, Switch, until
from tests.kiosk.test_kiosk_front import CARD, start

CHIP = "9F2608A1A2A3A4A5A6A7A89F3602001C9505000004E000"
SAID = {"result": "confirmed", "chip": "9505000004E0009F3602001C5A085A5A5A5A5A5A5A5A"}
KEPT = {"chip": "9505000004E0009F3602001C"}
_keys = itertools.count(1)


def fresh() -> str:
    """A key of its own for each test: the front remembers whom it asked."""
    return f"KIOSK001-20260301-{next(_keys):06d}"


def booted(client: Client, version: int = 2) -> Client:
    """The terminal after its boot."""
    body = {"software": "test", "versions": [1, version]}
    assert client.ask("Boot", body, v=version)["name"] == "Boot"
    return client


def say(client: Client, key: str, **body: object) -> Any:
    """Card.Finished and its answer."""
    return client.ask("Card.Finished", {**SAID, **body}, key, v=2)


def test_a_card_is_finished_and_the_word_is_acknowledged(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """The bank's code and the issuer's data go out; of the chip only rule 18's tags come in."""
    key = fresh()
    client = booted(connect())

    switch.finish(key)
    event = client.message()
    answer = say(client, key)

    assert (event["type"], event["name"], event["idem"]) == ("event", "Card.Finish", key)
    assert event["body"] == {"code": "00", "chip": "910A", "ask": False}
    assert (answer["type"], answer["name"], answer["body"]) == ("res", "Card.Finished", {})
    assert switch.heard() == [
        {"how": "reply", "key": key, "outcome": "done", "code": "", "facts": KEPT}
    ]


def test_a_declined_card_is_refused_with_a_code(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """For ever, and with what a reversal may say of it."""
    key = fresh()
    client = booted(connect())

    switch.finish(key)
    client.message()
    say(client, key, result="declined")

    [heard] = switch.heard()
    assert (heard["outcome"], heard["code"], heard["facts"]) == ("refused", "Z1", KEPT)


@pytest.mark.parametrize(("verb", "issuer"), [("ask", "910A"), ("do", None)])
def test_asked_or_without_the_issuers_data_it_only_says_how_it_ended(
    connect: Callable[..., Client], switch: Switch, verb: str, issuer: str | None
) -> None:
    """A card that was not finished by then never will be; nothing of the bank is sent again."""
    key = fresh()
    client = booted(connect())

    switch.finish(key, verb=verb, issuer=issuer)

    assert client.message()["body"] == {"code": "", "chip": "", "ask": True}
    say(client, key)
    assert switch.heard()[0]["outcome"] == "done"


def test_nobody_there_is_not_sent(connect: Callable[..., Client], switch: Switch) -> None:
    """No link, a link that has not booted, a kiosk of version 1, a node that lost the payment."""
    key = fresh()
    switch.finish(key)
    client = connect()
    switch.finish(key)
    booted(client, 1)
    switch.finish(key)
    booted(client)
    switch.finish(key, may_send=False)

    heard = switch.heard(4)

    assert {one["outcome"] for one in heard} == {"not_sent"}
    assert client.ask("Heartbeat", {})["name"] == "Heartbeat"  # and nothing was sent before it


def test_I11_silence_is_unknown_in_its_time(connect: Callable[..., Client], switch: Switch) -> None:
    """The configured time, then Unknown."""
    key = fresh()
    client = booted(connect())

    switch.finish(key)
    client.message()

    assert switch.heard()[0]["outcome"] == "unknown"


def test_a_lost_link_is_unknown_at_once(authority: Path) -> None:
    """The card may have been finished: it is asked for when the terminal is back."""
    key = fresh()
    running = Switch(authority, "finish_timeout_ms=60000")
    try:
        client = Client(running.ports["terminals"], authority / "k1", authority)
        with client.stack:
            booted(client)
            running.finish(key)
            client.message()
            running.do(drop=True)
            assert running.heard()[0]["outcome"] == "unknown"
    finally:
        running.process.end()


def test_a_word_over_the_next_link_counts(authority: Path) -> None:
    """Whichever link it comes by, it is this terminal's and this payment's."""
    key = fresh()
    running = Switch(authority, "finish_timeout_ms=60000")
    try:
        older = Client(running.ports["terminals"], authority / "k1", authority)
        with older.stack:
            booted(older)
            running.finish(key)
            older.message()
            newer = Client(running.ports["terminals"], authority / "k1", authority)
            with newer.stack:
                older.message()
                say(booted(newer), key)
                assert until(lambda: "done" in [one["outcome"] for one in running.heard()])
    finally:
        running.process.end()


def test_I5_a_late_word_is_an_authentic_late_answer_once(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """Nobody waits any more: handed in as late, acknowledged; said again it is acknowledged only;
    another word is handed in again, for it contradicts."""
    key = fresh()
    client = booted(connect())
    switch.finish(key)
    client.message()
    switch.heard()

    answers = [say(client, key), say(client, key), say(client, key, result="declined")]

    assert [answer["body"] for answer in answers] == [{}, {}, {}]
    late = switch.heard(3)[1:]
    assert [(one["how"], one["outcome"]) for one in late] == [("late", "done"), ("late", "refused")]


def test_I10_a_word_about_no_card_of_its_own_is_a_fault(
    connect: Callable[..., Client], authority: Path, switch: Switch
) -> None:
    """A key nobody asked about, and a key of another terminal; the link lives on."""
    key = fresh()
    client = booted(connect())
    other = connect(authority / "k2")
    other.terminal = "KIOSK002"
    booted(other)
    switch.finish(key)
    client.message()

    unknown = say(client, fresh())
    foreign = say(other, key)

    assert (unknown["name"], unknown["body"]["code"], unknown["id"]) == ("Error", "idem", "7")
    assert foreign["body"]["code"] == "idem"
    assert say(client, key)["body"] == {}
    assert [one["outcome"] for one in switch.heard()] == ["done"]


def test_I11_a_finished_card_is_never_one_request_too_many(authority: Path) -> None:
    """Open payments wait for their cards: with all places taken the card's word is still heard."""
    key = fresh()
    running = Switch(authority, "in_flight_max=1")
    try:
        client = Client(running.ports["terminals"], authority / "k1", authority)
        with client.stack:
            booted(client)
            envelope = {"v": 2, "id": "8", "type": "req", "name": "Payment.Start", "ts": 0}
            card = {**CARD, "chip": CHIP, "entry_mode": "051"}
            body = start(bill="SLOW", card=card)
            client.send_text(
                json.dumps({**envelope, "terminal": "KIOSK001", "idem": key, "body": body})
            )
            running.finish(key)
            assert client.message()["name"] == "Card.Finish"
            assert say(client, key)["body"] == {}
            running.do(release=key, state="approved")
            assert client.message()["body"]["state"] == "approved"
    finally:
        running.process.end()


@pytest.mark.parametrize(
    ("version", "chip", "finisher"), [(2, CHIP, "kiosks"), (1, CHIP, ""), (2, None, "")]
)
def test_only_a_chip_at_a_kiosk_that_can_is_finished(
    connect: Callable[..., Client],
    switch: Switch,
    version: int,
    chip: str | None,
    finisher: str,
) -> None:
    """A kiosk of version 1 keeps yesterday's plan, and so does a stripe."""
    key = fresh()
    client = booted(connect(), version)
    card = {**CARD, **({"chip": chip} if chip else {})}

    client.ask("Payment.Start", start(card=card), key, v=version)

    assert switch.seen()[0]["finisher"] == finisher


def test_a_boot_that_does_not_say_speaks_its_envelopes_version(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """A program that never heard of version 2 does not become one by silence."""
    key = fresh()
    client = connect()
    client.ask("Boot", {"software": "old"}, v=1)

    client.ask("Payment.Start", start(card={**CARD, "chip": CHIP}), key)

    assert switch.seen()[0]["finisher"] == ""


def test_I12_chip_data_that_is_no_tlv_is_refused_without_saying_it(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """In a payment and in a card's last word; the word that follows still counts."""
    key = fresh()
    client = booted(connect())
    broken = f"5A09{PAN}"

    refused = client.ask("Payment.Start", start(card={**CARD, "chip": broken}), key)
    switch.finish(key)
    client.message()
    word = say(client, key, chip=broken)

    assert (refused["body"]["code"], refused["body"]["field"]) == ("bad_field", "card.chip")
    assert (word["body"]["code"], word["body"]["field"], word["id"]) == ("bad_field", "chip", "7")
    assert PAN not in json.dumps([refused, word])
    say(client, key)
    assert switch.heard()[0]["outcome"] == "done"
