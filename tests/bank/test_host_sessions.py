"""Sessions with a host: keys it sends itself, the turn of its day, what else it asks of us."""

import pytest
from twisted.internet.defer import Deferred

from channels.iso8583.session import State
from switch.model.outcome import Outcome
from switch.net.frames import FrameReader, framed
from switch.observe import metrics
from switch.ports import JournalDown, LogicalTerminal
from tests.bank.cluster import LEASE_MS
from tests.bank.dialects import with_key_resets
from tests.bank.rig import (
    MERCHANT,
    SETTINGS,
    Node,
    Peer,
    Rig,
    card,
    do,
    payment,
    sell,
    undo,
)

OWNER = (MERCHANT, "10000001")
SHARED = LogicalTerminal(bank="icbc", merchant="", terminal="")


def _host(**changes) -> Rig:
    """A switch and a bank that speak host to host."""
    rig = Rig(dialect="cups-host", **{"cutover_earliest": "22:30", **changes})
    rig.said = []
    rig.host.watch = rig.said.append
    return rig


@pytest.fixture
def pushing(tmp_path) -> Rig:
    """A POS-style bank whose sign-on brings keys, and which also sends them by itself."""
    path = with_key_resets(tmp_path / "pushing.yaml")
    one = SETTINGS["terminals"][:1]
    rig = Rig(dialect=str(path), terminals=one, cutover_earliest="22:30")
    rig.said = []
    rig.host.watch = rig.said.append
    return rig


def _push(rig, kind, link=0, spoil=None, **more) -> list[str]:
    """The bank sends it on one of its links; the codes it is answered."""
    if kind == "key_reset":
        answers = rig.host.pushes.keys(OWNER, **more)
    else:
        answers = rig.host.pushes.send(kind, OWNER)
    before = len(rig.said)
    for _, data in answers:
        rig.service.links[link].send(spoil(data) if spoil else data)
    rig.settle()
    return [one.code for one in rig.said[before:] if one.answer and one.kind == kind]


def _push_a_sale(rig):
    body = rig.bank.hub.codec.encode("0200", {"3": "000000", "11": "000001"})
    rig.service.links[0].send(framed(body, rig.dialect.length_prefix))
    rig.settle()


def _slow_hsm(rig, monkeypatch):
    """No key is imported until the function that this returns is called."""
    waiting = []
    real = rig.key_service.import_key

    async def waits(*what):
        waiting.append(Deferred())
        await waiting[-1]
        return await real(*what)

    def go():
        monkeypatch.setattr(rig.key_service, "import_key", real)
        waiting[0].callback(None)
        rig.settle()

    monkeypatch.setattr(rig.key_service, "import_key", waits)
    return go


def _session(rig):
    return rig.bank.sessions[0]


def _sold(rig, key="p1") -> Outcome:
    return rig.run(sell(rig, payment(rig, key)))[1].outcome


# ---- keys that the host sends --------------------------------------------------------------------


def test_a_host_signs_us_on_once_and_sends_keys_for_all_terminals():
    """0820 with 001, two resets answered 00; every terminal is ready under the one set."""
    rig = _host()

    assert [one.state for one in rig.terminals] == [State.READY] * 2
    counts = rig.host.counts
    assert (counts["sign_on"], counts["key_request"], counts["key_reset_answer"]) == (1, 1, 2)
    assert list(rig.key_rows) == [SHARED]
    assert [_sold(rig, key) for key in ("p1", "p2")] == [Outcome.DONE] * 2


def test_keys_reset_at_will_are_used_from_their_answer_on():
    """Rule 16: checked, stored, answered 00; the next sale is under them."""
    rig = _host()
    old = rig.key_rows[SHARED]

    assert _push(rig, "key_reset") == ["00", "00"]

    new = rig.key_rows[SHARED]
    assert new.generation == old.generation + 2
    assert old.mak != new.mak
    assert old.pik != new.pik
    assert _sold(rig) is Outcome.DONE


def test_keys_reset_while_a_sale_is_in_flight_its_answer_is_proven_under_the_old_ones():
    """Rule 16: each exchange keeps its generation."""
    rig = _host()
    rig.habit("reset_keys")

    assert _sold(rig) is Outcome.DONE
    assert rig.key_rows[SHARED].generation == 4
    assert _sold(rig, "p2") is Outcome.DONE


def test_rule_16_key_resets_at_once_are_answered_in_their_order(monkeypatch):
    """Two wait for a slow HSM. The bank takes for the newest what is answered last, so it must be
    what we installed last: the next sale is under the same keys at both ends."""
    rig = _host()
    go = _slow_hsm(rig, monkeypatch)
    before = len(rig.net.ends[0][0].written)
    assert [_push(rig, "key_reset") for _ in range(2)] == [[], []]

    go()

    frames = FrameReader(rig.dialect.length_prefix, 4_096).receive(
        rig.net.ends[0][0].written[before:]
    )
    numbers = [rig.host.codec.decode(frame).fields["11"] for frame in frames]
    assert (len(numbers), numbers) == (4, sorted(numbers))
    assert _sold(rig) is Outcome.DONE


def test_I10_a_key_reset_that_does_not_prove_itself_changes_nothing(capsys):
    """A wrong MAC: A0, the old set stays whole, an alarm says so, and sales go on."""
    rig = _host()
    old = rig.key_rows[SHARED]

    codes = _push(rig, "key_reset", spoil=lambda data: data[:-1] + bytes([data[-1] ^ 1]))

    assert codes == ["A0"]
    assert rig.key_rows[SHARED] == old
    assert "the old keys stay" in capsys.readouterr().out
    assert _sold(rig) is Outcome.DONE


def test_a_wrong_check_value_keeps_the_old_set_whole(pushing, capsys):
    """Answered as not to be used; the alarm names the rule."""
    terminal = pushing.terminals[0]
    old = terminal.keys

    assert _push(pushing, "key_reset", wrong=True) == ["30"]

    assert pushing.key_rows[terminal.identity] == old == terminal.keys
    assert "check value" in capsys.readouterr().out
    assert terminal.state is State.READY


def test_a_bank_whose_sign_on_brings_keys_may_send_others_too(pushing):
    """Whole sets with check values; ready all the time."""
    terminal = pushing.terminals[0]

    assert _push(pushing, "key_reset") == ["00"]

    assert (terminal.keys.generation, terminal.state) == (2, State.READY)
    assert _sold(pushing) is Outcome.DONE


def test_a_key_reset_for_a_terminal_that_is_not_ours_is_refused(pushing):
    """Nobody's keys are changed by it."""
    before = dict(pushing.key_rows)
    theirs = (MERCHANT, "10000003")
    pushing.host.keyring.adopt(theirs, pushing.host.keyring.fresh(theirs))
    answers = pushing.host.pushes.keys(theirs)
    for _, data in answers:
        pushing.service.links[0].send(data)
    pushing.settle()

    assert [one.code for one in pushing.said if one.answer] == ["30"]
    assert pushing.key_rows == before


@pytest.mark.parametrize("away", ["import_key", "check_mac"])
def test_without_the_hsm_a_key_reset_is_answered_not_now(away):
    """Nothing was checked, nothing is changed; the bank sends it again later."""
    rig = _host()
    old = rig.key_rows[SHARED]
    rig.key_service.down.add(away)

    assert _push(rig, "key_reset") == ["96"]

    assert rig.key_rows[SHARED] == old


def test_without_the_database_a_key_reset_is_answered_not_now(monkeypatch):
    """Keys count when they are stored, not before."""
    rig = _host()
    old = rig.key_rows[SHARED]

    async def away(*_what):
        raise JournalDown

    monkeypatch.setattr(rig.node.keys, "install", away)

    assert _push(rig, "key_reset") == ["96"]
    assert _session(rig).keys == rig.key_rows[SHARED] == old


def test_after_a0_the_host_is_asked_for_new_keys():
    """Signed on again, then key_request: the resets come, and the payment's one retry is done."""
    rig = _host()
    _session(rig).want_sign_on("answered A0")
    rig.settle()

    assert rig.host.counts["key_request"] == 2
    assert rig.host.counts["sign_on"] == 2
    assert (_session(rig).state, rig.key_rows[SHARED].generation) == (State.READY, 4)
    assert _sold(rig) is Outcome.DONE


def test_keys_that_do_not_come_are_asked_for_again_for_ever(capsys):
    """No debit meanwhile; an alarm at each turn; the reversal of an old sale goes on."""
    rig = _host()
    paid, _ = rig.run(sell(rig, payment(rig)))
    real = rig.host.pushes.keys
    rig.host.pushes.keys = lambda *_owner, **_more: []
    _session(rig).want_sign_on("answered A0")
    rig.settle(11, steps=110)

    assert (_session(rig).state, rig.channel.ready("outpatient")) == (State.AWAITING, False)
    assert rig.host.counts["key_request"] == 4
    assert "sign-on failed" in capsys.readouterr().out
    assert rig.run(rig.channel.exchange(undo(paid), None)).outcome is Outcome.DONE

    rig.host.pushes.keys = real
    rig.settle(6, steps=20)
    assert _session(rig).state is State.READY


def test_a_host_is_asked_for_new_keys_before_the_old_ones_expire():
    """Rule 16: at nine tenths of key_max_age; sales never stop for it."""
    rig = _host(key_max_age_ms=100_000)

    rig.settle(91, steps=91)

    assert rig.key_rows[SHARED].generation == 4
    assert _sold(rig) is Outcome.DONE


def test_keys_that_expired_start_no_debit_and_reverse():
    """Rule 16: the host sends none; at key_max_age debits stop, reversals never."""
    rig = _host(key_max_age_ms=100_000)
    paid, _ = rig.run(sell(rig, payment(rig)))
    rig.host.pushes.keys = lambda *_owner, **_more: []
    rig.settle(101, steps=101)

    assert not rig.channel.ready("outpatient")
    assert rig.run(rig.channel.prepare(do(payment(rig, "p2")), card()), seconds=4) is None
    assert rig.run(rig.channel.exchange(undo(paid), None)).outcome is Outcome.DONE


# ---- several nodes, one session ------------------------------------------------------------------


def test_two_nodes_use_one_key_set_and_one_signs_on():
    """The other has a link of its own and sells on terminals of its own, under the same keys."""
    rig = _host()
    peer = rig.peer()
    begun = peer.begin(sell(peer, payment(peer, "p1")))
    peer.settle(2, steps=100)

    assert [reply.outcome for (_, reply) in begun] == [Outcome.DONE]
    assert _sold(rig, "p2") is Outcome.DONE
    assert rig.host.counts["sign_on"] == 1
    assert [_session(one).state for one in (rig, peer)] == [State.READY, State.OFF]


def test_keys_that_reach_one_node_are_used_by_the_other():
    """The reset comes on the link of the node that does not hold the session."""
    rig = _host()
    peer = rig.peer()
    rig.settle(1)

    assert _push(rig, "key_reset", link=1) == ["00", "00"]
    rig.settle(1, steps=20)

    assert _session(rig).keys == _session(peer).keys == rig.key_rows[SHARED]
    assert _sold(rig) is Outcome.DONE


def test_keys_awaited_by_the_holder_may_reach_another_node():
    """The holder hears of them at its next look, and is ready."""
    rig = _host()
    rig.peer()
    real = rig.host.pushes.keys
    rig.host.pushes.keys = lambda *_owner, **_more: []
    _session(rig).want_sign_on("answered A0")
    rig.settle(1, steps=20)
    assert _session(rig).state is State.AWAITING

    rig.host.pushes.keys = real
    _push(rig, "key_reset", link=1)
    rig.settle(1, steps=20)

    assert _session(rig).state is State.READY
    assert _sold(rig) is Outcome.DONE


def test_I3_keys_refused_to_a_node_without_the_session_bring_it_there():
    """The holder sends nothing, and would never hear that the bank wants others: the node that
    hears it asks for the session, and signs on."""
    rig = _host()
    peer = rig.peer()
    rig.settle(1)
    assert (_session(rig).state, _session(peer).state) == (State.READY, State.OFF)

    _session(peer).refused("answered A0", rig.key_rows[SHARED].generation)
    peer.settle(2, steps=40)
    rig.settle(2, steps=40)

    assert rig.host.counts["sign_on"] == 2
    assert (_session(rig).state, _session(peer).state) == (State.OFF, State.READY)
    assert rig.key_rows[SHARED].generation == 4
    assert _sold(rig) is Outcome.DONE


def test_keys_refused_that_another_node_has_replaced_are_no_reason_to_ask_for_the_session():
    """Loaded, and the next try is under them."""
    rig = _host()
    peer = rig.peer()
    rig.settle(1)
    before = rig.key_rows[SHARED].generation
    _push(rig, "key_reset")

    _session(peer).refused("answered A0", before)
    peer.settle(2, steps=40)

    assert (_session(rig).state, _session(peer).state) == (State.READY, State.OFF)
    assert _session(peer).keys == rig.key_rows[SHARED]


def test_the_session_of_a_dead_node_goes_on_at_another():
    """Lease and the bank's time pass; no new sign-on, the keys are stored."""
    rig = _host()
    peer = rig.peer()
    rig.node.frozen = True
    rig.bank._holdings._timer.cancel()
    for door in rig.bank._doors:
        door.stop()

    peer.settle(LEASE_MS / 1000 + 62, steps=400)

    assert _session(peer).state is State.READY
    assert rig.host.counts["sign_on"] == 1
    assert peer.run(sell(peer, payment(peer)))[1].outcome is Outcome.DONE


# ---- the day -------------------------------------------------------------------------------------


def _at(rig, date, time) -> None:
    rig.timeline.fixed = (date, time)


def test_I14_the_day_turns_when_the_bank_says_so():
    """Before the configured cutover already; told by 202, not by 201; again changes nothing."""
    rig = _host()
    _at(rig, "20260704", "225000")

    assert _push(rig, "day_cut_start") == ["00"]
    assert rig.channel.business_date() == "20260704"
    assert _push(rig, "day_cut_end") == ["00"]
    assert rig.channel.business_date() == "20260705"
    _at(rig, "20260704", "235900")
    assert _push(rig, "day_cut_end") == ["00"]
    assert rig.channel.business_date() == "20260705"


def test_I14_a_turn_after_midnight_begins_the_calendar_day():
    """The bank is late; the day that begins is today's."""
    rig = _host(cutover_latest="01:00")
    _at(rig, "20260704", "225000")
    _push(rig, "day_cut_end")
    _at(rig, "20260706", "003000")
    assert rig.channel.business_date() == "20260705"

    _push(rig, "day_cut_end")

    assert rig.channel.business_date() == "20260706"


def test_I14_a_bank_that_forgets_to_turn_is_not_waited_for_beyond_the_latest_time():
    """The configured day counts from cutover_latest on."""
    rig = _host(cutover_latest="23:30")
    _at(rig, "20260703", "230100")
    _push(rig, "day_cut_end")
    assert rig.channel.business_date() == "20260704"

    _at(rig, "20260704", "232900")
    assert rig.channel.business_date() == "20260704"
    _at(rig, "20260704", "233000")
    assert rig.channel.business_date() == "20260705"


def test_I14_a_bank_that_announces_nothing_has_the_configured_day():
    """As before: the cutover alone."""
    rig = _host(cutover_latest="23:30")
    _at(rig, "20260704", "225959")
    assert rig.channel.business_date() == "20260704"
    _at(rig, "20260704", "230000")
    assert rig.channel.business_date() == "20260705"


def test_I14_the_day_outlives_the_process_and_reaches_other_nodes():
    """Committed before it is answered; every node follows at its next look."""
    rig = _host()
    peer = rig.peer()
    _at(rig, "20260704", "225000")
    _push(rig, "day_cut_end", link=1)
    rig.settle(1, steps=20)

    again = Peer(rig, Node(rig.database, "c"))

    dates = [one.channel.business_date() for one in (rig, peer, again)]
    assert dates == ["20260705"] * 3


@pytest.mark.parametrize("time", ["120100", "222900", "180000"])
def test_I14_a_turn_at_a_wrong_hour_turns_nothing(capsys, time):
    """It has no MAC, and a day never goes back: before cutover_earliest it is answered 30 and
    alarmed, and the day turns when it should."""
    rig = _host()
    _at(rig, "20260704", time)

    assert _push(rig, "day_cut_end") == ["30"]

    assert rig.channel.business_date() == "20260704"
    assert "turns its day at an hour" in capsys.readouterr().out
    assert rig.database.days == {}
    _at(rig, "20260704", "223000")
    assert _push(rig, "day_cut_end") == ["00"]
    assert rig.channel.business_date() == "20260705"


def test_I14_a_turn_that_the_calendar_made_already_is_answered():
    """The bank is late beyond cutover_latest: nothing changes, and it is told so."""
    rig = _host()
    _at(rig, "20260705", "040000")

    assert _push(rig, "day_cut_end") == ["00"]
    assert rig.channel.business_date() == "20260705"


def test_a_window_of_half_a_day_is_refused():
    """In it nobody could tell which day a turn begins."""
    with pytest.raises(ValueError, match="in 12 hours"):
        _host(start=False, cutover_earliest="23:01")


def test_I14_a_turn_that_cannot_be_stored_has_not_happened(monkeypatch):
    """Answered 96: the bank says it again."""
    rig = _host()
    _at(rig, "20260704", "225000")

    async def away(*_what):
        raise JournalDown

    monkeypatch.setattr(rig.node.bank_days, "announce", away)

    assert _push(rig, "day_cut_end") == ["96"]
    assert rig.channel.business_date() == "20260704"


def test_I14_a_payment_keeps_the_date_it_was_born_with():
    """Born before the turn, sent after it: its identity names the old day."""
    rig = _host()
    paid = payment(rig)
    _at(rig, "20260704", "225000")
    _push(rig, "day_cut_end")

    prepared = rig.run(rig.channel.prepare(do(paid), card()))

    assert rig.channel.business_date() == "20260705"
    assert prepared.identity.business_date == paid.business_date == "20260704"


def test_I14_a_pos_style_bank_may_announce_its_day_too(pushing):
    """Any dialect that has the message."""
    _at(pushing, "20260704", "225000")

    assert _push(pushing, "day_cut_end") == ["00"]
    assert pushing.channel.business_date() == "20260705"


# ---- what else -----------------------------------------------------------------------------------


def test_an_echo_of_the_bank_is_answered():
    """It asks whether we are there."""
    rig = _host()

    assert _push(rig, "echo") == ["00"]


def test_what_the_bank_may_not_ask_is_counted_and_not_answered():
    """A sale of the bank's on our link: silence, and everything goes on."""
    rig = _host()
    sent = len(rig.net.ends[0][0].written)

    _push_a_sale(rig)

    assert len(rig.net.ends[0][0].written) == sent
    assert _sold(rig) is Outcome.DONE


@pytest.fixture
def slow_hsm(monkeypatch):
    """See below."""
    return at_its_limit(monkeypatch)


def at_its_limit(monkeypatch):
    """A host whose switch is at its limit of two: a key reset waits for the HSM, and a copy of it.
    ``repeat()`` sends another copy, ``go()`` ends the waiting."""
    rig = _host(in_flight_limit=2)
    rig.go = _slow_hsm(rig, monkeypatch)
    resets = []
    assert _push(rig, "key_reset", spoil=lambda data: resets.append(data) or data) == []

    def repeat():
        rig.service.links[0].send(resets[0])
        rig.settle()

    rig.repeat = repeat
    repeat()
    assert len(rig.bank._requests._going) == 2
    return rig


def _counted(kind):
    return metrics.BANK_REQUESTS.labels("icbc", kind)._value.get()


@pytest.mark.parametrize("kind", ["key_reset", "day_cut_start", "day_cut_end", "echo"])
def test_I11_a_request_above_the_limit_is_told_so_and_changes_nothing(slow_hsm, kind):
    """Answered 96 at once and counted as what it is; asked again later, it is done."""
    rig = slow_hsm
    _at(rig, "20260704", "225000")
    keys, over, unknown = rig.key_rows[SHARED], _counted("over_limit"), _counted("unknown")

    assert _push(rig, kind) == ["96"]

    assert (_counted("over_limit"), _counted("unknown")) == (over + 1, unknown)
    assert (rig.key_rows[SHARED], rig.channel.business_date()) == (keys, "20260704")
    rig.go()
    assert set(_push(rig, kind)) == {"00"}
    assert _sold(rig) is Outcome.DONE


def test_I11_a_copy_of_what_is_in_work_gets_no_word_of_its_own(slow_hsm):
    """The bank repeats a key reset that waits for the HSM: 96 now and 00 later would leave it
    with other keys than ours. One answer comes, when it is done."""
    rig = slow_hsm
    answered = rig.host.counts["key_reset_answer"]
    over = _counted("over_limit")

    rig.repeat()
    assert (rig.host.counts["key_reset_answer"], _counted("over_limit")) == (answered, over + 1)
    rig.go()

    assert {one.code for one in rig.said if one.answer} == {"00"}
    assert rig.host.counts["key_reset_answer"] == answered + 3, "the MAC key twice, the PIN key"
    assert _sold(rig) is Outcome.DONE


def test_I11_what_moves_money_is_met_with_silence_at_the_limit_too(slow_hsm):
    """A sale of the bank's on our link: whatever was said of it could be believed (I7)."""
    rig = slow_hsm
    unknown = _counted("unknown")
    sent = len(rig.net.ends[0][0].written)

    _push_a_sale(rig)

    assert len(rig.net.ends[0][0].written) == sent
    assert _counted("unknown") == unknown + 1


def test_I11_requests_in_work_are_counted_down(slow_hsm):
    """What has ended makes room, and whoever is told that there is none takes none."""
    rig = slow_hsm
    for _ in range(3):
        assert _push(rig, "echo") == ["96"]

    rig.go()

    assert rig.bank._requests._going == []
    assert [_push(rig, "echo") for _ in range(3)] == [["00"]] * 3


def test_an_idle_link_is_kept_by_empty_frames_and_then_asked():
    """0000 first; when that brings nothing, an echo that must be answered."""
    rig = _host()
    sent = len(rig.net.ends[0][0].written)

    rig.settle(120.5, steps=241)
    assert rig.net.ends[0][0].written[sent:] == b"0000"
    assert "echo" not in rig.host.counts
    rig.settle(120.5, steps=241)

    assert rig.host.counts["echo"] == 1
    assert len(rig.bank.hub.links) == 1


def test_a_clean_stop_of_the_last_node_signs_off():
    """0820 with 002 before the links close."""
    rig = _host()

    rig.run(rig.channel.stop())

    assert rig.host.counts["sign_off"] == 1
    assert rig.bank.hub.links == []


def test_a_clean_stop_beside_another_node_leaves_the_session_to_it():
    """The bank must not think that we are gone."""
    rig = _host()
    peer = rig.peer()

    rig.run(rig.channel.stop())
    peer.settle(2, steps=40)

    assert "sign_off" not in rig.host.counts
    assert peer.run(sell(peer, payment(peer)))[1].outcome is Outcome.DONE


def test_a_sign_off_that_is_not_answered_keeps_nobody_waiting():
    """echo_timeout_ms at most."""
    rig = _host()
    rig.habit("silent", on="sign_off")
    stopped = rig.begin(rig.channel.stop())

    rig.settle(9.9, steps=99)
    assert stopped == []
    rig.settle(0.2)

    assert len(stopped) == 1
    assert rig.bank.hub.links == []


def test_I8_F11_counts_over_all_terminals_of_a_host():
    """F90 and F37 do not say the terminal: sales of two terminals in one second differ in F11, and
    a reversal names one of them."""
    rig = _host()
    begun = [rig.begin(sell(rig, payment(rig, key))) for key in ("p1", "p2", "p3")]
    rig.settle()
    legs = [paid.legs[0].facts for [(paid, _)] in begun]

    assert len({facts["F41"] for facts in legs}) == 2
    assert len({facts["F11"] for facts in legs}) == 3
    assert {reply.outcome for [(_, reply)] in begun} == {Outcome.DONE}
