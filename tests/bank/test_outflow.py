"""What a peer does not take of us is bounded in size and time (I11)."""

from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from channels.iso8583.link import Link
from switch.net.frames import LengthPrefix
from tests.bank.rig import Timeline

TIMES = SimpleNamespace(
    connect_timeout_ms=1_000, frame_limit_bytes=1_000, frame_timeout_ms=5_000, echo_idle_ms=60_000
)


class Owner:
    """Notes nothing."""

    def link_up(self, link):
        """As LinkOwner."""

    link_down = idle = link_up


def _link(*, holds_back):
    clock = Clock()
    link = Link(
        "one", Owner(), Timeline(clock), TIMES, LengthPrefix.BINARY_2, holds_back=holds_back
    )
    transport = StringTransport()
    link.makeConnection(transport)
    return clock, link, transport


@pytest.mark.parametrize("holds_back", [True, False])
def test_I11_a_peer_that_reads_again_in_time_is_kept(holds_back):
    """Too much waits, then it is gone: nothing happens later. Only a door stopped reading."""
    clock, link, transport = _link(holds_back=holds_back)

    transport.producer.pauseProducing()
    transport.producer.pauseProducing()
    assert transport.producerState == ("paused" if holds_back else "producing")
    clock.advance(4.9)
    transport.producer.resumeProducing()
    clock.advance(30)

    assert (link.usable, transport.producerState) == (True, "producing")


@pytest.mark.parametrize("holds_back", [True, False])
def test_I11_a_peer_that_does_not_read_is_dropped_in_time(holds_back):
    """frame_timeout_ms after the first byte too many, however often it is said again."""
    clock, link, transport = _link(holds_back=holds_back)

    transport.producer.pauseProducing()
    clock.advance(4)
    transport.producer.pauseProducing()
    clock.advance(1.1)

    assert not link.usable
    assert transport.disconnecting


def test_I11_a_connection_that_is_lost_first_leaves_nothing_behind():
    """No timer of it goes off."""
    clock, _, transport = _link(holds_back=True)
    transport.producer.pauseProducing()

    transport.producer.stopProducing()

    assert [call.getTime() for call in clock.getDelayedCalls()] == [60]
