"""The gauges of a bank say what its alarms and their pages promise."""

import pytest
from prometheus_client import Gauge

from switch.observe import metrics
from tests.bank.rig import SETTINGS, Rig

DOOR = {
    "mode": "server",
    "host": "0.0.0.0",
    "port": 9000,
    "accept_limit": 3,
    "peer_limit": 3,
    "allow": ["127.0.0.1"],
}
UNKNOWN = {**SETTINGS["terminals"][0], "terminal": "90000001", "clearing": "inpatient"}
"""A terminal that the bank does not have."""


@pytest.fixture(autouse=True)
def _a_process_that_has_just_begun():
    """No series of an earlier test."""
    for gauge in (metrics.LINK_UP, metrics.BANK_READY):
        gauge.clear()


def _series(gauge: Gauge) -> dict[tuple[str, ...], float]:
    """Labels' values → value, as Prometheus reads them."""
    (family,) = gauge.collect()
    return {tuple(one.labels.values()): one.value for one in family.samples}


def test_links_of_a_bank_that_is_away_are_down_from_the_start_on():
    """LinkDown fires only for a series that is there: each configured link has one, at 0."""
    rig = Rig(start=False, links=[*SETTINGS["links"], DOOR])
    rig.net.refuse = True
    rig.channel.start()
    rig.settle()

    assert _series(metrics.LINK_UP) == {("icbc", "icbc-1"): 0, ("icbc", "icbc-2"): 0}
    assert _series(metrics.BANK_READY) == {("icbc", "outpatient"): 0}


def test_a_link_that_is_refused_sign_on_is_up_and_its_clearing_is_not_ready():
    """The bank knows one of two merchants' terminals: only the other's patients are turned away."""
    Rig(terminals=[SETTINGS["terminals"][0], UNKNOWN])

    assert _series(metrics.LINK_UP) == {("icbc", "icbc-1"): 1}
    assert _series(metrics.BANK_READY) == {("icbc", "outpatient"): 1, ("icbc", "inpatient"): 0}


def test_a_node_whose_terminals_another_holds_is_ready_until_its_link_goes():
    """As a payment is taken or not: another node's terminal can be had, without a link nothing."""
    rig = Rig()
    peer = rig.peer()
    rig.settle(1)
    assert not any(one.held for one in peer.bank.terminals.values())
    assert _series(metrics.BANK_READY) == {("icbc", "outpatient"): 1}

    rig.net.refuse = True
    for ends in rig.net.ends:
        ends[0].close()
    rig.settle()

    assert _series(metrics.BANK_READY) == {("icbc", "outpatient"): 0}


def test_a_bank_that_dials_anew_and_closes_the_old_connection_leaves_its_link_up():
    """One series for a configured link, whatever connections it has; 0 when the last is gone."""
    rig = Rig(links=[DOOR])
    rig.dialled(times=2)
    assert len(rig.bank.hub.links) == 2

    rig.net.ends[0][0].close()
    rig.settle()
    assert _series(metrics.LINK_UP) == {("icbc", "icbc-1"): 1}

    rig.net.ends[1][0].close()
    rig.settle()
    assert _series(metrics.LINK_UP) == {("icbc", "icbc-1"): 0}


@pytest.mark.parametrize("dialect", ["cup-pos", "cups-host"])
def test_I13_terminals_held_are_terminals(dialect):
    """As many as are configured, though at a host the shared session is held too."""
    rig = Rig(dialect=dialect, cutover_earliest="22:30")
    rig.settle(1)

    assert metrics.BANK_TERMINALS_HELD.labels("icbc")._value.get() == len(SETTINGS["terminals"])
