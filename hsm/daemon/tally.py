"""Counts of answered commands, kept in plain lists: a counter and a histogram of the Prometheus
client cost a tenth of a PIN translation each, and are wanted only when somebody looks."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BUCKETS_S: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025)
_BUCKET_NAMES: Final = (*(str(bound) for bound in BUCKETS_S), "+Inf")


class Tally(Collector):
    """Commands answered, by command and error; the time each took, by command."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[int]] = {}
        """Of each command and error, how many fell into each bucket."""
        self._seconds: dict[str, float] = {}

    def count(self, command: str, error: str, seconds: float) -> None:
        """One answered command. Both names come from bounded lists."""
        try:
            buckets = self._counts[command, error]
        except KeyError:
            buckets = self._counts[command, error] = [0] * len(_BUCKET_NAMES)
            self._seconds.setdefault(command, 0.0)
        buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self._seconds[command] += seconds

    def collect(self) -> Iterator[Metric]:
        """What Prometheus sees."""
        answered = CounterMetricFamily(
            "yyt_hsmd_commands", "加密机指令 host commands answered", labels=("command", "error")
        )
        took = HistogramMetricFamily(
            "yyt_hsmd_command_seconds", "指令处理耗时 time inside the daemon", labels=("command",)
        )
        together: dict[str, list[int]] = {}
        for (command, error), buckets in self._counts.items():
            answered.add_metric((command, error), sum(buckets))
            so_far = together.get(command, [0] * len(buckets))
            together[command] = [a + b for a, b in zip(so_far, buckets, strict=True)]
        for command, buckets in together.items():
            named = list(zip(_BUCKET_NAMES, accumulate(buckets), strict=True))
            took.add_metric((command,), buckets=named, sum_value=self._seconds[command])
        yield answered
        yield took
