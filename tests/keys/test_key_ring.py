"""The ring of a node: what it resolves, how it takes up changes, what it refuses."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hsm.keys import parse_cryptogram
from switch.keys.ring import POLL_MS, StoredKeyRing
from switch.model.held_key import Held, check_held, join_held, named_key, split_held
from switch.model.key_snapshot import Snapshot, Validity
from switch.ports import JournalDown, KeyServiceError
from switch.timeline import ReactorTimeline

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


class Source:
    """A store whose snapshots the test gives, or that is away."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.away = False
        self.asked: list[int] = []

    async def newer_than(self, version: int) -> Snapshot | None:
        """As the database does."""
        self.asked.append(version)
        if self.away:
            raise JournalDown("away")
        return self.snapshot if self.snapshot.version != version else None


class World:
    """A started ring on a Clock."""

    def __init__(self, **changes: Any) -> None:
        self.clock = Clock()
        timeline = ReactorTimeline(self.clock, self.clock.seconds, lambda: NOW_MS // 1000)
        self.ring = StoredKeyRing(timeline)
        self.source = Source(Snapshot(version=1, **changes))
        self.started: list[object] = []
        Deferred.fromCoroutine(self.ring.start(self.source)).addBoth(self.started.append)

    def pass_ms(self, ms: int) -> None:
        """Let time pass."""
        self.clock.advance(ms / 1000)


def code_of(call: Any, *arguments: Any) -> str:
    """The code and text that a call is refused with."""
    with pytest.raises(KeyServiceError) as refused:
        call(*arguments)
    return f"{refused.value.code}: {refused.value.text}"


def test_names_and_old_texts_are_resolved_and_the_rest_is_itself() -> None:
    """A name gives what is held under it, a text of before a rotation its successor."""
    ring = World(names={"vault": "U1%10"}, successors={"U0": "U1%10"}).ring
    assert ring.resolve("key:vault") == "U1%10"
    assert ring.resolve("U0") == "U1%10"
    assert ring.resolve("U7") == "U7"
    assert code_of(ring.resolve, "key:nosuch") == "name: the key store holds no active key 'nosuch'"


def test_a_change_is_taken_up_whole_within_a_second() -> None:
    """The next poll replaces the snapshot; the store hears which version the node has."""
    world = World(names={"a": "U1", "b": "U2"})
    world.source.snapshot = Snapshot(version=2, names={"a": "U3%10", "b": "U4%10"})
    assert world.ring.resolve("key:a") == "U1"
    world.pass_ms(POLL_MS)
    assert [world.ring.resolve(f"key:{name}") for name in "ab"] == ["U3%10", "U4%10"]
    world.pass_ms(POLL_MS)
    assert world.source.asked == [0, 1, 2]


def test_while_the_database_is_away_the_ring_stays_and_asks_again() -> None:
    """A failed poll changes nothing; the first load, which nothing may start without, fails."""
    world = World(names={"a": "U1"})
    world.source.away = True
    world.pass_ms(POLL_MS)
    assert world.ring.resolve("key:a") == "U1"
    world.source.away = False
    world.source.snapshot = Snapshot(version=2, names={"a": "U2"})
    world.pass_ms(POLL_MS)
    assert world.ring.resolve("key:a") == "U2"
    world.ring.stop()
    world.pass_ms(POLL_MS)
    assert len(world.source.asked) == 3
    assert not world.clock.getDelayedCalls()


def test_a_key_out_of_its_time_begins_nothing() -> None:
    """Before and after its validity a named key is refused by name; literals have no limits."""
    limits = {
        "old": Validity(0, NOW_MS + DAY_MS),
        "new": Validity(NOW_MS + DAY_MS, 0),
    }
    world = World(names={"old": "U1", "new": "U2"}, validity=limits)
    world.ring.require_valid("key:old")
    assert "'new' is not valid yet" in code_of(world.ring.require_valid, "key:new")
    world.ring.stop()
    world.pass_ms(DAY_MS)
    assert code_of(world.ring.require_valid, "key:old") == "expired: key 'old' has expired"
    world.ring.require_valid("key:new")
    world.ring.require_valid("U7")


HEX = "0123456789ABCDEF"
FORMS = {
    "a name": ("key:bank-a-01234567", True),
    "no name": ("key:", False),
    "a name of other letters": ("key:Bank_A", False),
    "U": (f"U{HEX * 2}", True),
    "U of another LMK": (f"U{HEX * 2}%10", True),
    "half an LMK": (f"U{HEX * 2}%1", False),
    "X too short": (f"X{HEX * 2}"[:-1], False),
    "T": (f"T{HEX * 3}", True),
    "Y of double length": (f"Y{HEX * 2}", False),
    "Z": (f"Z{HEX}", True),
    "plain": (HEX * 2, True),
    "small letters": (f"U{HEX * 2}".lower(), False),
    "a key block": ("S10032P0AE00N0002" + HEX, True),
    "a key block that is cut": ("S10032P0AE00N0002" + HEX[:-1], False),
    "anything else": ("zz", False),
    "nothing": ("", False),
    "a line too many": (f"U{HEX * 2}\n", False),
}


@pytest.mark.parametrize(("text", "right"), FORMS.values(), ids=FORMS)
def test_a_held_key_of_a_wrong_form_is_named_and_not_shown(text: str, right: bool) -> None:
    """Length and alphabet of what the HSM writes: nothing passes that it cannot read (I12)."""
    cryptogram, _, _ = text.partition("%")
    if right:
        check_held("tmk", text)
        assert text.startswith("key:") or str(parse_cryptogram(cryptogram)) == cryptogram
        return
    with pytest.raises(ValueError, match=r"^tmk: must be key:NAME") as refused:
        check_held("tmk", text)
    assert not text or text == "key:" or text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("U01%10", Held("U01", "10")),
        ("U01", Held("U01", "")),
        ("S10096P0AE00N0002ABCD", Held("S10096P0AE00N0002ABCD", "02")),
    ],
)
def test_a_held_text_names_its_lmk(text: str, parts: Held) -> None:
    """%NN behind a cryptogram, the header of a key block; joining gives the text again."""
    assert split_held(text) == parts
    assert join_held(*parts) == text
    assert named_key(text) == ""
