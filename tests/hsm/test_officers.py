"""Officers and custodians: their file, their passphrases, and who guesses."""

from pathlib import Path

import pytest

from hsm.authority import Authority
from hsm.officers import Attempts, People, PeopleError, enrolled, proves
from hsm.sealing.entries import Cost
from hsm.sealing.errors import SealingError
from hsm.sealing.passphrase import Officer

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)


def officer(name: str, passphrase: str = "") -> Officer:
    """With a passphrase of his own."""
    return Officer(name, passphrase or f"the passphrase of {name}")


def founded(folder: Path) -> People:
    """Li and Wang."""
    path = folder / "officers.json"
    People.found(path, officer("Li"), officer("Wang"), CHEAP)
    return People.load(path)


def test_the_file_keeps_verifiers_and_no_passphrase(tmp_path: Path) -> None:
    """Mode 0600; a name is known however it is written; the passphrase opens, another does not."""
    people = founded(tmp_path)
    text = (tmp_path / "officers.json").read_text()
    assert (tmp_path / "officers.json").stat().st_mode & 0o777 == 0o600
    assert "passphrase" not in text

    assert proves(officer("Li"), people.get("li"))
    assert not proves(officer("Li", "another passphrase"), people.get("Li"))
    assert not proves(officer("nobody"), people.get("nobody"))


def test_one_person_is_not_two_officers(tmp_path: Path) -> None:
    """Letter case does not make a second person."""
    with pytest.raises(PeopleError, match="same_person"):
        People.found(tmp_path / "x", officer("Li"), officer("LI"), CHEAP)


def test_people_come_and_go_but_two_officers_remain(tmp_path: Path) -> None:
    """A taken name, an unknown one, and the last two officers are refused."""
    people = founded(tmp_path)
    people.add(enrolled(officer("Zhang"), "custodian", CHEAP))
    with pytest.raises(PeopleError, match="name_taken"):
        people.add(enrolled(officer("ZHANG"), "officer", CHEAP))
    with pytest.raises(PeopleError, match="last_officers"):
        people.remove("Li")
    with pytest.raises(PeopleError, match="nobody"):
        people.remove("Zhao")
    people.remove("Zhang")

    assert [person.name for person in People.load(tmp_path / "officers.json")] == ["Li", "Wang"]


@pytest.mark.parametrize("spoiled", ["{}", "[]", '{"version":1,"people":[]}', "\xff"])
def test_a_spoiled_file_is_refused(tmp_path: Path, spoiled: str) -> None:
    """Neither text nor people: an error that names the file."""
    path = tmp_path / "officers.json"
    path.touch(mode=0o600)
    path.write_bytes(spoiled.encode("latin-1"))
    with pytest.raises(PeopleError, match=r"people_file officers\.json"):
        People.load(path)


def test_a_file_open_to_others_is_refused(tmp_path: Path) -> None:
    """Whoever can write it names himself."""
    founded(tmp_path)
    (tmp_path / "officers.json").chmod(0o644)
    with pytest.raises(SealingError, match="mode"):
        People.load(tmp_path / "officers.json")


def test_I11_guessing_is_slowed_for_one_name_alone() -> None:
    """The third wrong one waits a second, then twice as long each time, at most 15 minutes."""
    attempts = Attempts()
    waits = []
    for _ in range(25):
        attempts.note("Li", False, 0)
        waits.append(attempts.wait_ms("Li", 0))

    assert waits[:6] == [0, 0, 1000, 2000, 4000, 8000]
    assert waits[-1] == 15 * 60_000
    assert attempts.wait_ms("Wang", 0) == 0
    assert attempts.wait_ms("Li", 15 * 60_000) == 0
    attempts.note("Li", True, 15 * 60_000)
    attempts.note("Li", False, 15 * 60_000)
    assert attempts.wait_ms("Li", 15 * 60_000) == 0


def test_I14_authority_ends_by_itself_and_by_hand() -> None:
    """Only what was granted, only so long; each end is told once."""
    now_ms = 0
    authority = Authority(lambda: now_ms)
    authority.grant(["A4", "A8"], ("Li", "Wang"), "a new bank", 15)
    authority.grant(["A8"], ("Li", "Wang"), "longer", 20)
    assert authority.authorised("A4")
    assert not authority.authorised("A2")
    assert authority.remaining_s() == {"A4": 900, "A8": 1200}

    now_ms = 15 * 60_000
    assert not authority.authorised("A4")
    assert [grant.purpose for grant in authority.expired()] == ["a new bank"]
    assert authority.expired() == ()
    assert [grant.purpose for grant in authority.cancel()] == ["longer"]
    assert not authority.authorised("A8")
