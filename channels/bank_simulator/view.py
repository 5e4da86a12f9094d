"""The live view: one line for each message, for people or as JSON. Masked, made on demand."""

import json
from collections.abc import Callable
from typing import TextIO

import msgspec

from channels.bank_simulator.link_events import LinkEvent
from channels.bank_simulator.sight import Seen
from channels.iso8583.dialect import Dialect
from channels.iso8583.kind_names import CHINESE
from switch.model.money import yuan

NAMES = {
    "zh": {
        **CHINESE,
        "": "无法识别",
        "silence": "不应答",
        "of": "原",
        "answered": "对方应答",
        "sent": "本行发出",
    },
    "en": {
        "": "not understood",
        "silence": "no answer",
        "of": "of",
        "answered": "they answer",
        "sent": "sent by the bank",
    },
}
"""Kinds of messages and the few words between, by language; a kind that is missing is its own."""

LINKS = {
    "zh": {
        "link": "链路",
        "branch": "自有终端链路",
        "dialling": "正在连接",
        "failed": "连接失败",
        "up": "已建立",
        "down": "已断开",
        "refused": "对方拒绝",
        "timed_out": "超时",
        "unknown_host": "找不到主机",
        "closed": "正常关闭",
        "lost": "异常中断",
        "too_many": "链路已满",
        "dropped": "本行断开",
    },
    "en": {
        "branch": "branch link",
        "timed_out": "timed out",
        "unknown_host": "unknown host",
        "too_many": "too many links",
        "dropped": "dropped by the bank",
    },
}
"""What happens to links, and why; a word that is missing is its own."""


class View:
    """See the module. ``clock`` gives the time as text; ``as_json``: one object a line."""

    def __init__(
        self,
        dialect: Dialect,
        out: TextIO,
        clock: Callable[[], str],
        *,
        language: str,
        as_json: bool,
    ) -> None:
        self._dialect = dialect
        self._out = out
        self._clock = clock
        self._words = NAMES.get(language, NAMES["zh"])
        self._links = LINKS.get(language, LINKS["zh"])
        self._as_json = as_json
        self.gone: Callable[[], None] = lambda: None
        """Called when nobody reads the lines any more."""

    def seen(self, seen: Seen) -> None:
        """Write its line."""
        if self._as_json:
            data = {"at": self._clock(), **msgspec.to_builtins(seen)}
            self._write(json.dumps(data, ensure_ascii=False))
        else:
            self._write(f"{self._clock()} {self.sentence(seen)}")

    def sentence(self, seen: Seen) -> str:
        """What came, and what was said to it."""
        words = self._words
        name = words.get(seen.kind, seen.kind)
        if seen.sent:
            return f"{seen.mti} {name}: {words['sent']}"
        if seen.answer:
            return f"{seen.mti} {name}: {words['answered']} {self._code(seen.code)}"
        if seen.why:
            return f"{seen.mti} {name}: {seen.why}".lstrip()
        parts = [seen.mti, name, "/".join(part for part in (seen.terminal, seen.stan) if part)]
        if seen.original:
            parts.append(f"{words['of']} {seen.original}")
        if seen.amount_fen:
            parts.append(yuan(seen.amount_fen))
        parts.append(seen.card)
        said = self._code(seen.code) if seen.code else words["silence"]
        habit = f" [{seen.habit}]" if seen.habit else ""
        return " ".join(part for part in parts if part) + f" → {said}{habit}"

    def link(self, event: LinkEvent) -> None:
        """Write what happened to a link."""
        if self._as_json:
            data = {"at": self._clock(), **msgspec.to_builtins(event)}
            self._write(json.dumps(data, ensure_ascii=False))
            return
        words = [event.link, event.why]
        what = ": ".join(self._links.get(word, word) for word in words if word)
        whose = "branch" if event.branch else "link"
        self._write(f"{self._clock()} {self._links.get(whose, whose)} {event.peer} {what}")

    def say(self, text: str, passed: bool | None = None) -> None:
        """A line of a script's; ``passed``: its last one."""
        if self._as_json:
            said = {"at": self._clock(), "say": text}
            verdict = {} if passed is None else {"passed": passed}
            self._write(json.dumps(said | verdict, ensure_ascii=False))
        else:
            self._write(f"{self._clock()} {text}")

    def _code(self, code: str) -> str:
        row = self._dialect.codes.get(code)
        return f"{code} {row.text}" if row is not None else code

    def _write(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except BrokenPipeError:
            self.gone()
