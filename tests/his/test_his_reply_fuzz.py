"""Goal: whatever comes back is mapped to a value, and a confirm is never believed by accident."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from his_bridge.profile import FunctionName
from his_bridge.profile_file import load_profile
from his_bridge.reply import Mapped, ReplyMap, Verdict
from tests.his.rig import soap_answer

GOOD = soap_answer(
    "<MENZHENJS_OUT><OUTMSG><ERRNO>0</ERRNO></OUTMSG><JIAOYILSH>K1</JIAOYILSH><DANJUHAO>B1"
    "</DANJUHAO><JINE>12.30</JINE><FAPIAOHAO>F1</FAPIAOHAO></MENZHENJS_OUT>"
).partition(b"\r\n\r\n")[2]
OURS = {"idem": "K1", "bill_id": "B1", "amount_fen": 1_230, "patient_id": "P1"}


@cache
def mapper(name: FunctionName) -> ReplyMap:
    return ReplyMap(load_profile("demo-h1"), name)


def read(status: int, body: bytes) -> Mapped:
    return mapper(FunctionName.CONFIRM).read(status, body, OURS)


mutated = st.builds(
    lambda at, cut, junk: GOOD[:at] + junk + GOOD[at + cut :],
    st.integers(0, len(GOOD)),
    st.integers(0, 12),
    st.binary(max_size=8) | st.sampled_from([b"<", b"&", b"<!--", b"]]>", b"&lt;", b"0", b"1"]),
)


def test_the_untouched_answer_is_success() -> None:
    """Goal: the seed of the mutations is good."""
    assert read(200, GOOD).verdict is Verdict.SUCCESS


@given(st.sampled_from([200, 500, 404]), st.binary(max_size=300) | mutated)
@settings(max_examples=1_000, deadline=None)
def test_fuzz_I9_any_body_maps_to_a_verdict(status: int, body: bytes) -> None:
    """Goal: a value for every body; success only with our key, bill, amount and both flags."""
    mapped = read(status, body)

    assert isinstance(mapped, Mapped)
    if mapped.verdict is Verdict.SUCCESS:
        assert status == 200
        for part in (b"K1", b"B1", b"12.3", b"runserviceResult"):
            assert part in body
    assert len(mapped.facts.get("his_raw", "")) <= 1_600


@given(st.text(max_size=60), st.sampled_from(list(FunctionName)))
@settings(max_examples=500, deadline=None)
def test_fuzz_any_inner_text_maps_to_a_verdict(inner: str, name: FunctionName) -> None:
    """Goal: the same one level deeper, for every function."""
    body = soap_answer(inner).partition(b"\r\n\r\n")[2] if inner.isprintable() else b""

    assert mapper(name).read(200, body, OURS).verdict is Verdict.UNKNOWN


@given(st.integers(0, len(GOOD) - 1))
@settings(max_examples=200, deadline=None)
def test_I9_torso_is_never_believed(length: int) -> None:
    """Goal: an answer cut anywhere is Unknown."""
    assert read(200, GOOD[:length]).verdict is Verdict.UNKNOWN
