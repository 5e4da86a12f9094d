"""The simulator's live view: what came, what was said; nothing secret."""

import io
import json

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from channels.bank_simulator.link_events import LinkEvent
from channels.bank_simulator.service import LINKS_MAX, BankListener, BankService
from channels.bank_simulator.view import View
from tests.bank.teller import CODE, PAN, PIN, Teller
from tests.bank.test_simulator_book import DIALECTS


def watched(dialect="cup-pos", language="zh", as_json=False):
    """A bank somebody watches, and what is written."""
    teller = Teller(dialect)
    out = io.StringIO()
    view = View(teller.dialect, out, lambda: "12:00:00", language=language, as_json=as_json)
    teller.host.watch = view.seen
    return teller, out


def test_a_sale_is_one_line_in_both_languages():
    """Type, business, terminal and STAN, amount in yuan, masked card, answer with its text."""
    for language, name in (("zh", "消费"), ("en", "sale")):
        teller, out = watched(language=language)
        teller.business("sale", 1_234, stan="000050")

        line = f"12:00:00 0200 {name} 10000001/000050 12.34 622588******7890 → 00 交易成功\n"
        assert out.getvalue() == line


def test_bad_habits_and_silence_are_shown():
    """What was done wrong stands at the end of the line."""
    teller, out = watched(language="en")
    teller.habit("lose")
    teller.send("sale", amount="000000000100")
    teller.habit("decline", code="51")
    teller.business("sale", 100)

    lines = out.getvalue().splitlines()
    assert lines[0].endswith("→ no answer [lose]")
    assert lines[1].endswith("→ 51 余额不足 [decline]")


def test_a_reversal_names_what_it_reverses():
    """The STAN of its original."""
    teller, out = watched()
    teller.business("sale", 100, stan="000050")
    teller.reverse("000050")

    assert "冲正 10000001 原 000050 1.00 622588******7890 → 00" in out.getvalue()


@pytest.mark.parametrize(
    ("event", "zh", "en"),
    [
        (LinkEvent(link="dialling", peer="h:1"), "链路 h:1 正在连接", "link h:1 dialling"),
        (
            LinkEvent(link="failed", peer="h:1", why="unknown_host", branch=True),
            "自有终端链路 h:1 连接失败: 找不到主机",
            "branch link h:1 failed: unknown host",
        ),
        (
            LinkEvent(link="failed", peer="h:1", why="too_many"),
            "链路 h:1 连接失败: 链路已满",
            "link h:1 failed: too many links",
        ),
        (LinkEvent(link="down", peer="h:1", why="lost"), "链路 h:1 已断开: 异常中断",
         "link h:1 down: lost"),
        (LinkEvent(link="down", peer="h:1", why="no route"), "链路 h:1 已断开: no route",
         "link h:1 down: no route"),
    ],
)  # fmt: skip
def test_what_happens_to_links_is_one_line_in_both_languages(event, zh, en):
    """Whose link, who is at its other end, what and why."""
    for language, line in (("zh", zh), ("en", en)):
        out = io.StringIO()
        view = View(None, out, lambda: "12:00:00", language=language, as_json=False)
        view.link(event)

        assert out.getvalue() == f"12:00:00 {line}\n"


def test_the_sixty_fifth_link_is_refused_and_shown():
    """I11: no more than so many; whoever watches knows why nobody answers."""
    told = []
    service = BankService(Teller("cup-pos").host, Clock(), "binary_2")
    service.watch = told.append
    service.links = [None] * LINKS_MAX

    assert BankListener(service).buildProtocol(IPv4Address("TCP", "10.0.0.9", 5)) is None
    assert told == [LinkEvent(link="failed", peer="10.0.0.9:5", why="too_many")]


def test_nonsense_says_why():
    """The rule that was broken, never a value."""
    teller, out = watched(language="en")
    teller.host.receive(b"\0" * 20)

    assert out.getvalue().startswith("12:00:00 not understood: ")


def test_pushed_keys_and_their_answer_are_shown():
    """Who began it can be told."""
    teller, out = watched("cups-host")
    answers = teller.host.push("key_reset", teller.host.keyring.owners[0])
    teller.answer(answers[0][1])

    lines = [line[9:] for line in out.getvalue().splitlines()]
    assert lines == [
        "0800 重置密钥: 本行发出",
        "0810 重置密钥: 对方应答 00 交易成功",
        "0800 重置密钥: 本行发出",
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_I12_no_line_holds_a_secret(dialect):
    """JSON and text, every business: no card number, track, PIN block or code."""
    for as_json in (False, True):
        teller, out = watched(dialect, as_json=as_json)
        teller.business("sale", 100, stan="000050")
        out.seek(0)
        out.truncate()
        original = teller.about("000050")
        for kind in teller.dialect.operations:
            teller.send(kind, amount="000000000100", qr_code=CODE, **original)
        text = out.getvalue()
        assert text.count("\n") == len(teller.dialect.operations)
        said = [values for _, values, _ in teller.said.values()]
        blocks = [values["pin_block"] for values in said if "pin_block" in values]
        for secret in (PAN, CODE, PIN, *blocks):
            assert secret not in text
        if as_json:
            rows = [json.loads(line) for line in text.splitlines()]
            assert {row["kind"] for row in rows} == set(teller.dialect.operations)
