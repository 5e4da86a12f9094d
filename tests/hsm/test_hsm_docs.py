"""docs/hsm.md says what the declarations say."""

import re
from pathlib import Path

import msgspec
import pytest

from hsm import reference
from hsm.client import HsmConfig
from hsm.daemon import metrics
from hsm.daemon.config import Config

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "hsm.md").read_text(encoding="utf-8")
CLIENT_PAGE = (DOCS / "configuration.md").read_text(encoding="utf-8")
CEREMONY_PAGE = (DOCS / "key-ceremony.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("commands", reference.command_table()),
        ("key types", reference.key_type_table()),
        ("errors", reference.error_table()),
    ],
)
def test_tables_are_those_of_the_code(name: str, table: str) -> None:
    """Between its markers stands what hsm.reference prints."""
    written = PAGE.split(f"<!-- {name} -->\n")[1].split("<!-- end -->")[0].strip()

    assert written == table


def test_every_setting_is_explained() -> None:
    """Each field of HsmConfig has its place in the settings table."""
    for field in msgspec.structs.fields(HsmConfig):
        assert f"`{field.name}" in CLIENT_PAGE


def test_every_key_of_the_daemons_configuration_is_explained() -> None:
    """Section by section, as the file has them."""
    for field in msgspec.structs.fields(Config):
        assert f"| `{field.name}" in PAGE


def test_every_event_of_a_ceremony_is_explained() -> None:
    """What the daemon records of people, LMKs and authority stands in the auditor's table."""
    source = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("daemon", "ceremony")
        for path in (DOCS.parent / "hsm" / folder).glob("*.py")
    )
    events = set(re.findall(r'record\(\s*"([a-z_.]+)"', source))
    assert "lmk.destroyed" in events
    for event in events:
        assert event in CEREMONY_PAGE or f"`.{event.split('.')[1]}`" in CEREMONY_PAGE


def test_every_metric_of_the_daemon_is_explained() -> None:
    """Name by name, as Prometheus shows it."""
    for family in metrics.REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"`{name}`" in PAGE
