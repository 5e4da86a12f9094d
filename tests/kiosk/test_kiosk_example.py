"""The example an operator copies is a configuration that the agent takes."""

from pathlib import Path

from terminal_agent.config import load

EXAMPLE = Path(__file__).parents[2] / "conf" / "kiosk.example.yaml"


def test_the_example_configuration_is_one() -> None:
    """conf/kiosk.example.yaml loads, and names the roles that a kiosk needs."""
    config = load(EXAMPLE)

    assert config.terminal == "KIOSK001"
    assert config.devices.pin_pad.driver == "simulator"
