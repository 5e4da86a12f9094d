"""The client after a change of LMK: the configured one is destroyed, and nobody restarts a node."""

from collections.abc import Callable
from typing import Any

import pytest

from hsm import primitives
from hsm.lmk import VariantLmk
from hsm.lmk_material import LmkMaterial, published_test_material
from switch.ports import KeyServiceError
from tests.hsm.client_world import CONFIG, KEY, MAK, ONE, TWO, World, begin, result

Entropy = Callable[[int], bytes]
OTHER = b"0123456789ABCDEF"


class Ring:
    """The key store's ring: after the change every text has its successor under LMK 10."""

    def __init__(self) -> None:
        self.successors: dict[str, str] = {}

    def resolve(self, text: str) -> str:
        """As a node's."""
        return self.successors.get(text, text)

    def require_valid(self, text: str) -> None:
        """Nothing expires here."""


def second_lmk() -> VariantLmk:
    """LMK 10."""
    old = published_test_material()
    return VariantLmk(LmkMaterial("10", "variant", True, old.secret[48:] + old.secret[:48]))


def started(entropy: Entropy, **changed: Any) -> tuple[World, Ring]:
    """A client in rotation; its services have LMKs 00 and 10."""
    world, ring = World(entropy, **changed), Ring()
    world.client._ring = ring
    world.processor.service.slots.load(second_lmk())
    return world.start(), ring


def move(world: World, ring: Ring, *, destroyed: bool = True) -> None:
    """All keys to LMK 10 at once, as a node takes them up; then LMK 00 is destroyed."""
    for key_type, old, clear in (("00B", CONFIG.dek, KEY), ("003", MAK, "C24A8FB57AA20123")):
        wrapped = second_lmk().wrap(
            key_type, "U" if len(clear) == 32 else "Z", primitives.odd_parity(bytes.fromhex(clear))
        )
        ring.successors[old] = f"{wrapped}%10"
    if destroyed:
        world.processor.service.slots.remove("00")


@pytest.mark.parametrize("lmk_id", ["00", ""])
def test_a_client_greets_under_the_lmk_that_keys_are_under(entropy: Entropy, lmk_id: str) -> None:
    """Commands go on, and connections that are lost come back, with the configuration of before."""
    world, ring = started(entropy, lmk_id=lmk_id)
    mac = result(world.mac())
    move(world, ring)
    assert result(world.mac()) == mac
    for device in tuple(world.devices):
        device.loseConnection()
    assert world.health() == {ONE: "connection lost"}
    world.clock.advance(1)
    assert world.health() == {ONE: "up"}
    assert result(world.mac()) == mac


def test_what_still_needs_the_old_lmk_puts_no_service_out_for_good(entropy: Entropy) -> None:
    """A text that was never moved is refused as locked; the service is examined and stays."""
    world, ring = started(entropy)
    move(world, ring)
    forgotten = begin(world.client.check_value("003", "U" + "0" * 32))
    refused = result(forgotten)
    assert isinstance(refused, KeyServiceError)
    assert refused.code == "locked"
    assert world.health() == {ONE: "up"}


def test_before_the_keys_move_a_service_without_the_lmk_is_locked(entropy: Entropy) -> None:
    """The configured LMK is needed as long as the vault's key is under it."""
    world, ring = started(entropy)
    world.processor.service.slots.remove("00")
    for device in tuple(world.devices):
        device.loseConnection()
    world.clock.advance(1)
    assert world.health() == {ONE: "locked"}
    move(world, ring)
    world.clock.advance(1)
    assert world.health() == {ONE: "up"}


def test_a_locked_service_is_locked_under_every_lmk(entropy: Entropy) -> None:
    """Nothing is greeted into rotation that has no LMK at all."""
    world, ring = started(entropy)
    move(world, ring)
    world.processor.service.slots.clear()
    for device in tuple(world.devices):
        device.loseConnection()
    world.clock.advance(1)
    assert world.health() == {ONE: "locked"}


def test_the_new_lmk_is_the_same_at_every_service(entropy: Entropy) -> None:
    """Its check value is that of the first service greeted under it; the stated one belongs to the
    configured LMK alone. A service with another LMK 10 stays out."""
    own = published_test_material().check_value
    world, ring = started(entropy, addresses=(ONE, TWO), connections=1, lmk_check_value=own)
    assert world.health() == {ONE: "up", TWO: "up"}
    move(world, ring)
    world.check_values[TWO] = OTHER
    for device in tuple(world.devices):
        device.loseConnection()
    world.clock.advance(1)
    states = world.health()
    assert states[ONE] == "up"
    assert states[TWO].startswith("another LMK: 0123456789ABCDEF, not ")
