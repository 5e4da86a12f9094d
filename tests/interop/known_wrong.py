"""Vectors on which the daemon is known to be wrong: test name (with parameters) to reason."""

_SINGLE_ZMK = "an untagged 16-digit (single-length) ZMK is not understood"
_BU_BLOCK = "BU FF F of a key block asks for ';FFF', which is optional"

KNOWN_WRONG: dict[str, str] = (
    {
        f"test_the_open_simulator_answered_this[{name}]": _SINGLE_ZMK
        for name in (
            "A6-single-zmk",
            "A8-single-zmk",
            "FC-single-zmk",
            "FC-single-zmk-6",
            "FE-16",
            "FE-6",
            "FK-zek",
            "FK-zak",
        )
    }
    | {
        f"test_check_value_of_a_block[{lmk_id}-{tail}-{length}]": _BU_BLOCK
        for lmk_id in ("01", "02")
        for tail in ("", "%")
        for length in (8, 16, 24)
    }
    | {"test_logs_that_nobody_reads_stop_nothing": "a full stdout pipe blocks the daemon"}
)
