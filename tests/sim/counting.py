"""What a world held, for whoever asks whether worlds are rich enough."""

from collections import Counter

from switch.model.payment import LegState, Rest
from switch.store.memory import MemoryDatabase
from tests.sim.bank_host import BankHost
from tests.sim.origins import Purchase


def counted(database: MemoryDatabase, bank: BankHost, purchases: list[Purchase]) -> dict[str, int]:
    """By name; ``bank_…``: operations that stand at the bank."""
    rows = database.rows.values()
    finishes = [leg for p in database.payments() for leg in p.legs if leg.kind == "finish"]
    resets = [push for push in bank.pushes.sent.values() if push.key]
    undos = Counter(
        f"undone_by_{leg.facts['undone_by']}"
        for payment in database.payments()
        for leg in payment.legs
        if leg.state is LegState.UNDONE and "undone_by" in leg.facts
    )
    stands = Counter(f"bank_{one.operation}" for one in bank.entries.values() if one.net_fen > 0)
    return {
        "payments": len(rows),
        **{str(rest): sum(row.rest is rest for row in rows) for rest in Rest},
        "finished": sum(leg.state is LegState.DONE for leg in finishes),
        "unfinished": sum(leg.state is LegState.REFUSED for leg in finishes),
        "notices": len(bank.notices),
        "late": len(database.late),
        "batches": len(bank.desk.closed),
        "reversals": len(bank.reversals),
        "resets_taken": sum(push.answer == "00" for push in resets),
        "resets_refused": sum(push.answer not in ("", "00") for push in resets),
        "resets_unheard": sum(push.answer == "" for push in resets),
        "taken_back": sum(one.taken_back for one in purchases),
        **stands,
        **undos,
    }
