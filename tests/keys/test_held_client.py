"""The client and held texts: names resolved, ``%NN`` sent as the LMK, mixed LMKs never sent."""

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from hsm import codec, layouts
from hsm.client.service import HostCommandService
from hsm.codec import Command
from hsm.testing import wrap_test_key
from switch.model.secret import Secret
from switch.ports import KeyServiceError

CLEAR = "0123456789ABCDEFFEDCBA9876543210"
TPK, ZPK, DEK = (wrap_test_key(kind, CLEAR) for kind in ("002", "001", "00B"))
MAK = wrap_test_key("003", CLEAR)
BLOCK, ACCOUNT = Secret("0123456789ABCDEF"), Secret("123456789012")
TEXT = b"4D08F434464FE7BF"


class Ring:
    """A ring the test fills; ``expired`` keys begin nothing."""

    def __init__(self, **names: str) -> None:
        self.names = {f"key:{name}": text for name, text in names.items()}
        self.expired: set[str] = set()

    def resolve(self, text: str) -> str:
        """As a node's ring."""
        if text.startswith("key:") and text not in self.names:
            raise KeyServiceError("key", "name", text)
        return self.names.get(text, text)

    def require_valid(self, text: str) -> None:
        """As a node's ring."""
        if text in self.expired:
            raise KeyServiceError("key", "expired", text)


class World:
    """A client that keeps what it would send, and answers 68."""

    def __init__(self, ring: Ring, lmk_id: str = "", dek: str = DEK) -> None:
        self.sent: list[bytes] = []
        self.service = HostCommandService(self.exchange, dek, lmk_id, bytes, ring)

    async def exchange(self, command: Command, body: bytes) -> bytes:
        """The end of the line."""
        self.sent.append(body)
        return codec.build_error(command, "68")

    def tail_of(self, what: Awaitable[Any], command: Command) -> str:
        """The LMK that the one command sent by ``what`` names."""
        assert refused(what).startswith("68")
        return codec.parse_request(command, self.sent.pop()[2:])[1].lmk_id


def refused(what: Awaitable[Any]) -> str:
    """Code and text of the refusal that a coroutine ends with."""
    ends: list[Any] = []
    Deferred.fromCoroutine(what).addErrback(ends.append)  # type: ignore[arg-type]
    error = ends[0].value
    assert isinstance(error, KeyServiceError)
    return f"{error.code} {error.text}"


@pytest.mark.parametrize(("configured", "sent"), [("", ""), ("00", "00"), ("03", "03")])
def test_a_text_that_names_no_lmk_is_sent_as_configured(configured: str, sent: str) -> None:
    """No suffix: the configured LMK, or none at all."""
    world = World(Ring(), configured)
    assert world.tail_of(world.service.make_mac(MAK, TEXT), layouts.M6) == sent


def test_the_lmk_behind_a_text_goes_with_its_command() -> None:
    """``%10``, by name or written out, and a key block's own id become the command's ``%NN``."""
    world = World(Ring(mak=f"{MAK}%10"))
    service = world.service
    assert world.tail_of(service.make_mac("key:mak", TEXT), layouts.M6) == "10"
    assert world.tail_of(service.make_mac(f"{MAK}%07", TEXT), layouts.M6) == "07"
    pins = service.translate_pin(f"{TPK}%10", f"{ZPK}%10", BLOCK, ACCOUNT)
    assert world.tail_of(pins, layouts.CA) == "10"
    block = "S00072M3TC00N0002" + "0" * 56
    assert world.tail_of(service.make_mac(block, TEXT), layouts.M6) == "02"


def test_keys_under_different_lmks_are_never_sent_together() -> None:
    """13 before anything is sent, so the payment ends NotSent; ``%00`` and no suffix agree."""
    world = World(Ring(tpk=f"{TPK}%10"))
    mixed = world.service.translate_pin("key:tpk", ZPK, BLOCK, ACCOUNT)
    assert refused(mixed) == "13 its keys are under different LMKs"
    assert world.sent == []
    same = world.service.translate_pin(f"{TPK}%00", ZPK, BLOCK, ACCOUNT)
    assert world.tail_of(same, layouts.CA) == "00"


def test_all_keys_of_a_command_are_of_one_moment() -> None:
    """The ring changes while a command waits for its answer: what was sent is of before, the next
    command of after."""
    ring = Ring(tpk=TPK, zpk=ZPK)
    world = World(ring)
    held: list[Deferred[bytes]] = []

    async def slow(_command: Command, body: bytes) -> bytes:
        world.sent.append(body)
        held.append(Deferred())
        return await held[-1]

    world.service._exchange = slow
    for _ in range(2):
        asked = world.service.translate_pin("key:tpk", "key:zpk", BLOCK, ACCOUNT)
        Deferred.fromCoroutine(asked).addErrback(lambda _: None)
        ring.names = {"key:tpk": f"{TPK}%10", "key:zpk": f"{ZPK}%10"}
    tails = [codec.parse_request(layouts.CA, body[2:])[1].lmk_id for body in world.sent]
    assert tails == ["", "10"]
    for waiting in held:
        waiting.callback(b"CB68")


def test_an_unknown_name_and_a_bad_text_are_refused_here() -> None:
    """Nothing is sent for them."""
    world = World(Ring())
    assert refused(world.service.make_mac("key:nosuch", TEXT)) == "name key:nosuch"
    for bad in ("hello", f"{MAK}%1", f"{MAK}%%", "S1"):
        assert refused(world.service.make_mac(bad, TEXT)).startswith("26")
    assert world.sent == []


def test_expired_keys_begin_nothing_but_finish_everything() -> None:
    """Rule 16: no PIN translated, no sign-on, no card number taken in; MACs of reversals and the
    reading of stored card numbers go on."""
    ring = Ring(key=f"{MAK}", dek=DEK)
    ring.expired = {"key:key", "key:dek"}
    world = World(ring, dek="key:dek")
    service = world.service
    for beginning in (
        service.translate_pin("key:key", ZPK, BLOCK, ACCOUNT),
        service.import_key("001", "key:key", "X" + CLEAR),
        service.protect(Secret("6225880987654321")),
    ):
        assert refused(beginning).startswith("expired")
    assert world.sent == []
    assert world.tail_of(service.make_mac("key:key", TEXT), layouts.M6) == ""
    assert refused(service.reveal("v1:" + "0" * 32)).startswith("68")
