"""What officers can have the daemon do: unlock, authorise, name people, destroy an LMK.

Every step that changes something is recorded before it is done; what cannot be recorded is not
done. Passphrases take a second of work each, on purpose, and that work runs beside the reactor.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from typing import Any, Final, TypeVar

from hsm.admin import protocol as ask
from hsm.admin.protocol import Login
from hsm.audit import AuditDown, AuditLog, RefusedDetailError, looks_secret
from hsm.authority import Authority
from hsm.ceremony.assembly import CeremonyError
from hsm.commands import FUNCTIONS, Service
from hsm.commands.bench import FIRMWARE
from hsm.daemon.judge import CountingJudge, monotonic_ms
from hsm.daemon.keeper import Keeper, KeeperError
from hsm.errors import CommandError
from hsm.officers import Attempts, People, PeopleError, enrolled, proves
from hsm.sealing.entries import Cost
from hsm.sealing.envelope import Sealed
from hsm.sealing.errors import SealingError
from hsm.sealing.names import folded
from hsm.sealing.passphrase import Officer, PassphraseSealer
from hsm.sealing.sealer import Sealer
from hsm.sealing.token import remove_token_lmk

T = TypeVar("T")
Aside = Callable[[Callable[[], T]], Awaitable[T]]
"""Runs slow work elsewhere."""

Details = Mapping[str, str | int]
"""What a record of the audit log says besides who and what."""

PURPOSE_CHARACTERS_MAX: Final = 100
_UNKNOWN: Final = "unknown"


class DeskError(Exception):
    """Refused. ``code``: a name of hsm.ceremony.texts; ``what`` goes into its sentence."""

    def __init__(self, code: str, what: str = "") -> None:
        super().__init__(f"{code} {what}".strip())
        self.code = code
        self.what = what


REFUSALS: Final = (DeskError, PeopleError, KeeperError, SealingError, CeremonyError, CommandError)


class Desk:
    """Shared by all officers' connections of one daemon."""

    def __init__(
        self,
        service: Service,
        keeper: Keeper,
        people: People,
        audit: AuditLog,
        aside: Callable[[Callable[[], Any]], Awaitable[Any]],
        *,
        name: str,
        unattended: Callable[[], Sequence[Sealer]],
        minutes_max: int,
        backups: tuple[str, ...],
        cost: Cost | None = None,
    ) -> None:
        """``unattended``: sealers that open without officers, each made when it is needed.
        ``cost``: of new passphrases; the usual one when None."""
        self.cost = cost
        self.service = service
        self.keeper = keeper
        self.people = people
        self.audit = audit
        self.aside = aside
        self.unattended = unattended
        self.authority = Authority(monotonic_ms)
        self._name = name
        self._minutes_max = minutes_max
        self._backups = backups
        self._attempts = Attempts()
        service.authorised = self.authority.authorised
        service.cancel_authority = self._cancelled

    def beat(self) -> None:
        """Once a second: what ran out is recorded."""
        for grant in self.authority.expired():
            self.try_record("authorisation.expired", grant.officers)

    async def status(self, _request: ask.Status) -> dict[str, Any]:
        """Everything that may be said."""
        slots = {}
        try:
            sealed = self.keeper.sealed()
        except SealingError as error:
            raise DeskError("sealing", str(error)) from None
        for lmk_id, file in sealed.items():
            loaded = lmk_id in self.keeper.slots
            slots[lmk_id] = {"loaded": loaded, **(_head(file) if file else {"status": "empty"})}
        for lmk_id in self.keeper.tokens:
            slots[lmk_id] = {"loaded": lmk_id in self.keeper.slots, **_loaded(self.keeper, lmk_id)}
        judge = self.service.judge
        held = judge.held() if isinstance(judge, CountingJudge) else 0
        return {
            "name": self._name,
            "mode": "test" if self.service.policy.test else "production",
            "locked": self.keeper.slots.locked,
            "slots": slots,
            "authorised": self.authority.remaining_s(),
            "audit": self.audit.down or "ok",
            "held_keys": held,
            "firmware": FIRMWARE,
            "version": version("yinyitong"),
        }

    async def unlock(self, request: ask.Unlock) -> dict[str, Any]:
        """Open every sealed LMK that these two officers can open."""
        with ExitStack() as wiping:
            first, second = await self.proven(wiping, request.first, request.second)
            sealer = wiping.enter_context(PassphraseSealer(first, second))
            opened, failed = await self.aside(lambda: self.keeper.open_with(sealer))
            added = await self._seal_unattended(tuple(opened), sealer, (first.name, second.name))
        loaded = {lmk_id: material.check_value for lmk_id, material in opened.items()}
        loaded |= self.keeper.open_tokens()
        failed |= {i: "token_lmk_absent" for i in self.keeper.tokens if i not in loaded}
        if not loaded:
            raise DeskError("nothing_opened", _listed(failed))
        details = {f"check_value_{i}": check_value for i, check_value in loaded.items()}
        try:
            self.record("lmk.unlocked", (first.name, second.name), details)
        except DeskError:
            self.keeper.close_tokens()
            raise
        for material in opened.values():
            self.keeper.load(material)
        return {"loaded": loaded, "failed": failed, "sealed_for": added}

    async def lock(self, request: ask.Lock) -> dict[str, Any]:
        """Forget every LMK. It is done even when it cannot be recorded."""
        with ExitStack() as wiping:
            (officer,) = await self.proven(wiping, request.officer)
        self.keeper.lock()
        self.authority.cancel()
        self.record("lmk.locked", (officer.name,))
        return {}

    async def authorise(self, request: ask.Authorise) -> dict[str, Any]:
        """Allow commands that need the authorised state."""
        needing = self.service.policy.needing_authority
        if not request.commands:
            raise DeskError("no_commands")
        for command in request.commands:
            if command not in FUNCTIONS or command not in needing:
                raise DeskError("needs_no_authority", command)
        if not 1 <= request.minutes <= self._minutes_max:
            raise DeskError("minutes", str(self._minutes_max))
        purpose = request.purpose.strip()
        if not 1 <= len(purpose) <= PURPOSE_CHARACTERS_MAX or looks_secret(purpose):
            raise DeskError("purpose")
        with ExitStack() as wiping:
            first, second = await self.proven(wiping, request.first, request.second)
        officers = (first.name, second.name)
        commands = ",".join(sorted(request.commands))
        details: Details = {"commands": commands, "minutes": request.minutes, "purpose": purpose}
        self.record("authorisation.granted", officers, details)
        self.authority.grant(request.commands, officers, purpose, request.minutes)
        return {"authorised": self.authority.remaining_s()}

    async def withdraw(self, request: ask.Withdraw) -> dict[str, Any]:
        """End every authorisation. It is done even when it cannot be recorded."""
        with ExitStack() as wiping:
            (officer,) = await self.proven(wiping, request.officer)
        ended = self.authority.cancel()
        self.record("authorisation.ended", (officer.name,))
        return {"ended": sorted({command for grant in ended for command in grant.commands})}

    async def list_people(self, _request: ask.ListPeople) -> dict[str, Any]:
        """Names and roles."""
        return {"people": [{"name": p.name, "role": p.role} for p in self.people]}

    async def add_person(self, request: ask.AddPerson) -> dict[str, Any]:
        """A new name. A new officer can open the sealed LMKs with either of the two present."""
        if self.people.get(request.person.name) is not None:
            raise PeopleError("name_taken", request.person.name)
        self.people.demand_room()
        with ExitStack() as wiping:
            first, second = await self.proven(wiping, request.first, request.second)
            new = wiping.enter_context(_wiped(_officer(request.person)))
            person = await self.aside(lambda: enrolled(new, request.role, self.cost))
            self.record(
                "person.added", (first.name, second.name),
                {"name": person.name, "role": person.role},
            )  # fmt: skip
            failed: Mapping[str, str] = {}
            if request.role == "officer":
                failed = await self.aside(lambda: self._seal_for(first, second, new))
            self.people.add(person)
        return {"name": person.name, "role": person.role, "not_sealed": failed}

    async def remove_person(self, request: ask.RemovePerson) -> dict[str, Any]:
        """Take a name out; the LMKs an officer could open are sealed anew for the two present."""
        with ExitStack() as wiping:
            first, second = await self.proven(wiping, request.first, request.second)
            if folded(request.name) in (folded(first.name), folded(second.name)):
                raise DeskError("not_oneself")
            person = self.people.get(request.name)
            if person is None:
                raise PeopleError("nobody", request.name)
            self.record(
                "person.removed", (first.name, second.name),
                {"name": person.name, "role": person.role},
            )  # fmt: skip
            failed: Mapping[str, str] = {}
            if person.role == "officer":
                # Before his name goes: after a crash between the two he can be removed once more.
                failed = await self.aside(lambda: self._reseal_for(first, second))
                self.authority.cancel()
            self.people.remove(request.name)
        resealed = person.role == "officer"
        return {"name": person.name, "not_sealed": failed, "resealed": resealed}

    async def destroy(self, request: ask.DestroyLmk) -> dict[str, Any]:
        """Zeroise an LMK, in its file or its token; the record of it stays (norms row 21)."""
        with ExitStack() as wiping:
            first, second = await self.proven(wiping, request.first, request.second)
        kept = self.keeper.kept(request.lmk_id, request.check_value)
        details = {"lmk": request.lmk_id, "scheme": kept.scheme, "check_value": kept.check_value}
        self.record("lmk.destroyed", (first.name, second.name), details)
        self.keeper.destroy(request.lmk_id, request.check_value)
        return {**details, "purge": [*self._backups, *kept.opened_by]}

    async def to_token(self, request: ask.LmkToToken) -> dict[str, Any]:
        """Put the LMK of a sealed file into the token that its slot is configured with."""
        with ExitStack() as wiping:
            first, second = await self.proven(wiping, request.first, request.second)
            sealer = wiping.enter_context(PassphraseSealer(first, second))
            material = await self.aside(lambda: self.keeper.unsealed(request.lmk_id, sealer))
        self.keeper.demand_room(request.lmk_id, material.scheme)
        place = await self.aside(lambda: self.keeper.keep(material, ()))
        check_value = material.check_value
        details = {"lmk": request.lmk_id, "scheme": material.scheme, "check_value": check_value}
        try:
            self.record("lmk.put_in_token", (first.name, second.name), details)
        except DeskError:
            remove_token_lmk(request.lmk_id, self.keeper.tokens[request.lmk_id])
            raise
        self.keeper.load(material)
        return {**details, "place": place}

    async def proven(
        self, wiping: ExitStack, *logins: Login, anyone: bool = False
    ) -> list[Officer]:
        """The people behind these logins, all different; officers unless ``anyone``. Their
        passphrases are wiped with ``wiping``. DeskError: one is wrong, or has to wait."""
        if len({folded(login.name) for login in logins}) < len(logins):
            raise DeskError("same_person")
        made = []
        for login in logins:
            wait_ms = self._attempts.wait_ms(self._key(login.name), monotonic_ms())
            if wait_ms:
                raise DeskError("wait", str(-(-wait_ms // 1000)))
        for login in logins:
            try:
                made.append(wiping.enter_context(_wiped(_officer(login))))
            except SealingError:
                # Too short for a passphrase is as wrong as any other, and says as little.
                self._failed(login.name)
        people = [self.people.get(login.name) for login in logins]
        pairs = list(zip(made, people, strict=True))
        right = await self.aside(lambda: [proves(officer, person) for officer, person in pairs])
        for login, person, passed in zip(logins, people, right, strict=True):
            if not passed:
                self._failed(login.name)
            self._attempts.note(self._key(login.name), True, monotonic_ms())
            if person is not None and person.role != "officer" and not anyone:
                raise DeskError("no_officer", login.name)
        return made

    def record(self, what: str, who: tuple[str, ...], details: Details | None = None) -> None:
        """DeskError: it is not recorded, so it must not be done."""
        try:
            self.audit.record(what, who=who, details=details)
        except AuditDown:
            raise DeskError("audit_down", self.audit.down) from None
        except RefusedDetailError as error:
            raise DeskError("looks_secret", str(error)) from None

    def try_record(self, what: str, who: tuple[str, ...], details: Details | None = None) -> None:
        """For what has happened already, and will not be undone."""
        try:
            self.record(what, who, details)
        except DeskError:
            return

    def _failed(self, name: str) -> None:
        key = self._key(name)
        self._attempts.note(key, False, monotonic_ms())
        self.try_record("login.failed", (key,))
        raise DeskError("wrong_login")

    def _key(self, name: str) -> str:
        person = self.people.get(name)
        return person.name if person else _UNKNOWN

    def _cancelled(self) -> None:
        self.authority.cancel()

    async def _seal_unattended(
        self, lmk_ids: Sequence[str], opener: Sealer, officers: tuple[str, ...]
    ) -> dict[str, str]:
        """Slot → the unattended sealer that opens it from now on: it was configured after the LMK
        was sealed."""
        added = {}
        sealed = self.keeper.sealed()
        for lmk_id in lmk_ids:
            file = sealed[lmk_id]
            for sealer in self.unattended():
                if file is None or any(map(sealer.fits, file.content.sealers)):
                    continue
                name = repr(sealer).strip("<>")
                self.record("lmk.sealed_for", officers, {"lmk": lmk_id, "sealer": name})
                await self.aside(partial(file.add_sealer, opener, sealer))
                added[lmk_id] = name
        return added

    def _seal_for(self, first: Officer, second: Officer, new: Officer) -> dict[str, str]:
        failed = {}
        for lmk_id, file in self.keeper.sealed().items():
            if file is None:
                continue
            try:
                opener = PassphraseSealer(first, second)
                changed = file.add_sealer(opener, PassphraseSealer(first, new, self.cost))
                changed.add_sealer(opener, PassphraseSealer(second, new, self.cost))
            except SealingError as error:
                failed[lmk_id] = error.code
        return failed

    def _reseal_for(self, first: Officer, second: Officer) -> dict[str, str]:
        failed = {}
        for lmk_id, file in self.keeper.sealed().items():
            if file is None:
                continue
            try:
                opener = PassphraseSealer(first, second, self.cost)
                file.reseal(opener, (opener, *self.unattended()))
            except SealingError as error:
                failed[lmk_id] = error.code
        return failed


class _wiped:  # noqa: N801 - a context manager, used like contextlib's
    def __init__(self, officer: Officer) -> None:
        self._officer = officer

    def __enter__(self) -> Officer:
        return self._officer

    def __exit__(self, *_: object) -> None:
        self._officer.passphrase.wipe()


def _officer(login: Login) -> Officer:
    return Officer(login.name, login.passphrase)


def _listed(failed: Mapping[str, str]) -> str:
    return ", ".join(f"{lmk_id} {why}" for lmk_id, why in failed.items())


def _loaded(keeper: Keeper, lmk_id: str) -> dict[str, Any]:
    if lmk_id not in keeper.slots:
        return {"status": "token"}
    lmk = keeper.slots.get(lmk_id)
    return {"scheme": lmk.scheme, "status": "live", "check_value": lmk.check_value}


def _head(file: Sealed) -> dict[str, Any]:
    return {
        "scheme": file.scheme,
        "status": "test" if file.test else "live",
        "check_value": file.check_value,
        "sealers": list(file.sealers),
    }
