"""The agent's process before a real front: pays, dies at named points, asks first, reprints."""

import sqlite3
from pathlib import Path

import pytest

from hsm.primitives import account12, ecb_decrypt, pin_from_block_0
from tests.kiosk.rig import PAD_KEY, PAN, PIN, TRACK2, Kiosk, Switch, http, until


def test_a_patient_pays_and_takes_a_slip(kiosk: Kiosk, switch: Switch) -> None:
    """Look-up, bill, card, PIN, payment, slip; the PIN block truly holds the PIN."""
    kiosk.start()
    kiosk.link_up()

    status, told = kiosk.pay(patient_card="C1", card="good")

    assert (status, told["state"], told["amount_fen"]) == (200, "approved", 1234)
    (seen,) = switch.seen()
    block = ecb_decrypt(bytes.fromhex(PAD_KEY), bytes.fromhex(seen["pin_block"]))
    assert pin_from_block_0(block, account12(PAN)) == PIN
    ledger = kiosk.ledger()
    assert ledger["approved_fen"] == 1234
    assert [line["key"] for line in ledger["told"]] == [told["key"]]
    until(lambda: kiosk.slips() == [f"{told['key']}.1.txt"])


def test_a_declined_card_and_another_pin(kiosk: Kiosk, switch: Switch) -> None:
    """A decline is told with its code and prints no slip; a retry is a new key (rule 17 of
    docs/payment-law.md) with a fresh cryptogram."""
    kiosk.start()
    kiosk.link_up()

    _, declined = kiosk.pay(**kiosk.wish("D51"))
    _, approved = kiosk.pay(**kiosk.wish("B2"), pin="111111", retry_of=declined["key"])

    assert (declined["state"], declined["code"]) == ("declined", "51")
    assert approved["state"] == "approved"
    assert approved["key"] != declined["key"]
    first, second = switch.seen()
    assert first["pin_block"] != second["pin_block"]
    until(lambda: kiosk.slips() == [f"{approved['key']}.1.txt"])


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"patient_card": "NOBODY", "card": "good"}, "404"),
        ({"patient_card": "C1", "card": "good", "bill": "B9"}, "no_bill"),
        ({"patient_card": "C1", "card": "stolen"}, "userError"),
        ({"patient_card": "C1", "card": "good", "pin": "12"}, "userError"),
    ],
)
def test_what_cannot_be_paid_says_why(
    kiosk: Kiosk, switch: Switch, wish: dict[str, object], code: str
) -> None:
    """No key is made and nothing is sent before card and PIN are there."""
    kiosk.start()
    kiosk.link_up()

    status, answer = kiosk.pay(**wish)

    assert (status, answer["code"]) == (409, code)
    assert kiosk.ledger()["told"] == []
    assert switch.seen() == []


def test_without_a_link_the_kiosk_is_out_of_service(tmp_path: Path, authority: Path) -> None:
    """No offline payments: the screen says so, and health too."""
    kiosk = Kiosk(tmp_path, authority, 1)
    kiosk.start()

    status, answer = kiosk.pay(patient_card="C1", card="good")
    health, _ = http("GET", f"{kiosk.url}/health")
    assert kiosk.process is not None
    kiosk.process.end()

    assert (status, answer["code"]) == (409, "offline")
    assert health == 503


def test_I7_link_lost_in_the_middle_then_the_same_key_again(kiosk: Kiosk, switch: Switch) -> None:
    """The link dies under an open payment: the same key is sent again, never a new one."""
    kiosk.start()
    kiosk.link_up()

    _, pending = kiosk.pay(**kiosk.wish("SLOW"))
    switch.do(drop=True)
    until(lambda: sum("start" in seen for seen in switch.seen()) >= 2)
    switch.do(release=pending["key"], state="approved")
    told = until(lambda: [x for x in kiosk.ledger()["told"] if x["state"] == "approved"])

    assert pending["state"] == "pending"
    assert [line["key"] for line in told] == [pending["key"]]
    assert {seen.get("start") or seen.get("query") for seen in switch.seen()} == {pending["key"]}
    assert len(switch.answers()) == 1


def test_I7_a_pending_answer_is_superseded(kiosk: Kiosk, switch: Switch) -> None:
    """PENDING first, then the outcome by push or by asking; the slip follows by itself."""
    kiosk.start()
    kiosk.link_up()

    _, pending = kiosk.pay(**kiosk.wish("PENDING"))
    before = kiosk.ledger()
    switch.do(release=pending["key"], state="returned")
    until(lambda: kiosk.ledger()["told"][0]["state"] == "returned")

    assert before["told"][0]["state"] == "pending"
    assert kiosk.ledger()["approved_fen"] == 0
    until(lambda: kiosk.slips() == [f"{pending['key']}.1.txt"])


def crash(kiosk: Kiosk, point: str, bill: str) -> None:
    """Pay and die at the point."""
    kiosk.start(crash_at=point)
    kiosk.link_up()
    with pytest.raises((ConnectionError, OSError)):
        kiosk.pay(**kiosk.wish(bill))
    assert kiosk.process is not None
    assert kiosk.process.child.wait(20) == -9
    kiosk.process.end()


def test_I7_K10_told_not_printed_prints_after_the_restart(kiosk: Kiosk, switch: Switch) -> None:
    """Power lost before the slip: it comes out after the restart, marked, without a new key."""
    crash(kiosk, "K10 told, not printed", "B1")
    assert kiosk.slips() == []

    kiosk.start()
    (slip,) = until(kiosk.slips)

    text = (kiosk.folder / "slips" / slip).read_text()
    assert "重打印" in text
    assert "缴费成功" in text
    assert [seen for seen in switch.seen() if "start" in seen] == switch.seen()[:1]
    assert kiosk.ledger()["approved_fen"] == 1234


def test_I7_killed_after_the_key_was_made_asks_first(kiosk: Kiosk, switch: Switch) -> None:
    """Killed before sending: the key is asked for, the switch buries it, nothing was paid."""
    crash(kiosk, "T1 key assigned, not sent", "B1")
    assert switch.seen() == []

    kiosk.start()
    told = until(lambda: kiosk.ledger()["told"])

    assert [line["state"] for line in told] == ["unknown_key"]
    assert [next(iter(seen)) for seen in switch.seen()] == ["query"]


def test_I7_killed_with_the_answer_unread_asks_first(kiosk: Kiosk, switch: Switch) -> None:
    """Killed between answer and journal: the outcome is asked for before anything else."""
    crash(kiosk, "T3 answer read, not journaled", "B1")

    kiosk.start()
    told = until(lambda: kiosk.ledger()["told"])
    until(kiosk.slips)
    _, second = kiosk.pay(**kiosk.wish("B2"))

    assert [line["state"] for line in told] == ["approved"]
    assert second["key"] > told[0]["key"]
    kinds = [next(iter(seen)) for seen in switch.seen()]
    assert kinds == ["start", "query", "start"]


def test_a_double_tap_is_one_payment(kiosk: Kiosk, switch: Switch) -> None:
    """The same wish while it is being served gets the same answer; another wish is busy."""
    from concurrent.futures import ThreadPoolExecutor

    kiosk.start()
    kiosk.link_up()
    wish = kiosk.wish("PENDING")

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(lambda: kiosk.pay(**wish))
        until(lambda: any("start" in seen for seen in switch.seen()))
        second = pool.submit(lambda: kiosk.pay(**wish))
        other = pool.submit(lambda: kiosk.pay(**kiosk.wish("B7")))

    assert first.result() == second.result()
    assert other.result()[1]["code"] == "busy"
    assert len(switch.answers()) == 1


def test_reprint_is_marked_and_paper_out_is_told(kiosk: Kiosk, switch: Switch) -> None:
    """Text, picture and reprint by key; without paper the attendant is told, and later prints."""
    kiosk.start()
    kiosk.link_up()
    (kiosk.folder / "slips" / "paper-out").touch()
    _, told = kiosk.pay(**kiosk.wish("B1"))
    key = told["key"]

    without_paper = http("POST", f"{kiosk.url}/reprint/{key}")
    (kiosk.folder / "slips" / "paper-out").unlink()
    first = http("POST", f"{kiosk.url}/reprint/{key}")
    second = http("POST", f"{kiosk.url}/reprint/{key}")
    unknown = http("POST", f"{kiosk.url}/reprint/KIOSK001-20260301-000999")
    _, text = http("GET", f"{kiosk.url}/receipts/{key}")
    _, picture = http("GET", f"{kiosk.url}/receipts/{key}.png")

    assert without_paper[0] == 503
    assert (first[0], second[0], unknown[0]) == (200, 200, 404)
    assert kiosk.slips() == [f"{key}.1.txt", f"{key}.2.txt"]
    folder = kiosk.folder / "slips"
    assert "重打印" not in (folder / f"{key}.1.txt").read_text()
    assert "重打印" in (folder / f"{key}.2.txt").read_text()
    assert "缴费成功" in text.decode()
    assert picture.startswith(b"\x89PNG")


def test_the_control_door_refuses_pages_and_nonsense(kiosk: Kiosk) -> None:
    """No page of somewhere else, under a foreign name for this machine either, no unknown field, no
    huge body."""
    import urllib.error
    import urllib.request

    kiosk.start()
    for name, value in (("Origin", "http://evil.example"), ("Host", "evil.example:80")):
        request = urllib.request.Request(f"{kiosk.url}/ledger", headers={name: value})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        refused.value.close()

        assert refused.value.code == 403
    assert kiosk.pay(unheard_of=1)[0] == 400
    assert kiosk.pay(patient_card="x" * 20_000)[0] == 413
    assert http("GET", f"{kiosk.url}/nothing")[0] == 404


def test_I12_nothing_of_the_card_stays_at_the_kiosk(kiosk: Kiosk, switch: Switch) -> None:
    """PAN, track, PIN, PIN block and pad key are in no log, journal, slip or answer."""
    kiosk.start()
    kiosk.link_up()
    _, told = kiosk.pay(patient_card="C1", card="good")
    until(kiosk.slips)
    kiosk.pay(**kiosk.wish("BOOM"), pin="1")
    assert kiosk.process is not None
    kiosk.process.end()

    kept = "".join(kiosk.process.output) + str(told)
    with sqlite3.connect(kiosk.folder / "journal.db") as journal:
        kept += "".join(journal.iterdump())
    journal.close()
    kept += "".join(path.read_text() for path in (kiosk.folder / "slips").iterdir())
    block = switch.seen()[0]["pin_block"]
    assert not [secret for secret in (PAN, TRACK2, PIN, block, PAD_KEY) if secret in kept]


def test_load_drives_many_payments_over_one_link(kiosk: Kiosk, switch: Switch) -> None:
    """The open-loop generator: fresh keys and bills, all answered, none printed."""
    import json
    import subprocess
    import sys

    done = subprocess.run(
        [
            *(sys.executable, "-m", "switch.cli", "agent", "load", "--config", str(kiosk.config)),
            *("--rate", "100", "--seconds", "1", "--in-flight", "16", "--json"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    report = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["offered"] + report["withheld"] == 100
    assert (report["approved"], report["open"]) == (report["offered"], 0)
    assert len({seen["start"] for seen in switch.seen()}) == report["offered"] > 0
    assert kiosk.slips() == []
