"""Goal: known secrets go through everything that runs, and are seen nowhere afterwards (I12)."""

import base64
import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from switch.demo.scenes import post
from tests.canary import page
from tests.canary.bench import CHIP_PAN, PAN, PIN, TAIL, TRACK2, WRONG_PIN
from tests.canary.chain import ChainRig, is_root
from tests.canary.scanner import Hit, files
from tests.crash.rig import patiently, running

pytestmark = pytest.mark.xdist_group("canary")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainRig]:
    """A stage whose cards, PINs and keys the scanner knows."""
    with running(ChainRig(tmp_path_factory.mktemp("canary"))) as started:
        yield started


def test_I12_no_secret_is_seen_after_a_bad_day(rig: ChainRig) -> None:
    """Goal: approvals, declines, bad answers, bad input, a crash and a dead HSM, at log level
    debug: afterwards no log, metric, table, file, slip, command line or environment shows a card
    number, track, PIN, PIN block or key in any form; and no clear key, component, PIN or PIN block
    is on the wires to HSM and bank or in the switch's memory."""
    rig.learn()
    ends = [_paid(rig, number, *scene) for number, scene in enumerate(SCENES)]
    _at_the_page(rig)
    _crash(rig)
    rig.learn()
    _without_hsm(rig)
    _bad_input(rig)
    audit = rig.settled()
    ends.append(_paid(rig, len(ends), *SCENES[0]))
    rig.learn()

    places = list(rig.places())
    hits = rig.known.scan_all(places)
    hits += rig.clear.scan_all(rig.tapes())
    hits += rig.clear.scan_all(rig.memory("switch"))

    assert ends == [scene[-1] for scene in (*SCENES, SCENES[0])]
    assert audit.violations == []
    assert _looked_everywhere({place for place, _ in places})
    assert hits == []
    _tapes_are_of_payments(rig)
    _daemon_keeps_its_memory(rig)


def _tapes_are_of_payments(rig: ChainRig) -> None:
    """The wires were really listened to: what belongs there is there."""
    seen = {(hit.place.split("/")[0], hit.secret) for hit in rig.known.scan_all(rig.tapes())}
    assert ("bank", "PAN") in seen
    assert ("bank", "track 2") in seen
    assert ("hsm", "PAN, as PIN blocks have it") in seen
    assert any(secret.startswith("PIN block under PIK") for _, secret in seen)
    assert any(secret.startswith("PIN block under pad-") for _, secret in seen)


def _daemon_keeps_its_memory(rig: ChainRig) -> None:
    """The one place where keys are: unreadable, or, for root, where the search finds them; never
    swapped out."""
    try:
        found = {hit.secret for hit in rig.clear.scan_all(rig.memory("hsm"))}
    except PermissionError:
        assert not is_root()
    else:
        assert any(secret.startswith("PIK of ") for secret in found), found
        assert not any("component" in secret for secret in found)
    status = rig.status("hsm")
    assert status["VmSwap"].split() == ["0", "kB"]
    if is_root():
        assert int(status["VmLck"].split()[0]) > 0


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


def _paid(rig: ChainRig, number: int, card: str, pin: str, habit: str, _end: str) -> str:
    if habit.startswith("his "):
        rig.his_habit(habit.removeprefix("his "))
    elif habit:
        rig.bank_habit(habit)
    answer = rig.pay(f"C{number}", card=card, pin=pin).result()
    return str(answer.get("state", answer))


def _at_the_page(rig: ChainRig) -> None:
    """Patients and an attendant at the page: chip and PIN, a wrong PIN and the right one after it,
    a card pulled at the PIN, a code and an ID card shown. Every view is kept, to be searched."""
    patient = page.PagePatient(rig.stage)
    patient.stand()
    assert patient.pay("page", PIN)["outcome"] == "approved"
    patient.until(lambda view: view.get("slip") == "printed")
    patient.home()
    assert patient.pay("page", WRONG_PIN, "P2002")["code"] == "55"
    patient.tap("confirm")
    patient.on("pin")
    patient.type(PIN)
    assert patient.until(lambda view: view.get("outcome") == "approved")
    patient.home()
    patient.to_pin("page", "P2003")
    patient.hand("key", PIN[0])
    patient.hand("pull")
    assert patient.on("result")["notice"] == "card_gone"
    patient.home()
    for hand, shown in (("scan", page.SCANNED), ("id", "specimen")):
        patient.tap("tile", "outpatient_bill")
        patient.on("identify")
        patient.hand(hand, shown)
        patient.until(lambda view: view["screen"] not in ("identify", "busy"))
        patient.home()
    patient.attend()
    page.keep(patient, rig.folder / "page")
    patient.leave()


def _crash(rig: ChainRig) -> None:
    start = rig.arm("switch", "K4 sent, no answer")
    rig.pay("C-crash", card="canary", pin=PIN)
    rig.dies("switch", start)
    rig.up("switch")


def _without_hsm(rig: ChainRig) -> None:
    """The PIN cannot be translated: an error path with all secrets in hand."""
    rig.supervisor.kill("hsm")
    rig.pay("C-hsm", card="canary", pin=PIN).result()
    rig.up("switch")


def _bad_input(rig: ChainRig) -> None:
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
        "hsm /metrics",
        "hsm-audit/audit-000001.log",
        "table stored_key",
        "table stored_key_event",
        "table payment",
        "table payment_event",
        "table logical_terminal",
        "log/switch.log",
        "log/kiosk-1.log",
        "log/hsm.log",
        "log/bank.log",
        "demo/kiosk-1/journal.db",
        "demo/kiosk-3/journal.db",
        "log/kiosk-3.log",
        "page/views.jsonl",
        "page/panels.jsonl",
        "demo/switch.yaml",
        "demo/his.db",
    ):
        assert must in places, f"{must} was not scanned"
    assert any("pg_wal" in place for place in places)
    assert any(place.startswith("kiosk-1 slip") for place in places)
    assert sum(place.endswith("environ") for place in places) >= 8
    return not any("outside" in place for place in places)


def test_I12_a_planted_secret_is_found(rig: ChainRig) -> None:
    """Goal: the negative control: one canary in a log of the stage is a hit."""
    rig.learn()

    hits = _planted(rig, f'{{"event": "oops", "track2": "{TRACK2}"}}\n'.encode())

    assert {(hit.secret, hit.place) for hit in hits if hit.form == "text"} == {
        ("PAN", "planted.log"),
        ("PAN, as PIN blocks have it", "planted.log"),
        ("track 2", "planted.log"),
    }


def test_I12_a_planted_key_is_found(rig: ChainRig) -> None:
    """Goal: the negative control for keys: each one of the stage, half of it or all, raw, as hex
    in either case, backwards, in base64; and a PIN with its fill."""
    rig.learn()
    names = ("component-1", "tmk-80000102", "pad-kiosk-1")
    for name in names:
        key = bytes.fromhex((rig.stage.outside / f"{name}.hex").read_text("ascii"))
        text = key.hex()
        spelled = (text.encode(), text.upper().encode(), text[::-1].encode())
        for form in (key, key[:8], key[8:], key[::-1], *spelled, base64.b64encode(key)):
            assert {hit.secret for hit in _planted(rig, b"..." + form + b"...")} == {name}
    fill = bytes.fromhex(f"0C{PIN}FF")
    assert "PIN with its fill" in {hit.secret for hit in _planted(rig, fill)}


def _planted(rig: ChainRig, content: bytes) -> list[Hit]:
    planted = rig.folder / "log" / "planted.log"
    planted.write_bytes(content)
    found = [(place, data) for place, data in files(planted.parent, ()) if place == planted.name]
    hits = rig.known.scan_all(found)
    planted.unlink()
    return hits
