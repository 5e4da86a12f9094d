"""The failure counters of keys: bounded, fair, and the end of an exhaustive search."""

from hypothesis import given
from hypothesis import strategies as st

from hsm.verifications import Verifications, identify

HOUR_MS = 3_600_000
KEY = identify("U" + "A" * 32)


def limiter(keys_max: int = 100) -> Verifications:
    """Ten failures an hour; a hold lasts a quarter of an hour."""
    return Verifications(limit=10, window_ms=HOUR_MS, hold_ms=HOUR_MS // 4, keys_max=keys_max)


def fail(counters: Verifications, times: int, now_ms: int, key: bytes = KEY) -> None:
    """So many failures at once."""
    for _ in range(times):
        assert counters.open(key, now_ms)
        counters.note(key, False, now_ms)


def test_a_key_is_held_after_its_limit_and_opens_later() -> None:
    """The tenth failure holds it; when the hold is over it opens, nearly full as it was."""
    counters = limiter()
    fail(counters, 10, 0)

    assert not counters.open(KEY, 1)
    assert counters.held(1) == 1
    assert not counters.open(KEY, HOUR_MS // 4 - 1)
    assert counters.open(KEY, HOUR_MS // 4)
    fail(counters, 2, HOUR_MS // 4)
    assert not counters.open(KEY, HOUR_MS // 4 + 1)


def test_another_key_is_not_touched() -> None:
    """One terminal's guesses do not stop the bank."""
    counters = limiter()
    fail(counters, 10, 0)

    assert counters.open(identify("another"), 1)


def test_successes_between_guesses_help_nobody() -> None:
    """A PIN that is known, tried between guesses, takes nothing out of the bucket."""
    counters = limiter()
    for _ in range(9):
        fail(counters, 1, 0)
        counters.note(KEY, True, 0)
    fail(counters, 1, 0)

    assert not counters.open(KEY, 0)


def test_honest_mistakes_now_and_then_never_hold() -> None:
    """One wrong PIN every ten minutes for a week stays below ten an hour."""
    counters = limiter()
    for now_ms in range(0, 7 * 24 * HOUR_MS, HOUR_MS // 6):
        fail(counters, 1, now_ms)


def test_an_exhaustive_search_of_a_pvv_is_stopped() -> None:
    """10,000 PINs as fast as the HSM answers them: ten are tried in the first second of the hour.

    An attacker who knows the rule and waits exactly as long as he must has tried 250 in a day.
    """
    greedy, tried = limiter(), 0
    for guess in range(10_000):
        now_ms = guess // 10  # ten thousand a second
        if greedy.open(KEY, now_ms):
            greedy.note(KEY, False, now_ms)
            tried += 1
    assert tried == 10

    patient, tried = limiter(), 0
    for now_ms in range(0, 24 * HOUR_MS, 1000):
        while patient.open(KEY, now_ms):
            patient.note(KEY, False, now_ms)
            tried += 1
    assert 240 <= tried <= 10 + 24 * 10


@given(st.lists(st.tuples(st.integers(0, HOUR_MS // 3), st.booleans()), max_size=200))
def test_no_order_of_events_beats_the_bound(steps: list[tuple[int, bool]]) -> None:
    """At most limit + limit·t/window failures are let through, whatever comes between."""
    counters, now_ms, failures = limiter(), 0, 0
    for pause_ms, passed in steps:
        now_ms += pause_ms
        if counters.open(KEY, now_ms):
            counters.note(KEY, passed, now_ms)
            failures += not passed
        assert failures <= 10 + 10 * now_ms / HOUR_MS


def test_I11_a_flood_of_keys_is_bounded_and_pushes_no_failure_out() -> None:
    """Keys beyond keys_max share one bucket; the known culprit stays held."""
    counters = limiter(keys_max=5)
    fail(counters, 10, 0)
    for number in range(100):
        key = identify(str(number))
        if counters.open(key, 1):
            counters.note(key, False, 1)

    assert len(counters) == 5
    assert not counters.open(KEY, 1)
    assert not counters.open(identify("99"), 1)  # in the shared bucket, which is full
    assert counters.open(identify("0"), 1)  # has one of its own, with one failure


def test_idle_keys_are_given_back() -> None:
    """After a quiet window the flood is over: buckets are free and newcomers get their own."""
    counters = limiter(keys_max=5)
    for number in range(50):
        counters.note(identify(str(number)), False, 0)
    for number in range(10):
        counters.note(identify("later", str(number)), False, 2 * HOUR_MS)

    assert len(counters) == 5
    assert counters.open(identify("0"), 2 * HOUR_MS)


def test_a_clock_that_goes_back_lets_nobody_in() -> None:
    """It should not, but if it does, nothing leaks out."""
    counters = limiter()
    fail(counters, 9, HOUR_MS)
    counters.note(KEY, False, 0)

    assert counters.held(1) == 1


def test_ids_hold_no_text_and_do_not_run_together() -> None:
    """32 bytes; two texts are not the one they make together; a salt changes it."""
    assert len(KEY) == 32
    assert identify("ab", "c") != identify("a", "bc")
    assert identify("a", salt=b"x") != identify("a")
