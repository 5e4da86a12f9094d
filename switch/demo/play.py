"""Plays the morning, scene after scene, through the kiosks' control ports."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from switch.demo.scenes import Played, Scene, get, post, wish

FIRST_PATIENT = 1001
POLL_S = 0.1
POWER_CUT_WAIT_S = 60.0


class Play:
    """One morning. ``addresses``: process name → its http address."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        kill: Callable[[str], None],
        told: Callable[[Played], None],
    ) -> None:
        self._addresses = addresses
        self._kill = kill
        self._told = told

    def run(self, scenes: tuple[Scene, ...]) -> list[Played]:
        """Play ``scenes`` in order; each is told whenever something of it changed."""
        morning = [
            Played(scene=scene, patient=f"P{FIRST_PATIENT + n}") for n, scene in enumerate(scenes)
        ]
        for played in morning:
            self._told(played)
        for played in morning:
            self._one(played)
        return morning

    def _one(self, played: Played) -> None:
        started = time.monotonic()
        self._say(played, "paying")
        scene = played.scene
        if scene.habit is not None:
            habit = scene.habit
            post(self._addresses[habit.process] + habit.path, habit.body)
        if scene.power_cut:
            self._with_power_cut(played)
        else:
            for pin in scene.pins:
                self._pay(played, pin)
        played.seconds = time.monotonic() - started
        played.as_expected = (played.state, played.code) == (scene.state, scene.code) or (
            played.state == scene.state and not scene.code
        )
        self._say(played, "ended")

    def _pay(self, played: Played, pin: str) -> None:
        """One try; a tap repeated meanwhile must give the same answer (I7)."""
        url = self._addresses[played.scene.kiosk] + "/pay"
        body = wish(played, pin, retry_of=played.key)
        with ThreadPoolExecutor(played.scene.taps) as fingers:
            taps = [fingers.submit(post, url, body) for _ in range(played.scene.taps)]
            answers = [tap.result() for tap in taps]
        _read(played, answers[0])
        if any(answer.get("key") != played.key for answer in answers):
            played.state, played.text = "two payments", "a repeated tap paid again (I7)"

    def _with_power_cut(self, played: Played) -> None:
        """Pull the plug once the bank has the money, and let the kiosk find out by itself."""
        kiosk = played.scene.kiosk
        debits = self._debits()
        known = {line["key"] for line in self._told_by(kiosk)}
        with ThreadPoolExecutor(1) as finger:
            body = wish(played, played.scene.pins[0], retry_of="")
            tap: Future[Any] = finger.submit(post, self._addresses[kiosk] + "/pay", body)
            end = time.monotonic() + POWER_CUT_WAIT_S
            while self._debits() == debits and not tap.done() and time.monotonic() < end:
                time.sleep(POLL_S)
            self._kill(kiosk)
            tap.exception()
        self._say(played, "power cut")
        while time.monotonic() < end:
            time.sleep(POLL_S)
            try:
                lines = [line for line in self._told_by(kiosk) if line["key"] not in known]
            except OSError:
                continue
            if lines and lines[0]["state"] not in ("", "pending"):
                _read(played, lines[0])
                return

    def _debits(self) -> int:
        return len(get(self._addresses["bank"] + "/ledger")["debits"])

    def _told_by(self, kiosk: str) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = get(self._addresses[kiosk] + "/ledger")["told"]
        return told

    def _say(self, played: Played, now: str) -> None:
        played.now = now
        self._told(played)


def _read(played: Played, answer: Mapping[str, Any]) -> None:
    played.key = answer.get("key", played.key)
    played.state = answer.get("state", "refused")
    played.code = answer.get("code", "")
    played.text = answer.get("text", "") or answer.get("error", "")
    played.amount_fen = answer.get("amount_fen", played.amount_fen)
