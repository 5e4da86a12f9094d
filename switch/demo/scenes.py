"""A patient morning: what is played, and how each scene must end.

A scene sets one bad habit of the bank or of the hospital for one message, lets a patient pay at a
kiosk, and compares the answer. The habits are the simulators' own switches.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from switch.demo import cards

HTTP_TIMEOUT_S = 90


class Call(Struct, frozen=True, kw_only=True):
    """One HTTP request to a process's control port."""

    process: str
    path: str
    body: Mapping[str, Any] = {}


class Scene(Struct, frozen=True, kw_only=True):
    """One patient. ``state`` and ``code`` are what the last answer must say."""

    name: str
    title: str
    title_en: str
    kiosk: str
    state: str
    code: str = ""
    habit: Call | None = None
    card: str = "good"
    pins: tuple[str, ...] = (cards.PIN,)
    """One payment each; every further one is a retry of the one before it (rule 17)."""
    taps: int = 1
    power_cut: bool = False
    """The kiosk is killed as soon as the money has moved, and must learn the end by asking."""


class Played(Struct, kw_only=True):
    """What became of a scene."""

    scene: Scene
    patient: str
    now: str = "waiting"
    amount_fen: int = 0
    key: str = ""
    state: str = ""
    code: str = ""
    text: str = ""
    seconds: float = 0.0
    as_expected: bool = False


def _bank(habit: str) -> Call:
    return Call(process="bank", path="/habits", body={"next": [{"habit": habit}]})


def _his(mode: str, delay_ms: int = 0) -> Call:
    body = {"mode": mode, "count": 1, "delay_ms": delay_ms}
    return Call(process="his", path="/habits", body=body)


MORNING = (
    Scene(
        name="approved",
        title="正常缴费",
        title_en="approved",
        kiosk="kiosk-1",
        state="approved",
    ),
    Scene(
        name="declined",
        title="余额不足",
        title_en="declined, 51",
        kiosk="kiosk-2",
        state="declined",
        code="51",
        card="empty",
    ),
    Scene(
        name="wrong_pin",
        title="密码输错后重输",
        title_en="wrong PIN 55, then right",
        kiosk="kiosk-1",
        state="approved",
        pins=(cards.WRONG_PIN, cards.PIN),
    ),
    Scene(
        name="bank_silent",
        title="银行无应答,冲正",
        title_en="bank silent: reversal",
        kiosk="kiosk-2",
        state="returned",
        code="98",
        habit=_bank("silent"),
    ),
    Scene(
        name="wrong_mac",
        title="应答 MAC 错,冲正",
        title_en="answer with a wrong MAC: reversal",
        kiosk="kiosk-1",
        state="returned",
        code="A0",
        habit=_bank("wrong_mac"),
    ),
    Scene(
        name="his_refuses",
        title="医院拒绝入账,冲正",
        title_en="hospital refuses: reversal",
        kiosk="kiosk-2",
        state="returned",
        habit=_his("refuse"),
    ),
    Scene(
        name="his_unknown",
        title="医院超时但已入账",
        title_en="hospital times out but booked",
        kiosk="kiosk-1",
        state="approved",
        habit=_his("book_then_silent"),
    ),
    Scene(
        name="duplicate_tap",
        title="重复点击",
        title_en="duplicate tap",
        kiosk="kiosk-2",
        state="approved",
        taps=2,
    ),
    Scene(
        name="power_cut",
        title="凭条打印前断电",
        title_en="kiosk loses power before the receipt",
        kiosk="kiosk-1",
        state="approved",
        habit=_his("slow", delay_ms=2_000),
        power_cut=True,
    ),
)


def get(url: str) -> Any:
    """GET and read JSON. Raises OSError."""
    with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310 - our own loopback
        return json.load(answer)


def post(url: str, body: Mapping[str, Any]) -> Any:
    """POST JSON and read JSON; an error answer comes back as its body. Raises OSError."""
    request = urllib.request.Request(  # noqa: S310 - our own loopback
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def wish(played: Played, pin: str, retry_of: str) -> dict[str, Any]:
    """What the patient does at the kiosk."""
    return {
        "business": "outpatient_bill",
        "patient_card": played.patient,
        "card": played.scene.card,
        "pin": pin,
        "retry_of": retry_of,
    }
