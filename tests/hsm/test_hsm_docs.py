"""docs/hsm.md says what the declarations say."""

from pathlib import Path

import msgspec
import pytest

from hsm import reference
from hsm.client import HsmConfig
from hsm.daemon import metrics

PAGE = (Path(__file__).parents[2] / "docs" / "hsm.md").read_text(encoding="utf-8")


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
        assert f"`{field.name}`" in PAGE


def test_every_metric_of_the_daemon_is_explained() -> None:
    """Name by name, as Prometheus shows it."""
    for family in metrics.REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"`{name}`" in PAGE
