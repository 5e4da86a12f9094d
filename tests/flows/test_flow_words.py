"""Whatever the kiosk can say, the page has a word for: collected from the source and looked up in
the dictionaries of both languages, without a browser."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import fields

import terminal_agent
from terminal_agent import card_payment, desk
from terminal_agent.config import Devices
from terminal_agent.devices import interfaces
from terminal_agent.flows import state as flow_state
from terminal_agent.flows import views
from terminal_agent.flows.businesses import FLOWS, Goal, Source
from terminal_agent.flows.events import Stage
from terminal_agent.flows.view import Screen
from terminal_agent.protocol import FINAL

AGENT = Path(terminal_agent.__file__).parent
STATIC = AGENT / "page" / "static"
FLOW_FILES = tuple((AGENT / "flows").glob("*.py"))
PICKS = tuple(pick for flow in FLOWS.values() for pick in flow.picks)
PICKED = {pick.step for pick in PICKS}
TOLD = FINAL | {"pending"}
_WORD = re.compile(r'(\w+): (?:\{|"((?:[^"\\]|\\.)*)")|\}')


def book(language: str) -> dict[str, dict[str, str]]:
    """A dictionary of the page: kind → word → sentence."""
    text = (STATIC / f"words_{language}.js").read_text("utf-8")
    found: dict[str, dict[str, str]] = {}
    kind: str | None = None
    for word in _WORD.finditer(text[text.index("{") + 1 :]):
        name, sentence = word.groups()
        if name is None:
            kind = None
        elif kind is None:
            kind = name
            found[kind] = {}
        else:
            found[kind][name] = sentence
    return found


BOOKS = {language: book(language) for language in ("zh", "en")}


def parsed(*files: Path) -> Iterator[ast.AST]:
    """Every node of these files."""
    for file in files:
        yield from ast.walk(ast.parse(file.read_text("utf-8")))


def texts(node: ast.AST) -> Iterator[str]:
    """Texts that an expression can be, as far as it says so itself."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp(body=body, orelse=otherwise):
            yield from (*texts(body), *texts(otherwise))
        case ast.BoolOp(values=values):
            for value in values:
                yield from texts(value)


def given(name: str) -> set[str]:
    """What the flows give a field: by keyword, or in the fields of a screen."""
    found: set[str] = set()
    for node in parsed(*FLOW_FILES):
        match node:
            case ast.keyword(arg=arg, value=value) if arg == name:
                found.update(texts(value))
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == name:
                        found.update(texts(value))
    return found - {""}


def returned(function: str) -> set[str]:
    """The words that a function of the flows returns."""
    found: set[str] = set()
    for node in parsed(*FLOW_FILES):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for part in ast.walk(node):
                if isinstance(part, ast.Return) and part.value is not None:
                    found.update(texts(part.value))
    return found - {""}


def flow_errors() -> set[str]:
    """Codes with which the desk and the shell refuse a patient."""
    files = (AGENT / "desk.py", AGENT / "visits.py")
    calls = (node for node in parsed(*files) if isinstance(node, ast.Call))
    found: set[str] = set(desk._SAID)
    for call in calls:
        match call.func:
            case ast.Name(id="FlowError"):
                found.update(texts(call.args[0]))
            case ast.Attribute(attr="Failed" | "Ended"):
                for keyword in call.keywords:
                    if keyword.arg == "code":
                        found.update(texts(keyword.value))
    return found


SAID: dict[str, set[str]] = {
    "notice": {
        *given("notice"),
        *flow_errors(),
        *(set(interfaces.Completion) - {interfaces.Completion.SUCCESS}),
        *card_payment._REASONS.values(),
        card_payment._UNUSABLE,
        *(f"no_{pick.step}" for pick in PICKS if pick.source is not Source.AMOUNTS),
    },
    "next": {*views._NEXT.values(), *returned("_next")},
    "outcome": {*TOLD, *given("outcome"), "failed", "cancelled"},
    "label": {*PICKED, *given("label")},
    "step": {step for flow in FLOWS.values() for step in flow.steps},
    "medium": set(flow_state.ROLES),
    "business": set(FLOWS),
    "about": set(FLOWS),
    "role": {field.name for field in fields(Devices) if field.name != "timeout_ms"},
    "payment_state": set(TOLD),
    "slip": {"waiting", "printed", "failed"},
    "printing": {"waiting", "printed", "failed"},
    "outcome_business": {flow.business for flow in FLOWS.values() if flow.goal is Goal.PAY}
    - {"outpatient_bill"},
    "amount": {
        flow.business
        for flow in FLOWS.values()
        if flow.goal is Goal.PAY and flow.picks[-1].source is Source.AMOUNTS
    },
    "version": {"yinyitong", "protocol", "python"},
    "title": {str(screen) for screen in Screen if screen is not Screen.RESULT},
}
PROMPTS = {*given("prompt"), *Stage, *(f"pick_{step}" for step in PICKED)}


def device_states() -> set[str]:
    """What drivers say of their devices: the common words, the printers', and what they return."""
    returned: set[str] = set()
    for node in parsed(*(AGENT / "devices").glob("*.py")):
        match node:
            case ast.Assign(targets=[ast.Attribute(attr="_health")], value=value):
                returned.update(texts(value))
        if isinstance(node, ast.FunctionDef) and node.name in ("status", "_healthy"):
            returns = (one for one in ast.walk(node) if isinstance(one, ast.Return) and one.value)
            for one in returns:
                assert one.value is not None
                returned.update(texts(one.value))
    return {*interfaces.State, *interfaces.PrinterState, *returned}


@pytest.mark.parametrize("language", BOOKS)
@pytest.mark.parametrize("kind", SAID)
def test_every_word_is_there(language: str, kind: str) -> None:
    """Of each kind, in each language."""
    missing = SAID[kind] - BOOKS[language][kind].keys()

    assert missing == set()


@pytest.mark.parametrize("language", BOOKS)
def test_every_prompt_is_there(language: str) -> None:
    """Among the titles or among the prompts, as the page looks it up."""
    known = BOOKS[language]["title"].keys() | BOOKS[language]["prompt"].keys()

    assert PROMPTS - known == set()


@pytest.mark.parametrize("language", BOOKS)
def test_every_state_of_a_device_is_there(language: str) -> None:
    """For the attendant."""
    assert device_states() - BOOKS[language]["state"].keys() == set()


def test_the_dictionaries_were_read() -> None:
    """The reader and the collector can fail: they found what is known to be there."""
    assert BOOKS["zh"]["outcome"]["approved"] == "缴费成功"
    assert BOOKS["en"]["medium"]["visit"] == "Visit card"
    assert {"wrong_code", "cancelling", "restarting", "locked", "offline"} <= SAID["notice"]
    assert {"no_patient", "no_choice", "defect", "unavailable", "busy"} <= SAID["notice"]
    assert {"identify", "take_card", "keep_card", "paying", "asking_hospital"} <= PROMPTS
    assert {"offline", "cashBoxFull", "paperOut"} <= device_states()
    assert {"name", "patient_id", "bank_card"} <= SAID["label"]
    assert "counter_for_slip" in SAID["next"]
