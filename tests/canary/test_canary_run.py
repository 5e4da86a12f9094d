"""Goal: known secrets go through everything that runs, and are seen nowhere afterwards (I12)."""

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from switch.demo.scenes import post
from tests.canary.bench import CHIP_PAN, PAN, PIN, TAIL, TRACK2, WRONG_PIN, CanaryRig
from tests.canary.scanner import files
from tests.crash.rig import patiently, running

pytestmark = pytest.mark.xdist_group("canary")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanaryRig]:
    """A stage whose cards, PINs and keys the scanner knows."""
    with running(CanaryRig(tmp_path_factory.mktemp("canary"))) as started:
        yield started


def test_I12_no_secret_is_seen_after_a_bad_day(rig: CanaryRig) -> None:
    """Goal: approvals, declines, bad answers, bad input, a crash and a dead HSM, at log level
    debug: afterwards no log, metric, table, file, slip, command line or environment shows a card
    number, track, PIN, PIN block or key in any form."""
    rig.learn()
    ends = [_paid(rig, number, *scene) for number, scene in enumerate(SCENES)]
    _crash(rig)
    rig.learn()
    _without_hsm(rig)
    _bad_input(rig)
    audit = rig.settled()
    rig.learn()

    places = list(rig.places())
    hits = rig.known.scan_all(places)

    assert ends == [scene[-1] for scene in SCENES]
    assert audit.violations == []
    assert _looked_everywhere({place for place, _ in places})
    assert hits == []


SCENES: tuple[tuple[str, str, str, str], ...] = (
    # card, PIN, the bank's habit (or the hospital's), what the kiosk is told
    ("canary", PIN, "", "approved"),
    ("canary", WRONG_PIN, "", "declined"),
    ("poor", PIN, "", "declined"),
    ("chip", PIN, "", "approved"),
    ("canary", PIN, "silent", "returned"),
    ("canary", PIN, "wrong_mac", "returned"),
    ("canary", PIN, "half_frame", "returned"),
    ("canary", PIN, "wrong_amount_echo", "returned"),
    ("canary", PIN, "his refuse", "returned"),
    ("canary", PIN, "his invalid_xml", "approved"),
)


def _paid(rig: CanaryRig, number: int, card: str, pin: str, habit: str, _end: str) -> str:
    if habit.startswith("his "):
        rig.his_habit(habit.removeprefix("his "))
    elif habit:
        rig.bank_habit(habit)
    answer = rig.pay(f"C{number}", card=card, pin=pin).result()
    return str(answer.get("state", answer))


def _crash(rig: CanaryRig) -> None:
    start = rig.arm("switch", "K4 sent, no answer")
    rig.pay("C-crash", card="canary", pin=PIN)
    rig.dies("switch", start)
    rig.up("switch")


def _without_hsm(rig: CanaryRig) -> None:
    """The PIN cannot be translated: an error path with all secrets in hand."""
    rig.supervisor.kill("hsm")
    rig.pay("C-hsm", card="canary", pin=PIN).result()
    rig.up("switch")


def _bad_input(rig: CanaryRig) -> None:
    """Secrets where they do not belong: refused without a word of them."""
    url = f"{rig.http['kiosk-1']}/pay"
    for wish in (
        {"business": "outpatient_bill", "card": PAN, "pin": PIN},
        {"business": "outpatient_bill", "card": "canary", "pin": int(PIN)},
        {"business": "outpatient_bill", "pan": PAN, "track2": TRACK2},
        {"business": "outpatient_bill", PAN: "x"},
        {"business": {"pan": PAN}, "pin": PIN},
    ):
        answer = str(post(url, wish))
        assert rig.known.scan("the kiosk's refusal", answer.encode()) == []
    bcd = bytes.fromhex(f"6000030000602200000000020070240580{PAN}{TAIL}0")
    _throw(rig.stage.ports.bank, bcd)
    for command in (b"ZZ", b"CA", b"M6"):
        _throw(rig.stage.ports.hsm, b"0000" + command + CHIP_PAN.encode() + PIN.encode())


def _throw(port: int, message: bytes) -> None:
    """One frame that nobody can understand; its reader may be coming back from the dead."""
    with patiently(lambda: socket.create_connection(("127.0.0.1", port), 5)) as link:
        link.sendall(struct.pack(">H", len(message)) + message)
        link.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            link.recv(4096)


def _looked_everywhere(places: set[str]) -> bool:
    """The scan is worth nothing where it read nothing."""
    for must in (
        "switch /metrics",
        "table payment",
        "table payment_event",
        "table logical_terminal",
        "log/switch.log",
        "log/kiosk-1.log",
        "log/hsm.log",
        "log/bank.log",
        "demo/kiosk-1/journal.db",
        "demo/switch.yaml",
        "demo/his.db",
    ):
        assert must in places, f"{must} was not scanned"
    assert any("pg_wal" in place for place in places)
    assert any(place.startswith("kiosk-1 slip") for place in places)
    assert sum(place.endswith("environ") for place in places) >= 7
    return not any("outside" in place for place in places)


def test_I12_a_planted_secret_is_found(rig: CanaryRig) -> None:
    """Goal: the negative control: one canary in a log of the stage is a hit."""
    rig.learn()
    planted = rig.folder / "log" / "planted.log"
    planted.write_text(f'{{"event": "oops", "track2": "{TRACK2}"}}\n')

    hits = rig.known.scan_all(files(planted.parent, ()))
    planted.unlink()

    assert {(hit.secret, hit.place) for hit in hits if hit.form == "text"} == {
        ("PAN", "planted.log"),
        ("PAN, as PIN blocks have it", "planted.log"),
        ("track 2", "planted.log"),
    }
