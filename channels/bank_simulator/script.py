"""A script file: what a bank link is expected to do, and what the bank does meanwhile.

Steps run in order. What came is kept until a step claims it, so an expectation also finds what came
while the step before it ran. The player is sans-IO: it is told what was seen and what time is up.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from channels.bank_simulator.branch import Task
from channels.bank_simulator.habits import Habit, On, Order
from channels.bank_simulator.mistakes import mistake
from channels.bank_simulator.service import Push, PushError
from channels.bank_simulator.sight import Seen
from channels.bank_simulator.yaml_file import YamlFileError, read_yaml
from channels.iso8583.dialogue import Strict

STEPS_MAX = 1_000
UNCLAIMED_MAX = 10_000
"""Messages kept for expectations; the oldest go first (I11)."""
_SHOWN = 8

Wait = Annotated[int, Meta(ge=0, le=86_400_000)]
"""Milliseconds, a day at most."""


class Fits(Strict, frozen=True, kw_only=True):
    """Which message; what is left out does not matter."""

    kind: On = On.ANY
    terminal: str = ""
    amount_fen: int | None = None
    code: str | None = None
    """As answered; empty: not answered."""
    habit: str = ""
    answer: bool = False
    """The switch's answer to what the bank sent."""

    def fits(self, seen: Seen) -> bool:
        """Whether it is one of these."""
        return (
            self.kind in (On.ANY, seen.kind)
            and self.answer == seen.answer
            and self.terminal in ("", seen.terminal)
            and self.amount_fen in (None, seen.amount_fen)
            and self.code in (None, seen.code)
            and self.habit in ("", seen.habit)
        )

    def __str__(self) -> str:
        said = msgspec.to_builtins(self)
        default = msgspec.to_builtins(type(self)())
        return ", ".join(f"{n} {v}" for n, v in said.items() if v != default.get(n)) or "any"


class Expect(Fits, frozen=True, kw_only=True):
    """It comes, so many times."""

    times: Annotated[int, Meta(ge=1)] = 1
    within_ms: Wait = 60_000


class Never(Fits, frozen=True, kw_only=True):
    """It does not come for so long."""

    for_ms: Wait = 5_000


class AtBranch(Task, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something the bank's own kiosk does, and the code it must be answered; empty: silence."""

    code: str = "00"


class Step(Strict, frozen=True, kw_only=True):
    """One step: exactly one of these."""

    expect: Expect | None = None
    never: Never | None = None
    wait_ms: Wait | None = None
    habit: Habit | None = None
    habits: Order | None = None
    push: Push | None = None
    cut_over: bool | None = None
    drop_links: bool | None = None
    branch: AtBranch | None = None
    net_fen: int | None = None
    """What the book must come to."""
    say: str | None = None

    @property
    def name(self) -> str:
        """Which it is; raises ValueError when it is none or two, or does nothing."""
        names = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if len(names) != 1:
            raise ValueError(f"a step is one of {', '.join(self.__struct_fields__)}")
        if getattr(self, names[0]) is False:
            raise ValueError(f"{names[0]}: true, or no such step")
        return names[0]


class ScriptError(Exception):
    """A script file that is none: path inside it and the reason."""


class ScriptFile(Strict, frozen=True, kw_only=True):
    """The file."""

    title: str = ""
    steps: Annotated[tuple[Step, ...], Meta(min_length=1)]


def load_script(path: Path) -> ScriptFile:
    """Read a script (YAML or JSON). Raises ScriptError."""
    try:
        script = msgspec.convert(read_yaml(path), ScriptFile, strict=False)
        for number, step in enumerate(script.steps, 1):
            try:
                step.name  # noqa: B018 - it checks
            except ValueError as error:
                raise ScriptError(f"{path}: step {number}: {error}") from None
    except YamlFileError as error:
        raise ScriptError(str(error)) from None
    except msgspec.ValidationError as error:
        told = mistake(error, ScriptFile).replace("steps ", "step ", 1)
        raise ScriptError(f"{path}: {told}") from None
    if len(script.steps) > STEPS_MAX:
        raise ScriptError(f"{path}: more than {STEPS_MAX} steps")
    return script


class Stage(Protocol):
    """What a script may do to the bank, and how it speaks."""

    def set_habits(self, order: Order) -> None: ...

    def push(self, order: Push) -> None:
        """Raises PushError."""
        ...

    def cut_over(self) -> str: ...

    def drop_links(self) -> None: ...

    def net_fen(self) -> int: ...

    def branch(self, task: Task, told: Callable[[str], None]) -> None:
        """Do it and tell the code. Raises ValueError."""
        ...

    def say(self, text: str) -> None: ...

    def arm(self, wait_ms: int, what: Callable[[], None]) -> Callable[[], None]:
        """Call ``what`` in so long; returns what takes that back."""
        ...

    def ended(self, failure: str) -> None:
        """The script is over; empty: everything was as expected."""
        ...


class Player:
    """Plays one script. Tell it what is :meth:`seen`."""

    def __init__(self, script: ScriptFile, stage: Stage) -> None:
        self._script = script
        self._stage = stage
        self._at = -1
        self._left = 0
        self._unclaimed: list[Seen] = []
        self._came: dict[str, int] = {}
        self._disarm: Callable[[], None] = _nothing
        self._over = False

    def start(self) -> None:
        """Begin with the first step."""
        self._next()

    def seen(self, seen: Seen) -> None:
        """A message came (or was answered)."""
        if self._over or seen.sent:
            return
        name = f"{seen.kind or 'not understood'}{' answer' if seen.answer else ''}"
        self._came[name] = self._came.get(name, 0) + 1
        step = self._script.steps[self._at]
        if step.never is not None and step.never.fits(seen):
            self._fail(f"never: {step.never}: it came")
            return
        self._unclaimed.append(seen)
        del self._unclaimed[:-UNCLAIMED_MAX]
        if step.expect is not None and self._claimed(step.expect):
            self._next()

    # ---- steps -----------------------------------------------------------------------------------

    def _next(self) -> None:
        """Run steps up to one that waits."""
        self._disarm()
        self._disarm = _nothing
        while not self._over:
            self._at += 1
            if self._at == len(self._script.steps):
                self._over = True
                self._stage.ended("")
                return
            step = self._script.steps[self._at]
            if step.expect is not None:
                self._left, self._came = step.expect.times, {}
                if not self._claimed(step.expect):
                    self._disarm = self._stage.arm(step.expect.within_ms, self._late)
                    return
            elif step.branch is not None:
                self._at_branch(step.branch)
                return
            elif step.never is not None or step.wait_ms is not None:
                wait_ms = step.never.for_ms if step.never is not None else step.wait_ms
                self._disarm = self._stage.arm(wait_ms or 0, self._next)
                return
            else:
                self._act(step)

    def _at_branch(self, task: AtBranch) -> None:
        def told(code: str) -> None:
            if code == task.code:
                self._next()
            else:
                self._fail(f"branch: {task.do}: answered {code or 'nothing'}, not {task.code}")

        try:
            self._stage.branch(task, told)
        except ValueError as error:
            self._fail(f"branch: {task.do}: {error}")

    def _claimed(self, expect: Expect) -> bool:
        """Give the expectation what it may have of what came; whether it has all."""
        while self._left > 0:
            fitting = (n for n, seen in enumerate(self._unclaimed) if expect.fits(seen))
            index = next(fitting, None)
            if index is None:
                return False
            del self._unclaimed[: index + 1]
            self._left -= 1
        return True

    def _act(self, step: Step) -> None:
        stage = self._stage
        try:
            if step.habit is not None:
                stage.set_habits(Order(next=(step.habit,)))
            elif step.habits is not None:
                stage.set_habits(step.habits)
            elif step.push is not None:
                stage.push(step.push)
            elif step.cut_over:
                stage.cut_over()
            elif step.drop_links:
                stage.drop_links()
            elif step.say is not None:
                stage.say(step.say)
            elif step.net_fen is not None and stage.net_fen() != step.net_fen:
                self._fail(f"net_fen: the book comes to {stage.net_fen()}, not {step.net_fen}")
        except (PushError, ValueError) as error:
            self._fail(f"{step.name}: {error}")

    def _late(self) -> None:
        expect = self._script.steps[self._at].expect
        assert expect is not None
        came = ", ".join(f"{name} ×{n}" for name, n in list(self._came.items())[:_SHOWN])
        self._fail(f"expect: {expect}: not within {expect.within_ms} ms; came: {came or 'nothing'}")

    def _fail(self, why: str) -> None:
        self._disarm()
        self._over = True
        self._stage.ended(f"step {self._at + 1}: {why}")


def _nothing() -> None:
    """No timer is armed."""
