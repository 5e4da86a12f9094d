"""By whose key the pad makes a PIN block: asked over the real link, made by the agent's pad."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hsm.primitives import account12, ecb_decrypt, pin_from_block_0
from tests.kiosk.fake_switch import BANK_PIK, BANK_TMK
from tests.kiosk.rig import PAD_KEY, PIN, Client, Kiosk, Switch
from tests.kiosk.test_kiosk_front import CARD, KEY, start

BANKS_PAN = "8225880000000001"
MADE_FOR = {"bank": "icbc", "merchant": "M" * 15, "terminal": "10000001", "generation": 3}


def plan(client: Client, beginning: str, **other: object) -> dict[str, Any]:
    """The body of the answer to a plan asked for."""
    body = {"business": "outpatient_bill", "bin": beginning, **other}
    answer: dict[str, Any] = client.ask("Pin.Plan", body, v=3)["body"]
    return answer


def test_a_plan_says_by_whose_key(connect: Callable[..., Client], switch: Switch) -> None:
    """The shared key, the bank's own with all that the pad needs, or no such card; the switch asks
    for the terminal that the certificate names."""
    client = connect()
    before = len(switch.plans())

    shared = plan(client, "622588")
    own = plan(client, "822588000000", medium="bank_card")
    none = plan(client, "922588")

    assert (shared["ok"], shared["mode"], shared["slot"]) == (True, "translate", "")
    assert shared["pin_for"] is None
    assert (own["mode"], own["slot"], own["pin_for"]) == (
        "pass_through", "icbc.outpatient", MADE_FOR,
    )  # fmt: skip
    key = ecb_decrypt(bytes.fromhex(BANK_TMK), bytes.fromhex(own["cryptogram"]))
    assert key.hex().upper() == BANK_PIK
    assert none["ok"] is False
    assert none["text"]
    assert switch.plans()[before:] == [
        ["H1", "KIOSK001", "outpatient_bill", "bank_card", beginning]
        for beginning in ("622588", "822588000000", "922588")
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"business": "outpatient_bill", "bin": "62258"}, "bin"),
        ({"business": "outpatient_bill", "bin": "6225880000000"}, "bin"),
        ({"business": "outpatient_bill", "bin": "62258x"}, "bin"),
        ({"business": "outpatient_bill"}, "body"),
        ({"business": "outpatient_bill", "bin": "622588", "pan": "6"}, "body"),
        ({"business": "nothing", "bin": "622588"}, "business"),
    ],
)
def test_I12_a_wrong_question_names_its_field_and_no_digit(
    connect: Callable[..., Client], body: dict[str, object], field: str
) -> None:
    """Refused as every other request; what was sent is not repeated."""
    fault = connect().ask("Pin.Plan", body, v=3)
    assert (fault["name"], fault["body"]["field"]) == ("Error", field)
    assert "62258" not in fault["body"]["text"]


def test_I8_a_block_says_for_whom_it_was_made(
    connect: Callable[..., Client], switch: Switch, authority: Path
) -> None:
    """It comes to the engine with bank, merchant, terminal and generation as the terminal says, and
    with the kiosk as the certificate says. A terminal without a key of ours may send such a block,
    and no other."""
    second = connect(authority / "k2")
    second.terminal = "KIOSK002"
    key = KEY.replace("KIOSK001", "KIOSK002")
    told = second.ask("Payment.Start", start(card={**CARD, "pin_for": MADE_FOR}), key, v=3)
    refused = second.ask("Payment.Start", start(), key[:-1] + "2", v=3)
    plain = connect().ask("Payment.Start", start(), KEY, v=3)

    assert told["body"]["state"] == plain["body"]["state"] == "approved"
    assert refused["body"]["field"] == "card.pin_block"
    assert [one["pin_for"] for one in switch.seen()] == [{**MADE_FOR, "kiosk": "KIOSK002"}, None]


@pytest.mark.parametrize(
    "made_for",
    [{**MADE_FOR, "generation": 0}, {**MADE_FOR, "kiosk": "KIOSK009"}, {"bank": "icbc"}, "icbc"],
)
def test_I8_half_a_name_is_refused(
    connect: Callable[..., Client], switch: Switch, made_for: object
) -> None:
    """Nor does a terminal say which kiosk it is."""
    client = connect()
    fault = client.ask("Payment.Start", start(card={**CARD, "pin_for": made_for}), KEY, v=3)
    assert fault["body"]["code"] == "bad_field"
    assert switch.seen() == []


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_kiosk_pays_without_a_plan(
    connect: Callable[..., Client], switch: Switch, version: int
) -> None:
    """It never asks: its block is under the shared key."""
    told = connect().ask("Payment.Start", start(), KEY, v=version)
    assert told["body"]["state"] == "approved"
    assert switch.seen()[0]["pin_for"] is None


# ---- the agent ----------------------------------------------------------------------------------


@pytest.fixture
def banks_kiosk(kiosk: Kiosk) -> Kiosk:
    """A kiosk whose pad has a slot for the bank, and a card of that bank beside the usual one."""
    config = msgspec.json.decode(kiosk.config.read_bytes())
    cards = kiosk.folder / "cards.yaml"
    row = f'  - {{id: banks, pan: "{BANKS_PAN}", expiry: "3012", track2: "", pin: "{PIN}"}}\n'
    stranger = row.replace("id: banks", "id: stranger").replace(BANKS_PAN, "9" + BANKS_PAN[1:])
    cards.write_text(cards.read_text() + row + stranger)
    (kiosk.folder / "tmk").write_text(BANK_TMK)
    options = config["devices"]["pin_pad"]["options"]
    options["masters"] = f"icbc.outpatient={kiosk.folder / 'tmk'}"
    kiosk.config.write_bytes(msgspec.json.encode(config))
    return kiosk


def test_one_pad_two_keys(banks_kiosk: Kiosk, switch: Switch) -> None:
    """The bank's card makes its block under the bank's own key, loaded from the plan, and says so;
    the other card under the shared key; a card without a route is never asked for its PIN."""
    banks_kiosk.start()
    banks_kiosk.link_up()

    for bill, card in (("B1", "banks"), ("B2", "good"), ("B3", "banks")):
        assert banks_kiosk.pay(**{**banks_kiosk.wish(bill), "card": card})[1]["state"] == "approved"
    status, refused = banks_kiosk.pay(**{**banks_kiosk.wish("B4"), "card": "stranger"})

    seen = switch.seen()
    keys = [BANK_PIK, PAD_KEY, BANK_PIK]
    pans = [BANKS_PAN, "6225880000000001", BANKS_PAN]
    for one, key, pan in zip(seen, keys, pans, strict=True):
        clear = ecb_decrypt(bytes.fromhex(key), bytes.fromhex(one["pin_block"]))
        assert pin_from_block_0(clear, account12(pan)) == PIN
    through = {**MADE_FOR, "kiosk": "KIOSK001"}
    assert [one["pin_for"] for one in seen] == [through, None, through]
    assert (status, refused["code"]) == (409, "unavailable")
    assert banks_kiosk.process is not None
    loads = [line for line in banks_kiosk.process.lines if line["event"] == "key_loaded"]
    assert len(loads) == 1, "the key that is there is not loaded again"
    said = "".join(banks_kiosk.process.output)
    assert not any(secret in said for secret in (BANK_PIK, BANKS_PAN, seen[0]["pin_block"]))


def test_a_pad_without_the_slot_says_so(kiosk: Kiosk, switch: Switch) -> None:
    """No block is made under another key: nothing is sent."""
    cards = kiosk.folder / "cards.yaml"
    cards.write_text(cards.read_text().replace("6225880000000001", BANKS_PAN))
    kiosk.start()
    kiosk.link_up()

    _, refused = kiosk.pay(**kiosk.wish("B1"))

    assert refused["code"] == "unsupportedCommand"
    assert switch.seen() == []
