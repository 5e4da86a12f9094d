"""The same promises from both journals: the one on PostgreSQL and the simulator's in memory."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from switch.model.notice import NoticeEnd
from switch.model.payment import Leg, LegKind, LegState, Rest, Stage
from switch.ports import CommitResult, Reserve, WorkingKeys, Write
from switch.store.errors import WriteRejected

sys.path.insert(0, str(Path(__file__).parent))
import store_worlds as worlds

sys.path.pop(0)

payment, write, identity = worlds.payment, worlds.write, worlds.identity
RACERS = 64
TERMINAL = worlds.TERMINAL


@pytest.fixture(params=["postgres", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator:
    """A database without nodes."""
    if request.param == "memory":
        made = worlds.MemoryWorld()
    else:
        made = worlds.PostgresWorld(request.getfixturevalue("dsn"))
    yield made
    made.close()


def test_what_is_committed_is_what_is_loaded(world) -> None:
    """Every field survives, Chinese and quotes included; an unknown key is None."""
    node = world.node("a")

    assert world.run(node.commit(write("k"))) == CommitResult(committed=True)
    assert world.run(node.load("k")) == payment("k")
    assert world.run(node.load("none")) is None


def test_I8_64_racers_for_one_key_one_wins(world) -> None:
    """Same key at once: one is committed, the others get what the winner wrote."""
    node = world.node("a")

    results = world.run_all([node.commit(write("k", amount_fen=n + 1)) for n in range(RACERS)])

    (winner,) = [n for n, result in enumerate(results) if result.committed]
    others = [result for result in results if not result.committed]
    assert {result.reason for result in others} == {"exists"}
    assert {result.existing.amount_fen for result in others} == {winner + 1}


def test_I8_64_racers_on_two_nodes_for_one_key(world) -> None:
    """The race is decided by the database, not by the process."""
    nodes = [world.node("a"), world.node("b")]

    results = world.run_all([nodes[n % 2].commit(write("k")) for n in range(RACERS)])

    assert Counter(result.reason for result in results) == {"": 1, "exists": RACERS - 1}


def test_I8_two_nodes_meet_on_many_keys_in_opposite_order(world) -> None:
    """Batches that would wait for each other in a circle: each key is committed exactly once."""
    one, two = world.node("a"), world.node("b")
    keys = [f"k{n}" for n in range(RACERS)]
    works = [one.commit(write(key)) for key in keys]
    works += [two.commit(write(key)) for key in reversed(keys)]

    results = world.run_all(works)

    assert Counter(result.reason for result in results) == {"": RACERS, "exists": RACERS}


def test_I8_64_racers_for_one_bill_one_wins(world) -> None:
    """Other keys, same bill (a reinstalled kiosk): the losers learn the live payment."""
    nodes = [world.node("a"), world.node("b")]

    results = world.run_all([nodes[n % 2].commit(write(f"k{n}", bill="B")) for n in range(RACERS)])

    (winner,) = [n for n, result in enumerate(results) if result.committed]
    others = [result for result in results if not result.committed]
    assert {(one.reason, one.existing.key) for one in others} == {("bill", f"k{winner}")}


def test_I8_a_paid_bill_is_not_paid_twice(world) -> None:
    """DONE and EXCEPTION keep the bill; another hospital's bill of that number is free."""
    node = world.node("a")
    for key, rest in (("done", Rest.DONE), ("exception", Rest.EXCEPTION)):
        world.run(node.commit(write(key, bill=key)))
        world.run(node.commit(write(key, 2, bill=key, rest=rest)))

        again = world.run(node.commit(write(f"{key} again", bill=key)))
        elsewhere = world.run(node.commit(write(f"{key} H2", bill=key, hospital="H2")))

        assert (again.reason, elsewhere.committed) == ("bill", True)


def test_a_bill_given_up_is_free_and_stays_given_up(world) -> None:
    """UNDONE and DECLINED free the bill; a door out of UNDONE (rule 7) can still be written while
    another payment holds it."""
    node = world.node("a")
    for key, rest in (("u", Rest.UNDONE), ("d", Rest.DECLINED)):
        world.run(node.commit(write(key, bill=key)))
        world.run(node.commit(write(key, 2, bill=key, rest=rest)))
        assert world.run(node.commit(write(f"{key}2", bill=key))).committed

        back = world.run(node.commit(write(key, 3, bill=key, stage=Stage.BACKWARD)))
        done = world.run(node.commit(write(key, 4, bill=key, rest=Rest.EXCEPTION)))

        assert (back.committed, done.committed) == (True, True)


def test_a_refund_and_a_payment_without_bill_hold_no_bill(world) -> None:
    """What names its original refers to a paid bill; '' is no bill at all."""
    node = world.node("a")
    world.run(node.commit(write("sale", bill="B")))

    refund = world.run(node.commit(write("refund", bill="B", original="sale")))
    free = world.run_all([node.commit(write(f"free{n}", bill="")) for n in range(2)])

    assert [one.committed for one in (refund, *free)] == [True] * 3


def test_a_tombstone_has_no_amount(world) -> None:
    """Rule 12: an unknown key asked for is buried, and the late request behind it loses."""
    node = world.node("a")

    buried = world.run(node.commit(write("k", amount_fen=0, rest=Rest.DECLINED, bill="", legs=())))
    late = world.run(node.commit(write("k")))

    assert (buried.committed, late.reason, late.existing.rest) == (True, "exists", Rest.DECLINED)


def test_I8_64_racers_for_one_identity_one_wins(world) -> None:
    """One (bank, F42, F41, batch, STAN, date) belongs to one payment; the loser is unchanged and
    goes on with another number."""
    nodes = [world.node("a"), world.node("b")]
    world.run_all([nodes[n % 2].commit(write(f"k{n}")) for n in range(RACERS)])

    results = world.run_all(
        [nodes[n % 2].commit(write(f"k{n}", 2, (identity(7),))) for n in range(RACERS)]
    )

    (winner,) = [n for n, result in enumerate(results) if result.committed]
    loser = (winner + 1) % RACERS
    assert Counter(one.reason for one in results) == {"": 1, "identity": RACERS - 1}
    assert results[loser].existing == payment(f"k{loser}")
    again = nodes[loser % 2].commit(write(f"k{loser}", 2, (identity(8),)))
    assert world.run(again).committed


def test_I8_of_two_identities_both_or_none(world) -> None:
    """A tender with two debits takes both numbers or neither; a first write likewise."""
    node = world.node("a")
    assert world.run(node.commit(write("k1", 1, (identity(1),)))).committed
    world.run(node.commit(write("k2")))

    both = world.run(node.commit(write("k2", 2, (identity(2), identity(1)))))
    first = world.run(node.commit(write("k3", 1, (identity(3), identity(1)))))
    one = world.run(node.commit(write("k2", 2, (identity(2), identity(3)))))

    assert (both.reason, first.reason, one.committed) == ("identity", "identity", True)
    assert world.run(node.load("k3")) is None


def test_I8_a_first_write_that_loses_takes_no_identity(world) -> None:
    """Neither for a known key nor for a held bill."""
    node = world.node("a")
    world.run(node.commit(write("k", bill="B")))

    exists = world.run(node.commit(write("k", 1, (identity(1),))))
    held = world.run(node.commit(write("k2", 1, (identity(1),), bill="B")))
    free = world.run(node.commit(write("k", 2, (identity(1),), bill="B")))

    assert (exists.reason, held.reason, free.committed) == ("exists", "bill", True)


def test_a_decision_on_an_old_state_loses(world) -> None:
    """Compare-and-set: the same version twice, one in between left out, a key never born."""
    node = world.node("a")
    world.run(node.commit(write("k")))
    world.run(node.commit(write("k", 2, code="first")))

    twice = world.run(node.commit(write("k", 2, code="second")))
    skipped = world.run(node.commit(write("k", 4)))
    unborn = world.run(node.commit(write("x", 2)))

    assert (twice.reason, twice.existing.code) == ("fence", "first")
    assert (skipped.reason, unborn.reason, unborn.existing) == ("fence", "fence", None)


def test_I13_the_old_owners_writes_fail_after_a_take_over(world) -> None:
    """Lease over → another node claims, oldest first and at most its limit; then the sleeper's
    write loses and it learns what holds now."""
    sleeper, taker = world.node("a"), world.node("b")
    for n in (3, 1, 2):
        world.run(sleeper.commit(write(f"k{n}", born_at=n)))
    world.run(sleeper.commit(write("rests", born_at=0)))
    world.run(sleeper.commit(write("rests", 2, born_at=0, rest=Rest.DONE)))
    assert world.run(taker.unfinished(10)) == []

    world.expire("a")
    claimed = [*world.run(taker.unfinished(2)), *world.run(taker.unfinished(10))]

    assert [one.key for one in claimed] == ["k1", "k2", "k3"]
    assert world.run(taker.unfinished(10)) == []
    stale = world.run(sleeper.commit(write("k1", 2, born_at=1, code="stale")))
    assert (stale.reason, stale.existing) == ("fence", payment("k1", born_at=1))
    assert world.run(taker.commit(write("k1", 2, born_at=1))).committed


def test_I13_takers_share_without_overlap(world) -> None:
    """Two nodes claim at once: each payment goes to one of them."""
    sleeper, one, two = world.node("a"), world.node("b"), world.node("c")
    world.run_all([sleeper.commit(write(f"k{n}")) for n in range(40)])
    world.expire("a")

    shares = world.run_all([node.unfinished(4) for _ in range(10) for node in (one, two)])

    keys = [payment.key for share in shares for payment in share]
    assert sorted(keys) == sorted({f"k{n}" for n in range(40)})


def test_I13_one_payment_is_claimed_to_open_its_door(world) -> None:
    """At rest anyone may take it; on its way only when its driver is gone; ours stays ours."""
    one, two = world.node("a"), world.node("b")
    world.run(one.commit(write("moving")))
    world.run(one.commit(write("rests", 1, rest=Rest.UNDONE)))

    assert world.run(two.claim("moving")) is None
    assert world.run(two.claim("none")) is None
    assert world.run(one.claim("moving")) == payment("moving")
    assert world.run(two.claim("rests")) == payment("rests", rest=Rest.UNDONE)
    assert world.run(one.commit(write("rests", 2))).reason == "fence"
    assert world.run(two.commit(write("rests", 2, stage=Stage.BACKWARD))).committed
    world.expire("a")
    assert world.run(two.claim("moving")) == payment("moving")


@pytest.mark.parametrize("state", [LegState.UNDOING, LegState.UNDO_WAIT])
def test_I3_an_undo_under_way_beside_an_exception_is_taken_over(world, state: LegState) -> None:
    """A person has the one leg, the machine still owes the other its reversal."""
    gone, taker = world.node("a"), world.node("b")
    debit, book = payment("k").legs
    legs = (replace(debit, state=state), replace(book, state=LegState.STUCK))
    asleep = (replace(debit, state=LegState.UNPROVEN), replace(book, state=LegState.STUCK))
    world.run(gone.commit(write("k", rest=Rest.EXCEPTION, legs=legs)))
    world.run(gone.commit(write("rests", rest=Rest.EXCEPTION, legs=asleep)))

    assert world.run(taker.claim("k")) is None
    world.expire("a")

    assert [one.key for one in world.run(taker.unfinished(10))] == ["k"]
    assert world.run(taker.commit(write("k", 2, rest=Rest.EXCEPTION, legs=legs))).committed


def test_I5_a_late_answer_reaches_the_driver(world) -> None:
    """Recorded by whoever got it, shown to the driver (also to a taker) until it is handled."""
    driver, other = world.node("a"), world.node("b")
    world.run(driver.commit(write("k")))
    world.run(other.record_late("k", b'{"leg":0}'))
    world.run(other.record_late("k", b'{"leg":1}'))

    (first, second) = world.run(driver.late_open())
    assert [one[1:] for one in (first, second)] == [("k", b'{"leg":0}'), ("k", b'{"leg":1}')]
    assert world.run(other.late_open()) == []
    world.run(driver.late_handled(first[0]))
    world.expire("a")
    world.run(other.unfinished(1))
    assert world.run(other.late_open()) == [second]


def test_I5_a_late_answer_of_a_resting_payment_finds_someone(world) -> None:
    """Its node is gone and nobody drives it: every living node sees it."""
    gone, living = world.node("a"), world.node("b")
    world.run(gone.commit(write("k", 1, rest=Rest.UNDONE)))
    world.run(living.record_late("k", b"{}"))
    assert world.run(living.late_open()) == []

    world.expire("a")

    assert len(world.run(living.late_open())) == 1


def test_I13_the_lease_is_counted_down(world) -> None:
    """A fresh node has about its whole lease left."""
    left = world.node("a").lease_left_ms()

    assert worlds.HOUR_MS - 60_000 < left <= worlds.HOUR_MS


def test_payments_of_a_terminal_behind_a_door_are_found_by_their_keys(world) -> None:
    """By prefix, byte by byte, of that terminal alone, in order and bounded; a terminal without a
    slash in its name is behind no door."""
    node = world.node("a")
    for key, terminal in (
        *((f"pos/m/t1/00000{batch}/{stan:06d}", "pos/m/t1") for batch in (1, 2) for stan in (2, 1)),
        ("pos/m/t1/000001x", "pos/m/t1"),
        ("pos/m/t2/000001/000001", "pos/m/t2"),
        ("pos/m/t1/000001/000009", "kiosk"),
    ):
        assert world.run(node.commit(write(key, terminal=terminal, bill=""))).committed

    def keys(terminal: str, prefix: str, limit: int = 9) -> list[str]:
        return [one.key for one in world.run(node.of_terminal(terminal, prefix, limit))]

    first, second = "pos/m/t1/000001/000001", "pos/m/t1/000001/000002"
    assert keys("pos/m/t1", "pos/m/t1/000001/") == [first, second]
    assert keys("pos/m/t1", "pos/m/t1/000001/", 1) == [first]
    assert keys("pos/m/t1", second) == [second]
    assert keys("pos/m/t1", "pos/m/t2/") == []
    assert keys("kiosk", "pos/m/t1/") == []


def test_what_no_database_takes_is_refused_at_once(world) -> None:
    """NUL in a text, an event that is not JSON, a version below 1, a late answer not UTF-8."""
    node = world.node("a")
    bad = [
        node.commit(write("k", patient="a\0b")),
        node.commit(Write(payment=payment("k"), event=b"{")),
        node.commit(write("k", 0)),
        node.record_late("k", b"\xff"),
    ]

    for work in bad:
        with pytest.raises(WriteRejected):
            world.run(work)
    assert world.run(node.load("k")) is None


def test_I8_stan_blocks_never_overlap(world) -> None:
    """64 reservations on two nodes: 640 different numbers, from 1 on."""
    nodes = [world.node("a"), world.node("b")]

    blocks = world.run_all([nodes[n % 2].numbers.reserve(TERMINAL, 10) for n in range(RACERS)])

    numbers = [n for block in blocks for n in range(block.first, block.last + 1)]
    assert sorted(numbers) == list(range(1, RACERS * 10 + 1))
    assert {block.batch for block in blocks} == {"000001"}


def test_I5_I8_numbers_go_on_from_batch_to_batch(world) -> None:
    """The bank names a batch at sign-on: a late answer, known by terminal and STAN, must not meet a
    younger message of the same number. Naming an old batch again repeats no number either."""
    numbers = world.node("a").numbers
    world.run(numbers.reserve(TERMINAL, 5))

    world.run(numbers.adopt_batch(TERMINAL, "000002"))
    fresh = world.run(numbers.reserve(TERMINAL, 5))
    world.run(numbers.adopt_batch(TERMINAL, "000001"))
    old = world.run(numbers.reserve(TERMINAL, 5))

    assert (fresh.batch, fresh.first, fresh.last) == ("000002", 6, 10)
    assert (old.batch, old.first, old.last) == ("000001", 11, 15)


def test_I8_a_terminal_whose_first_batch_the_bank_names(world) -> None:
    """Sign-on comes before any number: that batch, from 1 on."""
    numbers = world.node("a").numbers
    world.run(numbers.adopt_batch(TERMINAL, "000041"))

    block = world.run(numbers.reserve(TERMINAL, 5))
    assert (block.batch, block.first, block.last) == ("000041", 1, 5)


def test_stan_wraps_after_999999(world) -> None:
    """A block never runs over the end; the next one starts again at 1. Silly counts are refused."""
    numbers = world.node("a").numbers
    world.run(numbers.reserve(TERMINAL, 999_990))

    last = world.run(numbers.reserve(TERMINAL, 100))
    again = world.run(numbers.reserve(TERMINAL, 100))

    assert (last.first, last.last, again.first, again.last) == (999_991, 999_999, 1, 100)
    for count in (0, 1_000_000):
        with pytest.raises(WriteRejected):
            world.run(numbers.reserve(TERMINAL, count))


def test_I13_one_of_two_key_installations_wins(world) -> None:
    """Working keys are installed by compare-and-set on the generation (rule 16)."""
    one, two = world.node("a").keys, world.node("b").keys
    mine, theirs = _keys(1, "A"), _keys(1, "B")
    assert world.run(one.load(TERMINAL)) is None

    results = world.run_all([one.install(TERMINAL, mine), two.install(TERMINAL, theirs)])

    held = world.run(one.load(TERMINAL))
    assert sorted(results) == [False, True]
    assert held == (mine if results[0] else theirs)
    assert world.run(two.install(TERMINAL, _keys(3, "C"))) is False
    assert world.run(two.install(TERMINAL, _keys(2, "C"))) is True
    assert world.run(one.load(TERMINAL)) == _keys(2, "C")


def _keys(generation: int, letter: str) -> WorkingKeys:
    return WorkingKeys(
        generation=generation,
        pik="U" + letter * 32,
        mak="U" + letter * 32,
        pik_kcv="123456",
        mak_kcv="654321",
        installed_at=99,
        pik_cryptogram="X" + letter * 32,
        pik_type="001" if letter == "A" else "002",
        pik_at=99,
        mak_at=100,
        pik_reset="20260704120000" + "000001",
        mak_reset="20260704120001" + "000002",
    )


@pytest.mark.parametrize("seed", range(3))
def test_both_journals_say_the_same(dsn: str, seed: int) -> None:
    """Differential: 400 random writes and claims by three nodes, result for result the same."""
    said = []
    for made in (worlds.PostgresWorld(dsn), worlds.MemoryWorld()):
        said.append(_story(made, Random(seed)))
        made.close()

    assert said[0] == said[1]


def _story(world, random: Random) -> list:
    nodes = {name: world.node(name) for name in "abc"}
    told = []
    for step in range(400):
        name = random.choice("abc")
        key, version = f"k{random.randrange(12)}", random.randrange(1, 6)
        rest = random.choice([None, None, *Rest])
        wanted = tuple(identity(random.randrange(40)) for _ in range(random.choice((0, 0, 1))))
        bill = f"B{int(key[1:]) % 5}"
        action = random.random()
        if action < 0.8:
            work = write(key, version, wanted, bill=bill, rest=rest, code=str(step))
            told.append(world.run(nodes[name].commit(work)))
        elif action < 0.9:
            told.append(world.run(nodes[name].claim(key)))
        elif action < 0.95:
            told.append(world.run(nodes[name].unfinished(3)))
        else:
            world.expire(name)
    return told


def test_a_leg_is_kept_whole(world) -> None:
    """A payment of many legs with long facts (beyond one page of the database) comes back."""
    node = world.node("a")
    legs = tuple(
        Leg(
            kind=LegKind.DEBIT,
            counterparty=f"bank {n}",
            amount_fen=1,
            policy=worlds.POLICY,
            facts={"F61": "9" * 900},
        )
        for n in range(20)
    )

    world.run(node.commit(write("k", legs=legs)))

    assert world.run(node.load("k")) == payment("k", legs=legs)


def test_the_open_batch_is_read_and_changes_nothing(world) -> None:
    """ "" before the first; then what was adopted last, on any node; no number is spent for it."""
    one, two = world.node("a"), world.node("b")
    assert world.run(one.numbers.open_batch(TERMINAL)) == ""

    first = world.run(one.numbers.reserve(TERMINAL, 1))
    assert world.run(two.numbers.open_batch(TERMINAL)) == first.batch == "000001"
    world.run(two.numbers.adopt_batch(TERMINAL, "000002"))
    assert world.run(one.numbers.open_batch(TERMINAL)) == "000002"
    assert world.run(one.numbers.reserve(TERMINAL, 1)).first == first.last + 1


# ---- what others reserve of an original ----------------------------------------------------------


def reserving(key: str, amount_fen: int, **changes: object) -> Write:
    """A birth that reserves of the original ``o``, of which there are 100 分."""
    reserve = Reserve(original="o", amount_fen=amount_fen, limit_fen=100)
    values = {"bill": "", "original": "o", "reserved_fen": amount_fen} | changes
    return replace(write(key, **values), reserve=reserve)


def test_I1_64_racers_reserve_no_more_than_there_is(world) -> None:
    """Ten of sixty-four get their ten 分 each; the others are told, and leave no trace."""
    nodes = [world.node("a"), world.node("b")]

    results = world.run_all([nodes[n % 2].commit(reserving(f"r{n}", 10)) for n in range(RACERS)])

    assert Counter(result.reason for result in results) == {"": 10, "reserve": RACERS - 10}
    losers = [f"r{n}" for n, result in enumerate(results) if not result.committed]
    assert world.run(nodes[0].load(losers[0])) is None


def test_I1_what_is_released_may_be_reserved_again(world) -> None:
    """Declined, it gives back what it had; a lost write gives nothing back."""
    node = world.node("a")
    world.run(node.commit(reserving("r1", 100)))
    back = Reserve(original="o", amount_fen=100, limit_fen=0)
    assert world.run(node.commit(reserving("r2", 1))).reason == "reserve"

    stale = replace(write("r1", 3, bill="", original="o", rest=Rest.DECLINED), release=back)
    assert world.run(node.commit(stale)).reason == "fence"
    assert world.run(node.commit(reserving("r3", 1))).reason == "reserve"
    end = replace(write("r1", 2, bill="", original="o", rest=Rest.DECLINED), release=back)
    assert world.run(node.commit(end)).committed
    assert world.run(node.commit(reserving("r4", 100))).committed


def test_I1_a_later_write_may_reserve_its_own_payment(world) -> None:
    """An origin that takes a payment back reserves the whole of it: lost when a part is gone."""
    node = world.node("a")
    whole = Reserve(original="k", amount_fen=12_345, limit_fen=12_345)
    part = Reserve(original="k", amount_fen=5, limit_fen=12_345)
    world.run(node.commit(write("k")))
    world.run(node.commit(replace(write("r", bill="", original="k"), reserve=part)))

    lost = world.run(node.commit(replace(write("k", 2), reserve=whole)))

    assert (lost.committed, lost.reason) == (False, "reserve")
    assert world.run(node.load("k")).version == 1


def test_I8_a_number_seen_before_leaves_the_reserve_free(world) -> None:
    """The identity is lost, so nothing is reserved either: the next number finds all of it."""
    node = world.node("a")
    world.run(node.commit(write("k", identities=(identity(1),))))

    seen = replace(reserving("r1", 100), identities=(identity(1),))
    assert world.run(node.commit(seen)).reason == "identity"
    fresh = replace(reserving("r1", 100), identities=(identity(2),))
    assert world.run(node.commit(fresh)).committed


def test_a_notice_is_owed_once_claimed_by_one_and_ended_for_good(world) -> None:
    """Store and forward: the intent, one sender at a time over all nodes, an end."""
    one, two = world.node("a"), world.node("b")
    world.run(one.notices.owe("k", 1_000))
    world.run(two.notices.owe("k", 9_000))
    assert world.run(one.notices.due(999, 5)) == []
    (notice,) = world.run(one.notices.due(1_000, 5))
    assert (notice.key, notice.due_at, notice.tries) == ("k", 1_000, 0)

    assert world.run(one.notices.claim(notice, 61_000))
    assert not world.run(two.notices.claim(notice, 61_000))
    assert world.run(two.notices.due(60_999, 5)) == []
    (again,) = world.run(two.notices.due(61_000, 5))
    assert again.tries == 1
    world.run(two.notices.end("k", NoticeEnd.ACKNOWLEDGED, "00"))
    assert world.run(one.notices.due(99_000, 5)) == []
    world.run(one.notices.owe("k", 99_000))
    assert world.run(one.notices.due(99_000, 5)) == []
