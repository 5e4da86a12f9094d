"""Application selection (EMV book 1, 12): by the card's directory (PSE), else by the own list."""

from typing import Final

from msgspec import Struct

from terminal_agent.emv import apdu
from terminal_agent.emv.actions import ChoiceNeeded, EndKind, Flow, Stop
from terminal_agent.emv.context import Context
from terminal_agent.emv.profile import Application
from terminal_agent.emv.tlv import Tlv, TlvError, find, parse, walk

PSE: Final = b"1PAY.SYS.DDF01"
_RECORDS_MAX: Final = 255
_CONFIRM: Final = 0x80


class Candidate(Struct, frozen=True, kw_only=True):
    """An application that card and terminal have in common."""

    name: bytes
    label: str
    priority: int
    """1 is the card's first; 0: the card has no opinion."""
    confirm: bool
    """The card wants the holder to agree, even when there is no other."""
    application: Application


def candidates(context: Context) -> Flow[list[Candidate]]:
    """The common applications, the card's first choice first. Raises Stop when there is none."""
    found = yield from _by_directory(context)
    if not found:
        found = yield from _by_list(context)
    if not found:
        raise Stop("no_application", stripe_allowed=context.profile.fallback.no_application)
    return sorted(found, key=lambda candidate: candidate.priority or 16)


def choose(context: Context, among: list[Candidate]) -> Flow[Candidate]:
    """The holder's choice when there is one to make, else the first. Raises Stop (cancelled)."""
    asked = context.profile.cardholder_choice and len(among) > 1
    if not asked and not among[0].confirm:
        return among[0]
    shown = among if asked else among[:1]
    choice = yield ChoiceNeeded(tuple(candidate.label for candidate in shown))
    if choice is None:
        raise Stop("holder_cancelled", EndKind.CANCELLED)
    return shown[choice]


def select(context: Context, candidate: Candidate) -> Flow[bool]:
    """Select it for the payment: its FCI becomes card data. False: it cannot be used."""
    answer = yield from context.say(apdu.select(candidate.name))
    context.note("select", f"{candidate.name.hex().upper()} {answer.sw:04X}")
    if answer.sw == apdu.BLOCKED_CARD:
        raise Stop("card_blocked")
    fci = _fci(answer) if answer.sw == apdu.OK else None
    if fci is None:
        return False
    for item in walk((fci,)):
        context.card.setdefault(item.tag, item.value)
    context.own["9F06"] = candidate.application.name
    context.own["9F09"] = bytes.fromhex(candidate.application.version)
    return True


def _fci(answer: apdu.Answer) -> Tlv | None:
    """The FCI of an application: 6F with 84 and A5, or None."""
    try:
        fci = find(parse(answer.data), "6F")
    except TlvError:
        return None
    if fci is None or not find(fci.children, "84") or not find(fci.children, "A5"):
        return None
    return fci


def _by_directory(context: Context) -> Flow[list[Candidate]]:
    """What the PSE lists and the terminal accepts; empty when the card has none to be read."""
    answer = yield from context.say(apdu.select(PSE))
    context.note("select_pse", f"{answer.sw:04X}")
    if answer.sw == apdu.BLOCKED_CARD:
        raise Stop("card_blocked")
    fci = _fci(answer) if answer.sw == apdu.OK else None
    file = find(fci.children, "A5", "88") if fci else None
    if file is None or len(file.value) != 1 or not 1 <= file.value[0] <= 10:
        return []
    found: list[Candidate] = []
    for record in range(1, _RECORDS_MAX + 1):
        answer = yield from context.say(apdu.read_record(file.value[0], record))
        if answer.sw == apdu.NO_RECORD or len(found) >= context.profile.limits.candidates_max:
            break
        if answer.sw != apdu.OK:
            return []
        found += _listed(context, answer)
    context.note("pse_candidates", str(len(found)))
    return found[: context.profile.limits.candidates_max]


def _listed(context: Context, answer: apdu.Answer) -> list[Candidate]:
    """The accepted entries of one record of the directory; a broken record has none."""
    try:
        record = find(parse(answer.data), "70")
    except TlvError:
        return []
    found = []
    for entry in record.children if record else ():
        name = find(entry.children, "4F") if entry.tag == "61" else None
        candidate = _candidate(context, name.value, entry.children) if name else None
        if candidate is not None:
            found.append(candidate)
    return found


def _by_list(context: Context) -> Flow[list[Candidate]]:
    """Ask for each accepted application; partial names are followed to the next (P2 = 02)."""
    found: dict[bytes, Candidate] = {}
    limit = context.profile.limits.candidates_max
    for application in context.profile.applications:
        following = False
        for _ in range(limit):
            answer = yield from context.say(apdu.select(application.name, following))
            if answer.sw == apdu.BLOCKED_CARD and not following:
                raise Stop("card_blocked")
            fci = _fci(answer)
            name = find(fci.children, "84") if fci else None
            if answer.sw not in (apdu.OK, apdu.BLOCKED_APPLICATION) or fci is None or not name:
                break
            candidate = _candidate(context, name.value, fci.children)
            known = name.value in found
            if candidate is not None and answer.sw == apdu.OK and len(found) < limit:
                found.setdefault(name.value, candidate)
            if name.value == application.name or not application.partial or (known and following):
                break
            following = True
    context.note("list_candidates", str(len(found)))
    return list(found.values())


def _candidate(context: Context, name: bytes, about: tuple[Tlv, ...]) -> Candidate | None:
    """``name`` as a candidate when the terminal accepts it; the longest accepted AID counts."""
    fitting = [
        application
        for application in context.profile.applications
        if name == application.name or (application.partial and name.startswith(application.name))
    ]
    if not fitting:
        return None
    objects = {item.tag: item.value for item in reversed(list(walk(about)))}
    indicator = int.from_bytes(objects.get("87", b"\0")[:1], "big")
    return Candidate(
        name=name,
        label=label_of(objects) or name.hex().upper(),
        priority=indicator & 0x0F,
        confirm=bool(indicator & _CONFIRM),
        application=max(fitting, key=lambda application: len(application.name)),
    )


def label_of(objects: dict[str, bytes]) -> str:
    """What the holder knows it by: the preferred name in Latin letters (9F12, 9F11), else 50."""
    preferred = objects.get("9F12", b"") if objects.get("9F11") == b"\x01" else b""
    text = (preferred or objects.get("50", b"")).decode("latin-1")
    return "".join(letter for letter in text if letter.isprintable()).strip()
