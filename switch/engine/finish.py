"""What is said of a payment when it comes to rest: one log line, and its figures."""

from switch.engine.driver import Driver
from switch.model.payment import Rest
from switch.observe import metrics


def end_of(driver: Driver) -> str:
    """done, declined, undone, unproven or exception."""
    rest = driver.payment.rest
    if rest is Rest.UNDONE and driver.payment.unproven:
        return "unproven"
    return str(rest)


def observe_end(driver: Driver, now: int) -> None:
    """Count the end; own time is what is left when the time with others is taken away."""
    payment = driver.payment
    metrics.PAYMENTS.labels(payment.hospital, payment.business, end_of(driver)).inc()
    own_ms = max(0, now - payment.born_at - driver.outside_ms)
    metrics.OWN_SECONDS.observe(own_ms / 1000)


def finish_line(driver: Driver, now: int) -> dict[str, object]:
    """The fields of the one event a finished payment logs (no card data: I12)."""
    payment = driver.payment
    return {
        "key": payment.key,
        "hospital": payment.hospital,
        "business": payment.business,
        "terminal": payment.terminal,
        "amount_fen": payment.amount_fen,
        "end": end_of(driver),
        "code": payment.code,
        "path": driver.path,
        "total_ms": now - payment.born_at,
        "outside_ms": driver.outside_ms,
        "version": payment.version,
    }
