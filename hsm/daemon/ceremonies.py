"""The ceremony of one officers' connection: an LMK or a key from its components."""

from contextlib import ExitStack
from typing import Any, Final

from msgspec.structs import replace

from hsm import keys
from hsm.admin import protocol as ask
from hsm.ceremony.assembly import Assembly, CeremonyError
from hsm.ceremony.plan import KeyPlan, LmkPlan
from hsm.commands.bench import Bench
from hsm.daemon.desk import Desk, DeskError, Details
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.lmk import NewKey
from hsm.primitives import odd_parity
from hsm.sealing.passphrase import Officer, PassphraseSealer
from hsm.sealing.secret_buffer import SecretBuffer
from hsm.tail import NO_TAIL, Tail, read_tail
from hsm.uses import BLOCK_OF_TYPE

_FORMING: Final = "A4"
"""What must be authorised for a key to be formed here, as on the host's line."""

_ALGORITHMS: Final = {8: "T1", 16: "T2", 24: "T3"}
"""Bytes of a DES key → its algorithm in the attributes of a key block."""


class Ceremony:
    """At most one at a time on a connection. Whatever ends it wipes what was entered."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wiping = ExitStack()
        self._assembly: Assembly | None = None
        self._plan: LmkPlan | KeyPlan | None = None
        self._request: ask.BeginLmk | ask.BeginKey | None = None
        self._officers: tuple[Officer, ...] = ()

    async def begin_lmk(self, request: ask.BeginLmk) -> dict[str, Any]:
        """Two officers open the ceremony of a slot; custodians follow."""
        desk = self._desk
        self._demand_none()
        desk.keeper.demand_room(request.lmk_id, request.scheme)
        plan = LmkPlan(request.lmk_id, request.scheme, desk.service.policy.test)
        assembly = Assembly(plan, request.components)
        with ExitStack() as wiping:
            officers = await desk.proven(wiping, request.first, request.second)
            details: Details = {
                "lmk": request.lmk_id,
                "scheme": request.scheme,
                "of": request.components,
            }
            desk.record("ceremony.begun", tuple(o.name for o in officers), details)
            self._wiping = wiping.pop_all()
        self._officers = tuple(officers)
        return self._begun(request, plan, assembly)

    async def begin_key(self, request: ask.BeginKey) -> dict[str, Any]:
        """A key of this type under the LMK; only while A4 is authorised."""
        self._demand_none()
        if not self._desk.authority.authorised(_FORMING):
            raise DeskError("not_authorised", _FORMING)
        if request.length not in _ALGORITHMS:
            raise CommandError("27", "length")
        if request.scheme != "S" and keys.SCHEME_BYTES.get(request.scheme) != request.length:
            raise CommandError("26", "scheme")
        request = self._as_kept(request)
        # A key that cannot be kept so is found out now, not when all have typed.
        self._kept(request, odd_parity(self._desk.service.entropy(request.length)))
        plan = KeyPlan(request.length)
        return self._begun(request, plan, Assembly(plan, request.components))

    async def component(self, request: ask.Component) -> dict[str, Any]:
        """One component of an authenticated person who brought none yet."""
        assembly = self._going_on()
        with ExitStack() as wiping:
            (custodian,) = await self._desk.proven(wiping, request.custodian, anyone=True)
            value = wiping.enter_context(_bytes(request.value))
            again = wiping.enter_context(_bytes(request.again)) if request.again else None
            try:
                found = assembly.enter(
                    custodian.name, value.view, request.check_value,
                    again.view if again else memoryview(b""),
                )  # fmt: skip
            except CeremonyError as error:
                self._ended(error)
                raise
        number = len(assembly.custodians)
        details: Details = {"number": number, "of": assembly.count, "check_value": found}
        try:
            self._desk.record("ceremony.component", (custodian.name,), details)
        except DeskError:
            self.abandon("audit")
            raise
        facts = {"number": number, "of": assembly.count, "check_value": found}
        if assembly.complete:
            facts["whole"] = assembly.check_value
        return facts

    async def confirm(self, request: ask.Confirm) -> dict[str, Any]:
        """All agree: the LMK is sealed and loaded, or the key is given under the LMK."""
        assembly = self._going_on()
        begun, plan = self._request, self._plan
        try:
            key = assembly.confirm(request.check_value)
        except CeremonyError as error:
            self._ended(error)
            raise
        try:
            if isinstance(plan, LmkPlan):
                return await self._keep_lmk(plan, key, assembly.custodians)
            assert isinstance(begun, ask.BeginKey)
            return self._give_key(begun, key, assembly.custodians)
        finally:
            self._forget()

    async def abandoned(self, _request: ask.Abandon) -> dict[str, Any]:
        """The officers end it."""
        self.abandon("abandoned")
        return {}

    def abandon(self, reason: str) -> None:
        """End what is under way, if anything is."""
        assembly = self._assembly
        if assembly is not None:
            self._forget()
            who = assembly.custodians or tuple(o.name for o in self._officers) or ("nobody",)
            self._desk.try_record("ceremony.aborted", who, {"reason": reason})

    async def _keep_lmk(
        self, plan: LmkPlan, key: bytes, custodians: tuple[str, ...]
    ) -> dict[str, Any]:
        desk, material = self._desk, plan.material(key)
        first, second = self._officers
        sealers = (PassphraseSealer(first, second, desk.cost), *desk.unattended())
        place = await desk.aside(lambda: desk.keeper.keep(material, sealers))
        details = {"lmk": plan.lmk_id, "scheme": plan.scheme, "check_value": material.check_value}
        try:
            desk.record("lmk.loaded", custodians, details)
        except DeskError:
            desk.keeper.destroy(plan.lmk_id, material.check_value)
            raise
        desk.keeper.load(material)
        return {**details, "place": place}

    def _give_key(
        self, begun: ask.BeginKey, key: bytes, custodians: tuple[str, ...]
    ) -> dict[str, Any]:
        desk = self._desk
        if not desk.authority.authorised(_FORMING):
            raise DeskError("not_authorised", _FORMING)
        kept = self._kept(begun, key)
        check_value = KeyPlan(begun.length).check_value(key)
        details = {"key_type": begun.key_type, "lmk": begun.lmk_id, "check_value": check_value}
        desk.record("key.formed", custodians, details)
        return {"key": str(kept), "check_value": check_value, "key_type": begun.key_type}

    def _as_kept(self, request: ask.BeginKey) -> ask.BeginKey:
        """Under an LMK that keeps blocks only, a key of a type becomes a block of that use."""
        lmk = self._desk.service.slots.get(request.lmk_id)
        if lmk.scheme == "variant" or request.scheme == "S":
            return request
        found = BLOCK_OF_TYPE.get(request.key_type)
        if found is None:
            raise CommandError("04", "key_type")
        attributes = f"{found[0]}{_ALGORITHMS[request.length]}{found[1]}00N00"
        return replace(request, key_type=keys.BLOCK_TYPE, scheme="S", attributes=attributes)

    def _kept(self, request: ask.BeginKey, key: bytes) -> Cryptogram:
        """The key under its LMK. CommandError: it cannot be kept so."""
        service, tail = self._desk.service, _tail(request)
        bench = Bench(service.slots.get(request.lmk_id), service, tail)
        return bench.keep(NewKey(request.key_type, request.scheme, tail.attributes), key)

    def _demand_none(self) -> None:
        if self._assembly is not None:
            raise DeskError("ceremony_under_way")

    def _going_on(self) -> Assembly:
        if self._assembly is None:
            raise DeskError("no_ceremony")
        return self._assembly

    def _begun(
        self, request: ask.BeginLmk | ask.BeginKey, plan: LmkPlan | KeyPlan, assembly: Assembly
    ) -> dict[str, Any]:
        self._request, self._plan, self._assembly = request, plan, assembly
        return {"length": plan.length, "of": assembly.count}

    def _ended(self, error: CeremonyError) -> None:
        if error.over:
            self.abandon(error.code)

    def _forget(self) -> None:
        if self._assembly is not None:
            self._assembly.abort()
        self._wiping.close()
        self._assembly = self._plan = self._request = None


def _bytes(text: str) -> SecretBuffer:
    try:
        return SecretBuffer.holding(bytearray.fromhex(text))
    except ValueError:
        raise CeremonyError("component_hex") from None


def _tail(request: ask.BeginKey) -> Tail:
    if not request.attributes:
        return NO_TAIL
    tail = read_tail(b"#" + request.attributes.encode("latin-1", "replace"), attributed=True)
    if tail is None:
        raise CommandError("15", "attributes")
    return tail
