"""docs/kiosk.md is the reference: every name, field, state, code and key stands there."""

import re
from pathlib import Path

import msgspec
import pytest

from channels.kiosk import plugin
from terminal_agent import protocol
from terminal_agent.config import load

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "kiosk.md").read_text("utf-8")
CODED = set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))


def fields(kind: type[msgspec.Struct]) -> set[str]:
    """Names of a struct's fields."""
    return {field.name for field in msgspec.structs.fields(kind)}


def rows(heading: str) -> dict[str, str]:
    """The table below a heading: first code word of a row → the row."""
    section = PAGE.split(heading, 1)[1].split("\n#", 1)[0]
    return {
        match[1]: line
        for line in section.splitlines()
        if (match := re.match(r"\| `([^`]+)`", line))
    }


def test_every_request_is_documented_with_its_fields() -> None:
    """Neither side has one that the other has not."""
    table = rows("### Requests")

    assert set(table) == set(protocol.REQUESTS)
    for name, kind in protocol.REQUESTS.items():
        assert set(re.findall(r"`([^`]+)`", table[name].split("|")[2])) == fields(kind)


def test_envelope_card_and_answer_are_documented() -> None:
    """Every field of them."""
    assert set(rows("### Envelope")) == fields(protocol.Envelope)
    assert fields(protocol.Card) | fields(protocol.Told) | fields(protocol.Fault) <= CODED
    assert protocol.PAYMENT_ANSWER in CODED
    assert set(rows("### The answer")) == protocol.FINAL | {"pending"}


def test_every_fault_code_in_the_source_is_documented() -> None:
    """Codes are found where they are made."""
    source = "".join(
        path.read_text("utf-8")
        for folder in ("channels/kiosk", "terminal_agent/protocol")
        for path in (ROOT / folder).glob("*.py")
    )
    made = set(re.findall(r"(?:ProtocolError\(\s*|Fault\(code=)\"(\w+)\"", source))

    assert made == set(rows("### Errors"))


def test_events_and_settings_are_documented() -> None:
    """Every event with its fields, every setting that may be pushed with its limits."""
    events = rows("### Events")
    settings = rows("**Settings.**")

    bodies = {
        protocol.CARD_FINISH: protocol.CardFinish,
        protocol.SETTINGS_PUSH: protocol.SettingsPush,
        protocol.COMMAND: protocol.Command,
    }

    assert set(events) == {protocol.PAYMENT_ANSWER, *bodies}
    for name, kind in bodies.items():
        assert set(re.findall(r"`([^`]+)`", events[name].split("|")[2])) == fields(kind)
    assert set(settings) == set(protocol.PUSHABLE)
    for path, limits in protocol.PUSHABLE.items():
        numbers = {str(value) for value in msgspec.structs.astuple(limits)}
        assert numbers <= set(re.findall(r"\d+", settings[path])), path


def test_versions_and_limits_are_the_codes() -> None:
    """Numbers on the page are the numbers in force."""
    served = f"now {protocol.VERSION}; the switch serves {protocol.OLDEST_VERSION} to"

    assert served in PAGE
    assert f"from 1 to {protocol.AMOUNT_FEN_MAX}" in PAGE


def test_every_configuration_key_of_the_front_is_documented() -> None:
    """The table of KioskConfig."""
    section = PAGE.split("(`KioskConfig`)", 1)[1].split("\n## ", 1)[0]

    assert fields(plugin.config_schema) <= set(re.findall(r"`([^`]+)`", section))


def test_the_example_configuration_loads(tmp_path: Path) -> None:
    """A reader may copy it."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "kiosk.yaml").write_text(example, "utf-8")

    assert load(tmp_path / "kiosk.yaml").terminal == "KIOSK001"


@pytest.mark.parametrize("folder", ["terminal_agent"])
def test_every_crash_point_is_documented(folder: str) -> None:
    """The crash matrix is found from the page."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / folder).glob("*.py"))
    points = set(re.findall(r"crash_point\(\"([^\"]+)\"\)", source))

    assert points
    assert points <= CODED
