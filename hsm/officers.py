"""Who may unlock, authorise and bring components: a file of names and argon2id verifiers.

An *officer* (安全官) opens the sealed LMKs, authorises commands and names people, always together
with a second one. A *custodian* (密钥保管人) only brings components. An officer may bring one too;
nobody brings two of one key.
"""

import os
from collections.abc import Iterator
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from hsm.audit import is_name
from hsm.primitives.kdf import argon2id_into
from hsm.sealing.entries import Cost
from hsm.sealing.files import read_guarded, replace, write_new
from hsm.sealing.names import Name, folded, plain_name
from hsm.sealing.passphrase import Officer
from hsm.sealing.secret_buffer import SecretBuffer

Role = Literal["officer", "custodian"]

PEOPLE_MAX: Final = 32
OFFICERS_MIN: Final = 2
_FILE_BYTES_MAX: Final = 32 * 1024
_VERIFIER_BYTES: Final = 32
_SALT_BYTES: Final = 16

FREE_TRIES: Final = 3
"""Wrong passphrases in a row before a name has to wait."""

WAIT_MS_MAX: Final = 15 * 60_000


class PeopleError(Exception):
    """A rule about people is broken. ``code``: a name of hsm.ceremony.texts."""

    def __init__(self, code: str, who: str = "") -> None:
        super().__init__(f"{code} {who}".strip())
        self.code = code
        self.who = who


class Person(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the file; a verifier opens nothing."""

    name: Name
    role: Role
    cost: Cost
    salt: Annotated[str, Meta(pattern=r"^[0-9A-F]{32}\Z")]
    verifier: Annotated[str, Meta(pattern=r"^[0-9A-F]{64}\Z")]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    people: Annotated[tuple[Person, ...], Meta(max_length=PEOPLE_MAX)]


class People:
    """The file in memory. Passphrases come as :class:`Officer`, which keeps their rules."""

    def __init__(self, path: Path, people: tuple[Person, ...]) -> None:
        self._path = path
        self._people = {folded(person.name): person for person in people}

    @classmethod
    def load(cls, path: Path) -> "People":
        """Read the file (0600, ours). SealingError, or PeopleError: it is not such a file."""
        with read_guarded(path, _FILE_BYTES_MAX) as buffer:
            raw = bytes(buffer.view)
        try:
            found = msgspec.json.decode(raw, type=_File).people
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PeopleError("people_file", path.name) from None
        people = cls(path, found)
        if len(people._people) < len(found) or people.officers() < OFFICERS_MIN:
            raise PeopleError("people_file", path.name)
        return people

    @classmethod
    def found(cls, path: Path, first: Officer, second: Officer, cost: Cost | None = None) -> None:
        """Begin a file with the first two officers. PeopleError: one person twice, or no name."""
        if folded(first.name) == folded(second.name):
            raise PeopleError("same_person", first.name)
        made = tuple(enrolled(officer, "officer", cost) for officer in (first, second))
        write_new(path, _written(made))

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def get(self, name: str) -> Person | None:
        """The person of this name, as a person is known by it."""
        return self._people.get(folded(name))

    def officers(self) -> int:
        """How many officers there are."""
        return sum(person.role == "officer" for person in self._people.values())

    def add(self, person: Person) -> None:
        """Add one and write the file. PeopleError: the name is taken, or the file is full."""
        if folded(person.name) in self._people:
            raise PeopleError("name_taken", person.name)
        self.demand_room()
        self._keep({**self._people, folded(person.name): person})

    def demand_room(self) -> None:
        """PeopleError: nobody else fits into the file."""
        if len(self._people) >= PEOPLE_MAX:
            raise PeopleError("people_full")

    def remove(self, name: str) -> Person:
        """Take one out and write the file. PeopleError: unknown, or one of the last two officers.

        Whoever knew a passphrase and has an old copy of a sealed LMK still opens that copy.
        """
        person = self.get(name)
        if person is None:
            raise PeopleError("nobody", name)
        if person.role == "officer" and self.officers() <= OFFICERS_MIN:
            raise PeopleError("last_officers", name)
        left = {key: other for key, other in self._people.items() if other is not person}
        self._keep(left)
        return person

    def _keep(self, people: dict[str, Person]) -> None:
        replace(self._path, _written(tuple(people.values())))
        self._people = people


def enrolled(officer: Officer, role: Role, cost: Cost | None = None) -> Person:
    """The entry of a person with this passphrase. Takes a second of work."""
    plain_name(officer.name, "officer")
    if not is_name(officer.name):
        raise PeopleError("bad_name", officer.name)
    cost, salt = cost or Cost(), os.urandom(_SALT_BYTES)
    verifier = _stretched(officer, salt, cost)
    return Person(officer.name, role, cost, salt.hex().upper(), verifier.hex().upper())


def proves(officer: Officer, person: Person | None) -> bool:
    """Whether this is the person's passphrase. Takes a second, for a name that is unknown too."""
    cost = person.cost if person else Cost()
    salt = bytes.fromhex(person.salt) if person else bytes(_SALT_BYTES)
    stretched = _stretched(officer, salt, cost)
    return person is not None and compare_digest(stretched, bytes.fromhex(person.verifier))


class Attempts:
    """Slows the guessing of passphrases: from the third wrong one on, a name waits 1 s, 2 s, 4 s …
    up to a quarter of an hour. All unknown names share one count."""

    def __init__(self) -> None:
        self._wrong: dict[str, int] = {}
        self._until_ms: dict[str, int] = {}

    def wait_ms(self, key: str, now_ms: int) -> int:
        """How long this name has to wait before it may try again."""
        return max(0, self._until_ms.get(key, now_ms) - now_ms)

    def note(self, key: str, passed: bool, now_ms: int) -> None:
        """One try: a right one forgives."""
        if passed:
            self._wrong.pop(key, None)
            self._until_ms.pop(key, None)
            return
        wrong = self._wrong[key] = self._wrong.get(key, 0) + 1
        if wrong >= FREE_TRIES:
            doubled_ms: int = 1000 * 2 ** min(wrong - FREE_TRIES, 20)
            self._until_ms[key] = now_ms + min(doubled_ms, WAIT_MS_MAX)


def _stretched(officer: Officer, salt: bytes, cost: Cost) -> bytes:
    with SecretBuffer(_VERIFIER_BYTES) as derived:
        argon2id_into(
            bytes(officer.passphrase.view), salt, derived.view,
            memory_kib=cost.memory_kib, passes=cost.passes, lanes=cost.lanes,
        )  # fmt: skip
        return bytes(derived.view)


def _written(people: tuple[Person, ...]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_File(1, people)), indent=1) + b"\n"
