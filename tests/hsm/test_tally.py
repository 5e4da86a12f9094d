"""The daemon's own counts look to Prometheus like any counter and histogram."""

from prometheus_client import CollectorRegistry, generate_latest

from hsm.daemon.tally import BUCKETS_S, Tally


def test_what_was_counted_is_what_is_seen() -> None:
    """Counts by command and error, times by command, buckets that hold what is below them."""
    registry, tally = CollectorRegistry(), Tally()
    registry.register(tally)
    for command, error, seconds in (
        ("CA", "00", 0.00002),
        ("CA", "00", 0.00005),
        ("CA", "20", 0.0002),
        ("M6", "00", 3.0),
    ):
        tally.count(command, error, seconds)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("yyt_hsmd_commands_total", command="CA", error="00") == 2
    assert value("yyt_hsmd_commands_total", command="CA", error="20") == 1
    assert value("yyt_hsmd_command_seconds_count", command="CA") == 3
    assert value("yyt_hsmd_command_seconds_sum", command="M6") == 3.0
    assert value("yyt_hsmd_command_seconds_bucket", command="CA", le="5e-05") == 2
    assert value("yyt_hsmd_command_seconds_bucket", command="CA", le="0.00025") == 3
    assert value("yyt_hsmd_command_seconds_bucket", command="M6", le="0.025") == 0
    assert value("yyt_hsmd_command_seconds_bucket", command="M6", le="+Inf") == 1
    assert len(BUCKETS_S) + 1 == generate_latest(registry).count(b'bucket{command="CA"')


def test_nothing_counted_is_nothing_seen() -> None:
    """And it is no error."""
    registry = CollectorRegistry()
    registry.register(Tally())

    assert b"# TYPE yyt_hsmd_commands_total counter" in generate_latest(registry)
