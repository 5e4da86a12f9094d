"""Keys from components: split knowledge, dual control, and what ends a ceremony (norms 1 to 5)."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm import primitives
from hsm.ceremony.assembly import Assembly, CeremonyError
from hsm.ceremony.founding import random_component, random_lmk
from hsm.ceremony.plan import KeyPlan, LmkPlan, Plan
from hsm.ceremony.slip import Slip, SlipError, layout, read_slip, write_slip
from hsm.lmk import build_lmk
from hsm.lmk_material import SCHEMES
from hsm.sealing.errors import BadFileError

NOTHING = memoryview(b"")
ONE = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
TWO = bytes.fromhex("A7C4B9D3E5F28A619B37C8D1E9F46273")
PLANS = [LmkPlan("00", scheme, False) for scheme in SCHEMES] + [KeyPlan(16), KeyPlan(24)]
PEOPLE = [f"custodian {number}" for number in range(1, 10)]


def enter(assembly: Assembly, who: str, value: bytes) -> str:
    """Typed twice."""
    return assembly.enter(who, memoryview(value), "", memoryview(value))


def refused(code: str) -> pytest.RaisesExc[CeremonyError]:
    """The step that follows ends with this code."""
    return pytest.raises(CeremonyError, match=f"^{code}$")


@pytest.mark.parametrize("count", [2, 3, 9])
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_N1_every_component_counts(plan: Plan, count: int) -> None:
    """The key is the XOR of 2 … 9 full-length components, with odd parity where it is DES."""
    components = [random_component(plan) for _ in range(count)]
    assembly = Assembly(plan, count)
    for who, component in zip(PEOPLE, components, strict=False):
        check_value = plan.component_check_value(memoryview(component))
        assert assembly.enter(who, memoryview(component), check_value.lower(), NOTHING)
    joined = bytes(plan.length)
    for component in components:
        joined = bytes(a ^ b for a, b in zip(joined, component, strict=True))
    key = assembly.confirm(assembly.check_value)

    assert key == plan.finished(memoryview(joined))
    assert assembly.over


def test_N1_check_values_of_a_zmk_are_those_of_banks() -> None:
    """Zeros encrypted under the component, and under the whole: computed apart."""
    assembly = Assembly(KeyPlan(16), 2)
    assert enter(assembly, "Li", ONE) == "08D7B4"
    enter(assembly, "Wang", TWO)
    whole = primitives.odd_parity(primitives.xor(ONE, TWO))

    assert assembly.check_value == primitives.check_value(whole)[:3].hex().upper()


def test_N2_the_same_custodian_twice_is_refused_and_another_may_go_on() -> None:
    """However the name is written; nothing that came before is lost."""
    assembly = Assembly(KeyPlan(16), 2)
    enter(assembly, "Li", ONE)
    with refused("same_custodian"):
        enter(assembly, "LI", TWO)
    with refused("not_complete"):
        _ = assembly.check_value
    enter(assembly, "Wang", TWO)

    assert assembly.complete
    with refused("no_component_wanted"):
        enter(assembly, "Zhang", ONE)


@pytest.mark.parametrize(
    ("value", "check_value", "again", "code"),
    [
        (TWO, "08D7B4", b"", "wrong_component_check_value"),
        (TWO, "", ONE, "entries_differ"),
        (ONE, "", ONE, "component_repeated"),
        (bytes(16), "", bytes(16), "component_zero"),
        (bytes(15) + b"\xfe", "", bytes(15) + b"\xfe", "weak_key"),
    ],
)
def test_N3_a_wrong_value_aborts_and_wipes(
    value: bytes, check_value: str, again: bytes, code: str
) -> None:
    """After it nothing can be entered or confirmed, whatever came before."""
    first = ONE if code != "weak_key" else bytes.fromhex("0101010101010101FEDCBA9876543210")
    assembly = Assembly(KeyPlan(16), 2)
    enter(assembly, "Li", first)
    with refused(code) as caught:
        assembly.enter("Wang", memoryview(value), check_value, memoryview(again))

    assert caught.value.over
    assert assembly.over
    with refused("no_component_wanted"):
        enter(assembly, "Wang", TWO)
    with refused("not_complete"):
        assembly.confirm("000000")


def test_N3_an_unconfirmed_component_is_no_component() -> None:
    """Neither check value nor second entry, or another length: told, nothing wiped."""
    assembly = Assembly(KeyPlan(16), 2)
    with refused("component_unconfirmed"):
        assembly.enter("Li", memoryview(ONE), "", NOTHING)
    with refused("component_length"):
        enter(assembly, "Li", ONE[:15])
    assert enter(assembly, "Li", ONE)


@pytest.mark.parametrize("told", ["", "4E12F", "000000", "7D3DD7", "7D3DD60"])
def test_N3_the_whole_is_confirmed_or_wiped(told: str) -> None:
    """Six characters of the right value or more; anything else ends it."""
    assembly = Assembly(KeyPlan(16), 2)
    enter(assembly, "Li", ONE)
    enter(assembly, "Wang", TWO)
    assert assembly.check_value == "7D3DD6"
    with refused("wrong_check_value"):
        assembly.confirm(told)
    assert assembly.over


@pytest.mark.parametrize("count", [0, 1, 10])
def test_N1_one_component_is_no_split_knowledge(count: int) -> None:
    """Two to nine."""
    with refused("component_count"):
        Assembly(KeyPlan(16), count)


def test_N5_a_weak_lmk_is_refused() -> None:
    """A pair with equal halves, or two equal pairs, in an LMK of 20."""
    plan = LmkPlan("00", "variant", False)
    good = random_component(plan)
    bad = bytearray(good)
    bad[8:16] = bad[:8]
    assert plan.weak(plan.finished(memoryview(bad)))
    bad[:] = good
    bad[16:32] = bad[:16]
    assert plan.weak(plan.finished(memoryview(bad)))
    assert not plan.weak(plan.finished(memoryview(good)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_generated_lmk_works(scheme: str) -> None:
    """It is neither published nor equal to the next, and an LMK can be built of it."""
    first, second = (random_lmk("07", scheme, test=True) for _ in range(2))

    assert first.check_value != second.check_value
    assert not first.published
    assert build_lmk(first).lmk_id == "07"


@given(st.sampled_from(PLANS), st.binary(min_size=320, max_size=320))
def test_a_slip_is_read_as_it_was_written(plan: Plan, drawn: bytes) -> None:
    """For every length; through the text that people see."""
    component = drawn[: plan.length]
    check_value = plan.component_check_value(memoryview(component))
    slip = Slip(component.hex().upper(), check_value)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "li.slip"
        write_slip(path, _text(slip))
        assert read_slip(path) == slip
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(BadFileError):
            write_slip(path, _text(slip))
    assert slip.value not in repr(slip)


def _text(slip: Slip) -> str:
    made = datetime(2026, 11, 22, tzinfo=UTC)
    return layout(slip, purpose="ZMK", number=1, count=3, custodian="Li", made=made)


@pytest.mark.parametrize("line", [" 01 |", " 02 |", " 校验值"])
def test_a_slip_that_lacks_a_line_is_refused(tmp_path: Path, line: str) -> None:
    """A line of the value, or the check value."""
    plan = LmkPlan("00", "variant", False)
    value = random_component(plan)
    slip = Slip(value.hex().upper(), plan.component_check_value(memoryview(value)))
    left = [row for row in _text(slip).splitlines() if not row.startswith(line)]
    write_slip(tmp_path / "li.slip", "\n".join(left))

    with pytest.raises(SlipError):
        read_slip(tmp_path / "li.slip")
