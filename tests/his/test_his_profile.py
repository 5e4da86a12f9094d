"""Goal: a profile is right, or its first mistake is named with its path."""

import re
from importlib import resources
from pathlib import Path

import pytest

from his_bridge.config import HospitalConfig
from his_bridge.errors import ProfileError, RequestError
from his_bridge.policy import Level
from his_bridge.profile import (
    CancelKind,
    Certainty,
    Envelope,
    Function,
    FunctionName,
    FunctionReply,
    OrderStates,
    Transport,
)
from his_bridge.profile_file import load_profile, parse_profile, site_values
from his_bridge.simulator_habits import Mode
from his_bridge.template import REQUESTS, Template
from switch.model.hospital import Confirm, PatientQuery

DEMO = (resources.files("his_bridge") / "profiles" / "demo-h1.yaml").read_text("utf-8")
SITE = {"operator": "ZZ01"}


def test_demo_profile_is_right() -> None:
    """Goal: what ships is accepted and names what the site must give."""
    profile = load_profile("demo-h1")

    assert set(profile.functions) == set(FunctionName)
    assert set(site_values(profile)) == {"operator"}
    assert profile.functions[FunctionName.CONFIRM].reply.already == ("2002",)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("timeout_ms: 10000", "time_out_ms: 10000", "functions.confirm"),
        ("    timeout_ms: 3000\n", "", "functions.probe"),
        ("  reply_limit_bytes: 1048576\n", "", "transport"),
        ("depth_limit: 16", "depth_limit: 1600", "transport.depth_limit"),
        ("timeout_ms: 3000", "timeout_ms: 3.5", "functions.probe.timeout_ms"),
        ("encoding: utf-8", "encoding: klingon", "transport.encoding"),
        ("method: runservice", "method: run service", "transport.method"),
        ("at_least: 0}", "at_least: 0, values: [x]}", "reply.flags[0]"),
        ("ERRNO, values", "//ERRNO, values", "reply.flags[1].at"),
        ("  probe:", "  prove:", ""),
        ("DANJUHAO: ${bill_id}", "DANJUHAO: ${billid}", "functions.hold.request"),
        ("DANJUHAO: ${bill_id}", "DANJUHAO: ${bill_id", "functions.hold.request"),
        ("DANJUHAO: ${bill_id}", "DANJUHAO: [a]", "functions.hold.request"),
        ("DANJUHAO: ${bill_id}", "DAN JU: x", "functions.hold.request"),
        ("${facts.his_settle_no}", "${facts.settle}", "functions.confirm.request"),
        ('already: ["2002"]', 'already: ["2001"]', "functions.confirm.reply"),
        (
            "unit: yuan}\n        department",
            "unit: text}\n        department",
            "functions.bill_query",
        ),
        ("patient_id: {at: BINGRENID}", "patient: {at: BINGRENID}", "functions.patient_query"),
        ("      rows: FEIYONGLB/FEIYONG\n", "", "functions.bill_query.reply.rows"),
        ("      cancel: none", "      cancel: tombstone", "functions.cancel.certainty"),
        ("style: single-method-soap", "style: telepathy", "style"),
        ("style: single", "name: again\nstyle: single", ""),
    ],
)
def test_mistake_is_named_with_its_path(old: str, new: str, path: str) -> None:
    """Goal: unknown keys, missing limits, bent paths and nonsense are found before a payment."""
    assert old in DEMO

    with pytest.raises(ProfileError) as caught:
        parse_profile(DEMO.replace(old, new, 1))

    assert caught.value.path.startswith(path)
    assert caught.value.text


def test_already_done_needs_an_echo() -> None:
    """Goal: *already paid* without key and amount can never be believed, so it is no profile."""
    bent = DEMO.replace(
        "      already: [\"2002\"]\n      echo:\n        idem: {at: JIAOYILSH}\n",
        "      already: [\"2002\"]\n      echo:\n",
    )  # fmt: skip
    assert bent != DEMO

    with pytest.raises(ProfileError, match="echo of amount_fen and idem"):
        parse_profile(bent)


def test_unknown_profile_is_a_clear_error() -> None:
    """Goal: the name that was asked for stands in the sentence."""
    with pytest.raises(ProfileError, match="no-such"):
        load_profile("no-such")


def test_missing_site_value_is_an_error() -> None:
    """Goal: an operator code that the configuration forgot is found at start."""
    with pytest.raises(ProfileError, match="operator"):
        Template(load_profile("demo-h1"), FunctionName.HOLD, {})


def confirm(idem: str) -> Confirm:
    return Confirm(idem=idem, patient_id="P1", bill_id="B1", amount_fen=1_230_005)


def test_values_cannot_become_markup_at_either_level() -> None:
    """Goal: a value is escaped for the inner document and again for the envelope."""
    template = Template(load_profile("demo-h1"), FunctionName.CONFIRM, SITE)

    text = template.render(confirm("a<b>&c")).decode()

    assert "&lt;JIAOYILSH&gt;a&amp;lt;b&amp;gt;&amp;amp;c&lt;/JIAOYILSH&gt;" in text
    assert "&lt;JINE&gt;12300.05&lt;/JINE&gt;" in text


@pytest.mark.parametrize("idem", ["a'b", 'a"b', "a;b", "a\x00b", "a\x1bb", "a\x85b", "x" * 129])
def test_value_that_may_not_be_sent_is_refused(idem: str) -> None:
    """Goal: control characters, endless values and what this HIS would put into its SQL."""
    template = Template(load_profile("demo-h1"), FunctionName.CONFIRM, SITE)

    with pytest.raises(RequestError):
        template.render(confirm(idem))


def test_rare_character_is_never_dropped() -> None:
    """Goal: a name that GB2312 lacks goes as a character reference."""
    profile = parse_profile(DEMO.replace("encoding: utf-8", "encoding: gb2312"))
    template = Template(profile, FunctionName.PATIENT_QUERY, SITE)

    body = template.render(PatientQuery(card_no="张䶮"))

    assert "张".encode("gb2312") + b"&#19886;" in body


def test_every_key_of_a_profile_is_explained() -> None:
    """Goal: docs/his-profile.md names each key, placeholder, level and habit."""
    page = (Path(__file__).parents[2] / "docs" / "his-profile.md").read_text("utf-8")
    schema = (Transport, Envelope, Function, FunctionReply, Certainty, OrderStates, HospitalConfig)
    words = {name for kind in schema for name in kind.__struct_fields__}
    words |= {name for kind in REQUESTS.values() for name in kind.__struct_fields__}
    words |= {str(word) for kind in (FunctionName, CancelKind, Level, Mode) for word in kind}
    words -= {"at", "bank", "facts"}

    missing = sorted(word for word in words if not re.search(rf"\b{word}\b", page))
    assert missing == []
