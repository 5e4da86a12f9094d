"""NC, NO, B2: is it there, what is it, does the line work."""

from hsm import layouts
from hsm.commands.bench import FIRMWARE, Bench, performs
from hsm.kinds import Values


@performs(layouts.NC)
def diagnostics(_values: Values, bench: Bench) -> Values:
    """Check value of the LMK and the version."""
    return {"lmk_check_value": bench.lmk.check_value, "firmware": FIRMWARE}


@performs(layouts.NO)
def status(_values: Values, bench: Bench) -> Values:
    """Buffer of 32K, TCP, the number of sockets; PCI settings: none, this is software."""
    digits = bench.policy.profile.no_sockets_digits
    return {
        "buffer": "3",
        "protocol": "1",
        "sockets": f"{min(bench.policy.sockets_max, 10**digits - 1):0{digits}d}",
        "firmware": FIRMWARE,
        "reserved": "00000",
        "pci_setting": "0",
    }


@performs(layouts.B2)
def echo(values: Values, _bench: Bench) -> Values:
    """The data, unchanged."""
    return {"echo": values["data"]}
