"""Script files: expectations that fail readably, and what the bank does meanwhile."""

from pathlib import Path

import pytest

from channels.bank_simulator.script import Player, ScriptError, Step, load_script
from channels.bank_simulator.service import PushError
from channels.bank_simulator.sight import Seen


class Stage:
    """A stage that writes down; ``late()`` lets the armed timer ring."""

    def __init__(self):
        self.done = []
        self.end = None
        self.timer = None
        self.fen = 0

    def set_habits(self, order):
        self.done.append(("habits", order.next[0].habit if order.next else "clear"))

    def push(self, order):
        if order.terminal:
            raise PushError("no link is up")
        self.done.append(("push", order.kind))

    def cut_over(self):
        self.done.append(("cut_over",))

    def drop_links(self):
        self.done.append(("drop_links",))

    def net_fen(self):
        return self.fen

    def branch(self, task, told):
        if task.do == "settle":
            raise ValueError("no --branch")
        self.done.append(("branch", task.do))
        self.told = told

    def say(self, text):
        self.done.append(("say", text))

    def arm(self, wait_ms, what):
        self.timer = (wait_ms, what)
        return lambda: setattr(self, "timer", None)

    def ended(self, failure):
        self.end = failure

    def late(self):
        _, what = self.timer
        self.timer = None
        what()


def play(tmp_path, text):
    path = tmp_path / "script.yaml"
    path.write_text(text, encoding="utf-8")
    stage = Stage()
    player = Player(load_script(path), stage)
    player.start()
    return stage, player


def sale(amount_fen=100, code="00", **more):
    return Seen(kind="sale", amount_fen=amount_fen, code=code, **more)


def test_steps_run_up_to_one_that_waits(tmp_path):
    """Acts at once, then the expectation, then the book."""
    stage, player = play(
        tmp_path,
        """
title: a lost answer
steps:
- say: 开始
- habit: {habit: silent, on: sale}
- push: {kind: key_reset}
- cut_over: true
- drop_links: true
- expect: {kind: sale, amount_fen: 100, times: 2}
- net_fen: 200
""",
    )
    assert stage.done == [
        ("say", "开始"),
        ("habits", "silent"),
        ("push", "key_reset"),
        ("cut_over",),
        ("drop_links",),
    ]
    stage.fen = 200
    player.seen(sale())
    player.seen(sale(amount_fen=101))
    assert stage.end is None

    player.seen(sale())

    assert stage.end == ""
    assert stage.timer is None


def test_a_failure_says_which_step_and_what_came(tmp_path):
    """Somebody reads it in a terminal or in CI."""
    stage, player = play(tmp_path, "steps:\n- expect: {kind: reversal, within_ms: 900}\n")
    player.seen(Seen(kind="echo", code="00"))
    player.seen(Seen(kind="echo", code="00"))
    player.seen(Seen(kind="", why="x"))
    stage.late()

    said = "step 1: expect: kind reversal, within_ms 900: not within 900 ms; "
    assert stage.end == said + "came: echo ×2, not understood ×1"
    player.seen(Seen(kind="reversal"))
    assert stage.end.startswith("step 1")


def test_what_came_while_waiting_is_not_lost(tmp_path):
    """The reversal came during the wait; the expectation after it finds it."""
    stage, player = play(
        tmp_path,
        "steps:\n- expect: {kind: sale}\n- wait_ms: 500\n- expect: {kind: reversal}\n",
    )
    player.seen(sale())
    player.seen(Seen(kind="reversal", code="00"))
    assert stage.end is None
    stage.late()

    assert stage.end == ""


def test_never_fails_when_it_comes_and_passes_when_time_is_up(tmp_path):
    """A second debit must not be there."""
    text = "steps:\n- never: {kind: sale, for_ms: 5}\n"
    stage, player = play(tmp_path, text)
    player.seen(sale())
    assert stage.end == "step 1: never: kind sale, for_ms 5: it came"

    stage, player = play(tmp_path, text)
    player.seen(Seen(kind="echo"))
    stage.late()
    assert stage.end == ""


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("net_fen: 5", "step 1: net_fen: the book comes to 0, not 5"),
        ("push: {terminal: x}", "step 1: push: no link is up"),
    ],
)
def test_a_step_that_cannot_be_done_fails(tmp_path, step, said):
    """With the reason."""
    stage, _ = play(tmp_path, f"steps:\n- {step}\n- say: never\n")

    assert stage.end == said
    assert stage.done == []


def test_the_banks_own_kiosk_is_part_of_a_script(tmp_path):
    """The step waits for the answer and compares its code."""
    text = "steps:\n- branch: {do: pay, patient: P1, bill: M1, amount_fen: 5, code: 05}\n- say: a\n"
    stage, _ = play(tmp_path, text)
    assert (stage.done, stage.end) == ([("branch", "pay")], None)
    stage.told("05")
    assert stage.end == ""

    stage, _ = play(tmp_path, text)
    stage.told("")
    assert stage.end == "step 1: branch: pay: answered nothing, not 05"
    stage, _ = play(tmp_path, "steps:\n- branch: {do: settle}\n")
    assert stage.end == "step 1: branch: settle: no --branch"


def test_answers_and_what_the_bank_sends_are_told_apart(tmp_path):
    """Its own push does not fit; the switch's answer does when it is asked for."""
    stage, player = play(tmp_path, "steps:\n- expect: {kind: key_reset, answer: true, code: 00}\n")
    player.seen(Seen(kind="key_reset", sent=True))
    player.seen(Seen(kind="key_reset", answer=True, code="A7"))
    assert stage.end is None
    player.seen(Seen(kind="key_reset", answer=True, code="00"))

    assert stage.end == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [{}]", "step 1: a step is one of"),
        ("steps: [{say: a, wait_ms: 1}]", "step 1: a step is one of"),
        (
            "steps: [{say: a}, {expect: {kind: sael}}]",
            "step 2: expect: kind: .*; one of any, .*sale",
        ),
        ("steps: [{sing: a}]", "step 1: .* unknown field `sing`; one of branch, .*, wait_ms"),
        ("steps: [{habits: {next: [{habit: lost}]}}]", "habits: next 1: habit: .*; one of .*lose"),
        ("steps: [{branch: {do: fly}}]", "branch: do: .*; one of pay, "),
        ("", "nothing is in it"),
        ("steps: []", "steps: .* length >= 1"),
        ("steps: [{wait_ms: -1}]", "step 1: wait_ms: .* >= 0"),
        ("steps: [{expect: {times: 0}}]", "step 1: expect: times: .* >= 1"),
        ("steps: [{habit: {habit: lose, times: 0}}]", "step 1: habit: times: .* >= 1"),
        ("steps: [{cut_over: false}]", "step 1: cut_over: true, or no such step"),
        ("steps:\n- wait_ms: 1\n  wait_ms: 2", "line 3, column 3: a name that stands here twice"),
        ("steps: [{expect: {amount_fen: 1.00}}]", "line 1, column 31: not a whole number"),
        ("steps: [", "line 1, column 9: expected the node content"),
        ("steps: [" + "{say: a}," * 1_001 + "]", "more than 1000 steps"),
    ],
)
def test_a_bad_script_is_named(tmp_path, text, said):
    """File, place, reason."""
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ScriptError, match=said):
        load_script(path)


def test_the_pages_example_is_a_script(tmp_path):
    """Whoever copies it has one that runs; every kind of step is explained."""
    text = (Path(__file__).parents[2] / "docs" / "bank-simulator.md").read_text(encoding="utf-8")
    (example,) = [block for block in text.split("```yaml\n") if block.startswith("title:")]
    path = tmp_path / "script.yaml"
    path.write_text(example.partition("```")[0], encoding="utf-8")

    assert len(load_script(path).steps) == 7
    scripts = text.partition("## Scripts")[2].partition("## Its world")[0]
    assert all(name in scripts for name in Step.__struct_fields__)
