"""Yesterday's kiosk before today's switch: a frozen transcript of protocol 1, played over the real
link. What that kiosk said was recorded from its program; what it must hear are the fields that its
program reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kiosk.rig import Client, Switch

TRANSCRIPT = json.loads(Path(__file__).with_name("version-1.json").read_text("utf-8"))
KINDS = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def fits(value: dict[str, Any], shape: dict[str, str]) -> bool:
    """Every field that is there and in the shape has its kind."""
    return all(type(value[name]) is KINDS[kind] for name, kind in shape.items() if name in value)


def test_yesterdays_kiosk_talks_to_todays_switch(
    connect: Callable[..., Client], switch: Switch
) -> None:
    """Each message as it was sent then is answered as that program can read it: no envelope field
    that it would refuse, each body field of its kind, the values that decide as they were."""
    client = connect()

    for step in TRANSCRIPT["steps"]:
        if "said" in step:
            client.send_text(step["said"])
        else:
            switch.do(**step["done"])
        heard, wanted = client.message(), step["heard"]
        assert set(heard) <= set(TRANSCRIPT["envelope"]), heard
        assert fits(heard, TRANSCRIPT["envelope"]), heard
        assert (heard["type"], heard["name"]) == (wanted["type"], wanted["name"]), heard
        if wanted["type"] == "res":
            said = json.loads(step["said"])
            assert heard["id"] == said["id"]
            assert heard.get("idem", "") in (said.get("idem", ""), "")
        assert fits(heard["body"], wanted["body"]), heard
        assert {**heard["body"], **wanted["values"]} == heard["body"]


def test_every_answer_has_what_yesterdays_kiosk_needs(connect: Callable[..., Client]) -> None:
    """The fields without which that program cannot go on are there, not only right when there."""
    client = connect()
    needed = {
        "Boot": {"heartbeat_ms", "server_ms", "versions"},
        "Heartbeat": {"server_ms"},
        "Services": {"hospital", "businesses"},
        "Patient.Query": {"ok"},
        "Bill.Query": {"ok"},
        "Balance.Query": {"ok"},
        "Payment.Start": {"key", "state"},
        "Payment.Query": {"key", "state"},
        "Error": {"code", "text"},
    }
    seen = set()

    for step in TRANSCRIPT["steps"]:
        if "said" in step:
            client.send_text(step["said"])
            heard = client.message()
            assert needed[heard["name"]] <= set(heard["body"])
            seen.add(heard["name"])

    assert seen == set(needed)
