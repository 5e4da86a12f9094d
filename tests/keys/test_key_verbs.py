"""``yyt key`` on a real database and an HSM: every verb, what it keeps and what it refuses."""

import json
from argparse import Namespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from hsm import primitives
from hsm.keys import wrap
from hsm.testing import wrap_test_key
from switch.keys.intake import bring
from switch.store.key_store import KeyRefused

ZMK = "0123456789ABCDEFFEDCBA9876543210"
TMK = "CA5D92598DCA48CE8A4C76361A9269E9"
OTHER = "B55D9E8F16B0F8A4C2F25483C4EC97B6"


def check(clear_hex: str) -> str:
    """The whole check value of a key of the outside world."""
    clear = primitives.odd_parity(bytes.fromhex(clear_hex))
    return primitives.check_value(clear).hex().upper()


def under_zmk(clear_hex: str) -> str:
    """As a bank's letter has it: X9.17 under the ZMK."""
    zmk = primitives.odd_parity(bytes.fromhex(ZMK))
    return str(wrap(zmk, "X", primitives.odd_parity(bytes.fromhex(clear_hex))))


def bring_zmk(office: Any) -> Any:
    """The bank's ZMK, already under the LMK."""
    text = wrap_test_key("000", ZMK)
    return office.ask("import", "icbc-zmk", "--usage", "ZMK", "--cryptogram", text)


def bring_tmk(office: Any, name: str, terminal: str, clear: str = TMK) -> Any:
    """A terminal's TMK under the LMK, from stdin."""
    return office.ask(
        "import", name, "--usage", "TMK", "--bank", "icbc", "--terminal", terminal,
        "--cryptogram-file", "-", "--check-value", check(clear)[:8],
        stdin=wrap_test_key("000", clear) + "\n",
    )  # fmt: skip


def test_a_key_made_by_the_hsm_is_listed_shown_and_checked(office: Any) -> None:
    """generate, list, show, check: the key has its check value, and its history says who and what;
    a history never holds a cryptogram."""
    office.configure(tmk=wrap_test_key("000", TMK))
    made = office.ask("generate", "vault", "--usage", "DEK", "--hospital", "h1")
    assert (made["key_type"], made["state"], made["lmk_id"]) == ("00B", "active", "00")
    (listed,) = office.ask("list")
    assert listed["check_value"] == made["check_value"]
    shown = office.ask("show", "vault")
    (event,) = shown["history"]
    assert event["what"] == "add"
    assert "@" in event["by_whom"]
    assert made["held"] not in json.dumps(shown["history"])
    assert office.ask("check")["wrong"] == 0
    assert "vault" in office.run("list").stdout
    assert "made by the HSM" in office.run("show", "vault").stdout


def test_a_cryptogram_under_the_lmk_is_read_back_before_it_is_kept(office: Any) -> None:
    """A wrong check value, another type's cryptogram, a name twice: refused, nothing is kept."""
    text = wrap_test_key("000", TMK)
    about = ("import", "t1", "--usage", "TMK", "--terminal", "80000101", "--cryptogram", text)
    assert "nothing was kept" in office.refusal(*about, "--check-value", "000000")
    assert "10" in office.refusal("import", "t1", "--usage", "ZPK", "--cryptogram", text)
    assert office.ask("list") == []
    assert bring_tmk(office, "t1", "80000101")["check_value"] == check(TMK)
    assert "is taken" in office.refusal(
        "import", "t1", "--usage", "ZMK", "--cryptogram", wrap_test_key("000", ZMK)
    )


@pytest.mark.parametrize("text", [TMK, TMK[:16], "X" + TMK, "hello", ""])
def test_a_clear_key_is_never_taken(text: str) -> None:
    """What does not look like a cryptogram under the LMK is refused before the HSM or the store is
    asked (there is none here), and is not repeated."""
    given = Namespace(cryptogram=text, cryptogram_file=None, check_value="", under="")
    nobody: Any = None
    said: list[Any] = []
    Deferred.fromCoroutine(bring(nobody, nobody, nobody, given)).addErrback(said.append)
    assert isinstance(said[0].value, KeyRefused)
    sentence = str(said[0].value)
    assert "clear key" in sentence or "no cryptogram" in sentence
    assert text == "" or text not in sentence


def test_a_banks_key_comes_in_under_its_zmk(office: Any, tmp_path: Any) -> None:
    """A6 from a file: the check value of the bank's letter is needed, and must be right."""
    bring_zmk(office)
    letter = tmp_path / "tmk.txt"
    letter.write_text(under_zmk(TMK)[1:] + "\n", "ascii")
    about = ("import", "tmk-1", "--usage", "TMK", "--terminal", "80000101", "--under",
             "key:icbc-zmk", "--cryptogram-file", str(letter))  # fmt: skip
    assert "--check-value" in office.refusal(*about)
    assert "nothing was kept" in office.refusal(*about, "--check-value", check(OTHER)[:6])
    kept = office.ask(*about, "--check-value", check(TMK)[:6])
    assert kept["held"] == wrap_test_key("000", TMK)
    (event,) = office.ask("show", "tmk-1")["history"]
    assert event["detail"] == "came under icbc-zmk version 1"
    assert "no active key" in office.refusal(
        "import", "x", "--usage", "ZPK", "--under", "key:nosuch", "--cryptogram",
        under_zmk(TMK), "--check-value", "000000",
    )  # fmt: skip


def test_one_terminal_one_key(office: Any) -> None:
    """一机一密: the same TMK or TPK for a second terminal is refused, under another usage and after
    its retirement too; destroyed, a key entered by mistake may come to its own terminal."""
    bring_tmk(office, "t1", "80000101")
    again = ("--cryptogram", wrap_test_key("000", TMK), "--terminal", "80000102")
    assert "一机一密" in office.refusal("import", "t2", "--usage", "TMK", *again)
    tpk = ("--cryptogram", wrap_test_key("002", TMK), "--terminal", "K2")
    assert "一机一密" in office.refusal("import", "p2", "--usage", "TPK", *tpk)
    office.ask("retire", "t1")
    assert "一机一密" in office.refusal("import", "t2", "--usage", "TMK", *again)
    office.ask("destroy", "t1", "--version", "1", "--yes")
    office.ask("import", "t2", "--usage", "TMK", *again)
    assert "--terminal" in office.refusal("generate", "t3", "--usage", "TMK")


def test_rotate_begins_a_version_and_retires_the_one_before(office: Any) -> None:
    """A new version by generate or import keeps usage, type and owner; the old one is retired."""
    bring_tmk(office, "t1", "80000101")
    office.ask("rotate", "t1", "--cryptogram", wrap_test_key("000", OTHER))
    old, new = office.ask("show", "t1")["versions"]
    assert (old["state"], new["state"], new["version"]) == ("retired", "active", 2)
    assert (new["usage"], new["owner"]) == ("TMK", old["owner"])
    office.ask("rotate", "t1", "--generate")
    assert [k["state"] for k in office.ask("list")] == ["retired", "retired", "active"]
    office.ask("generate", "vault", "--usage", "DEK")
    assert "DEK" in office.refusal("rotate", "vault", "--generate")
    assert "no active key" in office.refusal("rotate", "nosuch", "--generate")


def test_a_pending_version_waits_until_it_is_activated(office: Any) -> None:
    """--pending keeps the next version beside the active one; --activate swaps them."""
    bring_tmk(office, "t1", "80000101")
    next_one = ("rotate", "t1", "--pending", "--cryptogram", wrap_test_key("000", OTHER))
    office.ask(*next_one)
    assert [k["state"] for k in office.ask("list")] == ["active", "pending"]
    assert "pending already" in office.refusal("rotate", "t1", "--pending", "--generate")
    assert office.ask("rotate", "t1", "--activate")["version"] == 2
    assert [k["state"] for k in office.ask("list")] == ["retired", "active"]
    assert "is pending" in office.refusal("rotate", "t1", "--activate")


def test_a_key_is_destroyed_with_a_record(office: Any) -> None:
    """Only what is out of use, only when its name is typed; the cryptogram is gone, the tombstone
    and the history stay, and the name is not given again."""
    kept = bring_tmk(office, "t1", "80000101")
    assert "retire it first" in office.refusal("destroy", "t1", "--version", "1", "--yes")
    office.ask("retire", "t1")
    assert "no active key" in office.refusal("retire", "t1")
    asked = office.refusal("destroy", "t1", "--version", "1", code=2, stdin="yes\n")
    assert "nothing was done" in asked
    done = office.run("destroy", "t1", "--version", "1", stdin="t1\n")
    assert done.returncode == 0
    assert "backups" in done.stdout
    assert office.ask("list") == []
    (tombstone,) = office.ask("list", "--all")
    assert (tombstone["state"], tombstone["held"]) == ("destroyed", "")
    assert tombstone["check_value"] == kept["check_value"]
    what = [event["what"] for event in office.ask("show", "t1")["history"]]
    assert what == ["add", "retire", "destroy"]
    assert "could be destroyed" in office.refusal("destroy", "t1", "--version", "1", "--yes")


def test_a_key_goes_out_only_under_a_zmk(office: Any) -> None:
    """export: under the ZMK as X or U; the ZMK must be as strong as the key (27); told in its
    history."""
    bring_zmk(office)
    bring_tmk(office, "t1", "80000101")
    out = office.ask("export", "t1", "--under", "key:icbc-zmk")
    assert out["cryptogram"] == under_zmk(TMK)
    assert out["check_value"] == check(TMK)[:6]
    assert (
        office.ask("export", "t1", "--under", "icbc-zmk", "--scheme", "U")["cryptogram"][0] == "U"
    )
    whats = [event["what"] for event in office.ask("show", "t1")["history"]]
    assert whats == ["add", "export", "export"]
    office.ask("generate", "long", "--usage", "ZPK", "--scheme", "T")
    assert "27" in office.refusal("export", "long", "--under", "key:icbc-zmk")


def test_check_finds_a_row_that_is_not_its_key(office: Any) -> None:
    """A cryptogram that was changed in the database behind our back is named; exit code 1."""
    bring_tmk(office, "t1", "80000101")
    office.rows("ALTER TABLE stored_key DISABLE TRIGGER ALL")
    office.rows("UPDATE stored_key SET held = %s", wrap_test_key("000", OTHER))
    done = office.run("check", "--json")
    assert done.returncode == 1
    rows = json.loads(done.stdout)["keys"]
    assert [row["right"] for row in rows if row["key"] == "t1 1"] == [False]
    office.rows("UPDATE stored_key SET held = 'U0123456789ABCDEF0123456789ABCDEF'")
    assert "t1" in office.run("check").stdout


def test_check_finds_names_without_a_key_and_a_key_of_two_terminals(office: Any) -> None:
    """A configured name that the store does not hold, and one pad key in two terminals' records."""
    registry = office.folder / "pki" / "terminals"
    registry.mkdir()
    for terminal in ("K1", "K2"):
        record = {"terminal": terminal, "hospital": "h", "tpk": wrap_test_key("002", OTHER)}
        (registry / f"{terminal}.json").write_text(json.dumps(record), "utf-8")
    done = office.run("check", "--json")
    assert done.returncode == 1
    wrong = {row["key"]: row for row in json.loads(done.stdout)["keys"] if not row["right"]}
    assert "no active key" in wrong.pop("hsm hsm: dek")["found"]
    assert "no active key" in wrong.pop("channels bank-a: terminals[0].tmk")["found"]
    ((shared, row),) = wrong.items()
    assert ("K1.json" in shared, "K2.json" in shared) == (True, True)
    assert (row["kept"], row["found"]) == ("一机一密", check(OTHER))


def test_what_an_officer_gets_wrong_is_one_sentence(office: Any) -> None:
    """Names, times, check values, unknown keys, an HSM that is away: a sentence, never a trace."""
    assert "small letters" in office.refusal("generate", "Vault", "--usage", "DEK")
    bad_time = ("generate", "vault", "--usage", "DEK", "--not-after", "soon")
    assert "2026-01-31" in office.refusal(*bad_time)
    cryptogram = ("--cryptogram", wrap_test_key("001", TMK), "--check-value", "xyz")
    assert "6 to 16 hex" in office.refusal("import", "a", "--usage", "ZPK", *cryptogram)
    assert "no such key" in office.refusal("show", "nosuch")
    office.refusal("import", "a", "--usage", "ZPK", "--cryptogram-file", "/nosuch", code=2)
    office.port = 1
    office.configure()
    assert "the HSM refused" in office.refusal("generate", "vault", "--usage", "DEK")
    office.dsn = office.dsn.replace("dbname=keys_", "dbname=nosuch_")
    office.configure()
    assert "cannot be reached" in office.refusal("list")
    office.config.write_text("node: 1\n", "utf-8")
    office.refusal("list", code=2)


def test_it_speaks_chinese(office: Any) -> None:
    """Without --lang the officer's texts are Chinese."""
    done = office.run("list", env={"YYT_LANG": "zh"})
    assert done.stdout == "没有密钥\n"
    assert "密钥库中没有此密钥" in office.run("show", "x", env={"YYT_LANG": "zh"}).stderr
