"""脚本结果通知: what the card said of its issuer's scripts reaches the bank, whatever happens."""

import pytest
from msgspec.structs import replace

from channels.bank_simulator.habits import Habit, Name, On
from channels.bank_simulator.habits import Order as HabitOrder
from switch.jobs.notices import LOOK_MS, WAITS_MS, NoticeJob
from switch.model.chip import parse
from switch.model.notice import NoticeEnd
from switch.model.payment import LegState
from switch.net.frames import framed
from switch.store.notices import MemoryNotices, NoticeRows
from tests.bank.cluster import now
from tests.bank.test_chip_sale import Town


class Post:
    """A payment whose card ran a script, and the job that tells its bank."""

    def __init__(self, chip=None, state=LegState.DONE):
        self.town = Town("script", code="84240000", on="sale")
        self.rig = self.town.rig
        word = self.town.run.end.field55_reversal.reveal() if chip is None else chip
        self.payment = self.town.finished(state, word)
        self.rows = NoticeRows()
        self.notices = MemoryNotices(self.rows, now)
        self.loaded = []
        self.job = NoticeJob(
            self.notices, {"icbc": self.rig.channel.notifying}, self.load, self.rig.timeline
        )

    async def load(self, key):
        self.loaded.append(key)
        return self.payment if key == self.payment.key else None

    def owe(self):
        self.rig.run(self.notices.owe(self.payment.key, self.rig.timeline.now_ms()))

    def pass_ms(self, ms):
        for _ in range(ms // 500):
            self.rig.clock.advance(0.5)

    @property
    def sent(self):
        return [message for message in self.town.seen if message.mti == "0620"]

    def habit(self, name, times=1, **more):
        habit = Habit(habit=name, on=On.SCRIPT_NOTICE, times=times, **more)
        self.rig.host.habits.set(HabitOrder(next=(habit,)))


def test_the_bank_is_told_what_the_card_said_of_its_scripts():
    """DF31 and 95 and nothing else of the chip, with the sale's numbers; acknowledged once."""
    post = Post()
    post.owe()
    post.job.start()
    post.pass_ms(1_000)

    (notice,) = post.sent
    tags = [tag for tag, _ in parse(bytes.fromhex(notice.fields["55"]))]
    facts = post.payment.legs[0].facts
    assert tags == ["DF31", "95"]
    assert notice.fields["37"] == facts["F37"]
    assert notice.fields["61"] == facts["batch"] + facts["F11"] + facts["sent_date"]
    assert notice.fields["11"] != facts["F11"]
    assert post.rows.ended == {post.payment.key: (NoticeEnd.ACKNOWLEDGED, "00")}
    post.pass_ms(2 * WAITS_MS[0])
    assert len(post.sent) == 1


def test_without_an_answer_it_is_told_again_until_acknowledged():
    """Silent three times: the waits grow, and nothing is dropped."""
    post = Post()
    post.habit(Name.SILENT, times=3)
    post.owe()
    post.job.start()
    for wait_ms in (60_000, *WAITS_MS[:3]):
        post.pass_ms(wait_ms + 3 * LOOK_MS)

    assert len(post.sent) == 4
    assert post.rows.ended[post.payment.key][0] is NoticeEnd.ACKNOWLEDGED


def test_a_definite_refusal_ends_it_with_an_alarm(capsys):
    """12: the bank will not have it; somebody is told, and it is not sent again."""
    post = Post()
    post.habit(Name.DECLINE, code="12")
    post.owe()
    post.job.start()
    post.pass_ms(1_000)
    post.pass_ms(2 * WAITS_MS[0])

    assert post.rows.ended[post.payment.key] == (NoticeEnd.REFUSED, "12")
    assert len(post.sent) == 1
    assert "refuses the results of issuer scripts" in capsys.readouterr().out


def test_a_card_that_declined_is_told_too():
    """Scripts ran, and then the card did not confirm: the sale goes back, the results are owed."""
    post = Post(state=LegState.REFUSED)
    post.owe()
    post.job.start()
    post.pass_ms(1_000)
    assert len(post.sent) == 1


def test_it_waits_for_the_commit_of_the_cards_word():
    """The intent is there first; the word is not committed yet: nothing is sent, then it is."""
    post = Post(state=LegState.DOING)
    post.owe()
    post.job.start()
    post.pass_ms(1_000)
    assert post.sent == []
    post.payment = post.town.finished(LegState.DONE, post.payment.legs[1].facts["chip"])
    post.pass_ms(WAITS_MS[0] + 2 * LOOK_MS)
    assert len(post.sent) == 1


def test_a_card_without_scripts_owes_nothing():
    """Whatever put it there, it ends without a message."""
    post = Post(chip="9505000004E000")
    post.owe()
    post.job.start()
    post.pass_ms(1_000)
    assert post.sent == []
    assert post.rows.ended[post.payment.key][0] is NoticeEnd.NOT_OWED


def test_of_two_nodes_one_tells():
    """Both see it due; the database says who sends."""
    post = Post()
    other = NoticeJob(
        post.notices, {"icbc": post.rig.channel.notifying}, post.load, post.rig.timeline
    )
    post.owe()
    post.job.start()
    other.start()
    post.pass_ms(1_000)
    assert len(post.sent) == 1


def test_I3_a_node_without_the_terminal_leaves_it_to_the_one_that_has_it(monkeypatch):
    """Claimed there it would only wait, longer each time, and its holder never have a turn."""
    post = Post()
    facts = post.payment.legs[0].facts
    terminal = post.rig.channel._bank.terminals[facts["F42"], facts["F41"]]
    with monkeypatch.context() as away:
        away.setattr(type(terminal), "held", False)
        away.setattr(terminal, "elsewhere", True)
        assert post.rig.channel.notifying.elsewhere(post.payment)
        post.owe()
        post.job.start()
        post.pass_ms(1_000)
    assert (post.sent, post.rows.owed[post.payment.key].tries) == ([], 0)

    post.pass_ms(LOOK_MS)
    assert len(post.sent) == 1


def test_I11_so_many_are_on_their_way_at_once():
    """A bank that is silent has eight of them; the others wait in the database."""
    post = Post()
    post.habit(Name.SILENT, times=50)
    keys = [f"n{number}" for number in range(20)]
    made = {key: replace(post.payment, key=key) for key in keys}

    async def load(key):
        return made[key]

    job = NoticeJob(post.notices, {"icbc": post.rig.channel.notifying}, load, post.rig.timeline)
    for key in keys:
        post.rig.run(post.notices.owe(key, post.rig.timeline.now_ms()))
    job.start()
    post.pass_ms(20_000)
    assert len(post.sent) == 8
    job.stop()


@pytest.mark.parametrize("code", ["03", "58", "97", "A0"])
def test_what_a_person_must_put_right_drops_no_notice(code, capsys):
    """The bank does not know the terminal yet, or refuses without a MAC: told again, with an alarm
    where a person is needed, until it is acknowledged."""
    post = Post()
    post.habit(Name.DECLINE, code=code)
    post.owe()
    post.job.start()
    post.pass_ms(1_000)
    assert (len(post.sent), post.rows.ended) == (1, {})
    assert ("the bank refuses our set-up" in capsys.readouterr().out) is (code != "A0")
    post.pass_ms(WAITS_MS[0] + 2 * LOOK_MS)

    assert post.rows.ended == {post.payment.key: (NoticeEnd.ACKNOWLEDGED, "00")}


def test_I10_a_refusal_without_a_mac_drops_no_notice():
    """12 is final under a MAC; without one anybody may have said it."""
    post = Post()
    dialect = post.rig.channel._bank.dialect
    unmaced = replace(dialect.mac, unmaced=dialect.mac.unmaced | {"12"})
    trusting = replace(dialect, mac=unmaced)
    post.rig.channel._bank.hub._dialect = post.rig.host._dialect = trusting
    post.habit(Name.DECLINE, code="12")
    receive = post.rig.host.receive
    post.rig.host.receive = lambda frame: [(at, bare(post, data)) for at, data in receive(frame)]
    post.owe()
    post.job.start()
    post.pass_ms(1_000)
    assert (len(post.sent), post.rows.ended) == (1, {})


def bare(post, data):
    """A refusal of a notice without its MAC."""
    codec = post.rig.host.codec
    message = codec.decode(data[2:])
    if message.mti != "0630" or message.code != "12":
        return data
    fields = {n: value for n, value in message.fields.items() if n != "64"}
    return framed(codec.answer(post.sent[-1], "0630", fields), "binary_2")


def test_a_bank_or_terminal_out_of_the_configuration_drops_no_notice(capsys):
    """Nothing is sent, with an alarm at every try; once both are back, the bank is told."""
    post = Post()
    banks, terminals = post.job._banks, post.rig.channel._bank.terminals
    kept, own = dict(banks), dict(terminals)
    banks.clear()
    post.owe()
    post.job.start()
    post.pass_ms(1_000)
    assert "a notice is owed to a bank that is not configured" in capsys.readouterr().out
    banks.update(kept)
    terminals.clear()
    post.pass_ms(WAITS_MS[0] + 2 * LOOK_MS)
    assert "a notice is owed by a terminal that is not configured" in capsys.readouterr().out
    assert (post.sent, post.rows.ended) == ([], {})
    terminals.update(own)
    post.pass_ms(WAITS_MS[1] + 2 * LOOK_MS)

    assert post.rows.ended == {post.payment.key: (NoticeEnd.ACKNOWLEDGED, "00")}
