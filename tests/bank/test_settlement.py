"""Batch settlement: the job, the channel and a bank that compares totals (rule 19, K16)."""

from channels.bank_simulator.habits import Habit, Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from switch.model.batch import BatchState
from switch.model.payment import LegState, Rest
from tests.bank.rig import card
from tests.bank.settlement_rig import TERMINAL, House
from tests.engine.rig import DONE, REFUSED, Scripted, request


def habit(house: House, name: Name, on: On = On.SALE, **more: object) -> None:
    """What the bank does wrong next."""
    house.host.habits.set(HabitOrder(next=(Habit(habit=name, on=on, **more),)))


def test_a_batch_settles_and_the_next_one_begins() -> None:
    """Two sales: the totals of both go out as the dialect writes them, the bank agrees, and the
    next sale has the next batch."""
    house = House()
    house.pay("k1", 100)
    house.pay("k2", 250)

    assert house.order()
    house.settle(3)
    (sent,) = house.host.settled
    assert sent["48"] == "000000000350002000000000000000" + "0" * 32
    assert sent["60"] == "00000001201"
    assert [row.state for row in house.rows] == [BatchState.CLOSED]
    assert house.rows[0].result == "balanced"
    assert house.batch == "000002"
    house.pay("k3", 70)
    assert (house.facts("k3")["batch"], house.stored("k3").rest) == ("000002", Rest.DONE)


def test_the_bank_names_the_batch_at_the_sign_on_that_follows() -> None:
    """A dialect whose sign-on names the batch signs on after the settlement, and the bank's word
    counts."""
    house = House()
    house.pay("k1", 100)
    before = house.host.counts["sign_on"]
    house.order()
    house.settle(3)

    assert house.host.counts["sign_on"] == before + 1
    assert house.channel._bank.terminals[TERMINAL.merchant, TERMINAL.terminal].fresh


def test_a_reversed_sale_is_not_in_the_totals() -> None:
    """One sale is refused by the hospital and reversed: the bank counts it as little as we do."""
    house = House()
    house.his.script.extend([DONE, REFUSED])
    house.pay("k1", 100)
    house.pay("k2", 250)
    assert house.stored("k1").rest is Rest.UNDONE
    house.order()
    house.settle(3)

    assert house.host.settled[0]["48"][:15] == "000000000250001"
    assert house.rows[0].result == "balanced"


def test_nothing_to_settle_sends_nothing() -> None:
    """An empty batch goes on under its number."""
    house = House()
    house.order()
    house.settle(3)

    assert house.host.settled == []
    assert [row.state for row in house.rows] == [BatchState.EMPTY]
    house.pay("k1")
    assert house.facts()["batch"] == "000001"


def test_I3_rule19_waits_for_a_reversal_under_way() -> None:
    """A sale without an answer is being reversed when the settlement is ordered: nothing is sent
    until the reversal is acknowledged, and no new sale enters the batch."""
    house = House()
    habit(house, Name.SILENT)
    house.pay("k1", 100)
    house.order()
    house.settle(5)
    assert house.host.settled == []
    answers = house.pay("k2", 100, wait_s=10)
    assert answers[0].state == "declined"

    house.settle(70)
    assert house.stored("k1").rest is Rest.UNDONE
    assert [row.state for row in house.rows] == [BatchState.EMPTY]
    house.pay("k3", 100)
    assert house.stored("k3").rest is Rest.DONE


def test_rule9_after_25_the_reversal_is_said_once_more_before_the_batch_closes() -> None:
    """BATCH_CLOSING sends the reversal that waits ten minutes at once; the last 25 leaves it
    unproven, and the batch settles without it."""
    house = House(deadline_ms=3_600_000)
    house.pay("k0", 70)
    habit(house, Name.LOSE)
    house.pay("k1", 100)
    house.settle(62)
    said = len(house.host.reversals)
    assert said == 1
    house.order()
    house.settle(3)

    assert len(house.host.reversals) == said + 1
    house.settle(620)
    assert house.stored("k1").legs[1].state is LegState.UNPROVEN
    assert house.rows[0].result == "balanced"


def test_rule19_at_the_deadline_what_is_open_becomes_an_exception_then_it_settles() -> None:
    """The bank never acknowledges a reversal: at the deadline a person has it, and the batch
    settles with what stands."""
    house = House(deadline_ms=120_000)
    house.pay("k0", 70)
    habit(house, Name.SILENT)
    habit(house, Name.LOSE, On.REVERSAL, times=100)
    house.pay("k1", 100)
    house.order()
    house.settle(110)
    assert house.host.settled == []
    house.settle(140)

    assert house.stored("k1").rest is Rest.EXCEPTION
    assert house.host.settled[0]["48"][:15] == "000000000070001"


def test_no_reversal_after_the_settlement_of_its_batch() -> None:
    """A booking that stays open past the deadline fails after the batch has closed: its sale is
    not reversed any more, a person has it (rule 19)."""
    house = House(deadline_ms=5_000)
    house.his.script.extend([DONE, Scripted.HANG])
    house.pay("k1", 100)
    house.order()
    house.settle(10)
    assert house.rows[0].state is BatchState.CLOSED

    house.his.sent[-1].reply.callback(REFUSED)
    house.settle(5)
    assert house.host.reversals == []
    assert house.stored("k1").rest is Rest.EXCEPTION


def test_a_number_used_again_is_another_batch() -> None:
    """The bank goes on naming batch 1 after its settlement: the next settlement of a batch 1 has
    only what came after the first, and a sale in it can be reversed."""
    house = House()
    house.pay("k1", 100)
    house.host.says = ["1", "1"]
    house.order()
    house.settle(3)
    assert house.rows[0].state is BatchState.CLOSED
    house.his.script.extend([DONE, REFUSED])
    house.pay("k2", 200)
    assert house.facts("k2")["batch"] == "000001"
    assert house.stored("k2").rest is Rest.UNDONE
    house.pay("k3", 300)
    house.order()
    house.settle(3)

    assert house.host.settled[1]["48"][:15] == "000000000300001"


def test_totals_that_differ_are_uploaded_one_by_one() -> None:
    """The bank says 2: each transaction is sent with what the journal holds of it, then the end of
    the upload with its count; the report says unbalanced."""
    house = House()
    house.pay("k1", 100)
    house.pay("k2", 250)
    habit(house, Name.WRONG_TOTALS, On.SETTLEMENT)
    house.order()
    house.settle(3)

    first, second, end = house.host.uploaded
    assert (first["4"], second["4"]) == ("000000000100", "000000000250")
    assert first["2"] == "6225881234567890"
    facts = house.facts("k1")
    assert first["61"] == facts["batch"] + facts["F11"] + facts["sent_date"]
    assert end["48"] == "0002"
    assert end["60"] == "00000001202"
    row = house.rows[0]
    assert (row.state, row.result, row.uploaded) == (BatchState.CLOSED, "unbalanced", 2)


def test_an_upload_goes_on_where_it_was_after_a_restart() -> None:
    """Silence at the second transaction, then a new process: the first is not sent again."""
    house = House()
    house.pay("k1", 100)
    house.pay("k2", 250)
    habit(house, Name.WRONG_TOTALS, On.SETTLEMENT)
    habit(house, Name.DUPLICATE, On.UPLOAD)
    habit(house, Name.SILENT, On.UPLOAD)
    house.order()
    house.settle(3)
    assert house.rows[0].uploaded == 1
    house.restart()
    house.settle(80)

    amounts = [one.get("4") for one in house.host.uploaded]
    assert amounts[:1] + amounts[-2:] == ["000000000100", "000000000250", None]
    assert amounts.count("000000000100") == 1
    assert house.rows[0].state is BatchState.CLOSED


def test_an_error_is_alarmed_tried_again_and_left_to_a_person() -> None:
    """3, 3, 3: the batch goes on under its number, and a new order settles it."""
    house = House()
    house.pay("k1", 100)
    house.host.says = ["3", "3", "3"]
    house.order()
    house.settle(200)
    assert [row.state for row in house.rows] == [BatchState.FAILED]
    house.pay("k2", 50)
    assert house.facts("k2")["batch"] == "000001"
    house.order()
    house.settle(3)

    assert house.rows[1].result == "balanced"
    assert house.host.settled[-1]["48"][:15] == "000000000150002"


def test_without_an_answer_the_same_totals_are_sent_again() -> None:
    """Nobody knows whether the bank closed it: no sale, no other totals, until it answers."""
    house = House()
    house.pay("k1", 100)
    house.host.says = ["", ""]
    house.order()
    house.settle(30)
    assert house.pay("k2", 100, wait_s=5)[0].state == "declined"
    house.settle(300)

    assert len({one["48"] for one in house.host.settled}) == 1
    assert len(house.host.settled) == 3
    assert house.rows[0].result == "balanced"


def test_K16_a_restart_between_totals_and_answer_lets_no_sale_in() -> None:
    """The totals are committed and the process dies: the next one sends the same, and until then
    no sale enters the batch."""
    house = House()
    house.pay("k1", 100)
    house.host.says = [""]
    house.order()
    house.settle(3)
    assert house.rows[0].state is BatchState.SETTLING
    house.restart()
    house.settle(3)

    assert [one["48"] for one in house.host.settled] == [house.host.settled[0]["48"]] * 2
    assert house.rows[0].state is BatchState.CLOSED
    house.pay("k2", 100)
    assert house.stored("k2").rest is Rest.DONE


def test_I8_the_database_lets_no_message_into_a_batch_that_settles() -> None:
    """A process that knows nothing of the settlement tries all the same: its sale is not sent."""
    house = House()
    house.pay("k1", 100)
    house.host.says = [""] * 5
    house.order()
    house.settle(3)
    house.channel.settling.resume(TERMINAL)
    sales = house.host.counts["sale"]
    house.begin(house.engine.start(request("k2"), card()))
    house.settle(0.3)
    assert house.host.counts["sale"] == sales
    house.settle(600)

    assert house.host.counts["sale"] == sales
    assert house.stored("k2").rest is Rest.DECLINED
    assert house.rows[0].state is BatchState.CLOSED


def test_the_timetable_settles_once_a_day() -> None:
    """At 12:30 local time, once, though the job looks every second; the next day again."""
    house = House(at="12:30")
    house.timeline.fixed = ("20260704", "122900")
    house.pay("k1", 100)
    house.settle(5)
    assert house.rows == []
    house.timeline.fixed = ("20260704", "123000")
    house.settle(5)
    assert [row.due for row in house.rows] == ["20260704"]
    house.pay("k2", 100)
    house.settle(5)
    assert len(house.rows) == 1
    house.timeline.fixed = ("20260705", "130000")
    house.settle(5)
    assert [row.due for row in house.rows] == ["20260704", "20260705"]


def test_an_unknown_sale_of_another_node_is_told_by_the_log() -> None:
    """BATCH_DEADLINE for what another living node drives goes by the exchange log (rule 13)."""
    house = House(deadline_ms=120_000)
    habit(house, Name.SILENT)
    habit(house, Name.LOSE, On.REVERSAL, times=100)
    house.pay("k1", 100)
    house.settle(183)
    row = house.database.rows["k1"]
    house.engine._drop(house.engine._live["k1"])
    house.database.nodes["b"] = type(house.database.nodes["a"])(999, 0, 2**60)
    row.owner, row.fence = "b", 999
    house.order()
    house.settle(130)

    assert any(b"batch_deadline" in what for _, key, what in house.database.late if key == "k1")
