"""The key service that the client offers the switch, over the pool and in process."""

from typing import Any

import msgspec
import pytest

from hsm.client import HsmConfig, plugin
from hsm.testing import LocalKeyService, local_processor, wrap_test_key
from switch.model.secret import Secret
from switch.ports import KeyServiceError
from tests.hsm.client_world import CONFIG, KEY, MAC, MAK, TEXT, World, begin, failed_with, result

TMK = "CA5D92598DCA48CE8A4C76361A9269E9"


@pytest.fixture(params=["pool", "local"])
def service(request: pytest.FixtureRequest, entropy: Any) -> Any:
    """The same service over the pool and in process."""
    if request.param == "pool":
        return World(entropy).start().client
    return LocalKeyService(local_processor(entropy), entropy)


def test_field_64(service: Any) -> None:
    """M6 and M8 of the published MAC; a wrong MAC, or none at all, is False."""
    assert result(begin(service.make_mac(MAK, TEXT))) == MAC
    assert result(begin(service.check_mac(MAK, TEXT, MAC))) is True
    for wrong in (b"8A9E91B9", b"8a9e91b8", b"", b"8A9E91B8B8", b"\xff" * 8):
        assert result(begin(service.check_mac(MAK, TEXT, wrong))) is False


def test_field_62(service: Any) -> None:
    """The public sign-on: PIK as X, MAK as Z, TMK as ZMK; check values by A6 and BU."""
    tmk = wrap_test_key("000", TMK)
    pik, pik_check = result(
        begin(service.import_key("001", tmk, "X6701EAD6A9AD51E51AA406E2C27FCFA9"))
    )
    mak, mak_check = result(begin(service.import_key("003", tmk, "B651F9E9BACE9AE1")))

    assert (pik, pik_check) == (wrap_test_key("001", "807A23AD32B36D457AE91FDF927570EA"), "8D0A74")
    assert (mak, mak_check) == (wrap_test_key("003", "5BB5C72CD00B7338"), "AB7153")
    assert result(begin(service.check_value("001", pik))).startswith("8D0A74B8")
    assert result(begin(service.check_value("003", mak))).startswith("AB7153CA")
    assert result(begin(service.check_value("402", wrap_test_key("402", KEY)))) == (
        "08D7B4FB629D0885"
    )


def test_pin_translation(service: Any) -> None:
    """CA from a pad's key to the illustration's PIK; a bad block is the HSM's code."""
    tpk = wrap_test_key("002", "1023456789ABCDEFFEDCBA9876543201")
    zpk = wrap_test_key("001", "1023456789ABCDEFFEDCBA9876543201")
    block, account = Secret("B35621D3FC600329"), Secret("123456789012")

    moved = result(begin(service.translate_pin(tpk, zpk, block, account)))
    assert moved.reveal() == block.reveal()
    refused = begin(service.translate_pin(tpk, zpk, Secret("0" * 16), account))
    assert failed_with(refused, "20") or failed_with(refused, "24")


@pytest.mark.parametrize("text", ["6225880123456789", "622588012345678", "", "患者", "x" * 247])
def test_the_vault_gives_back_what_it_took(service: Any, text: str) -> None:
    """Any length; twice the same text is two ciphertexts; no digit of it shows."""
    first = result(begin(service.protect(Secret(text))))
    second = result(begin(service.protect(Secret(text))))

    assert first != second
    assert first.startswith("v1:")
    assert not text or text not in first
    assert result(begin(service.reveal(first))).reveal() == text


@pytest.mark.parametrize(
    "text", ["", "v1:", "v2:00", "v1:xyz", "v1:" + "0" * 16, "v1:" + "0" * 32, "v1:" + "0" * 20]
)
def test_the_vault_knows_its_own(service: Any, text: str) -> None:
    """What it did not make is KeyServiceError, never a wrong card number."""
    assert isinstance(result(begin(service.reveal(text))), KeyServiceError)


def test_the_vault_refuses_a_long_text(service: Any) -> None:
    """Its length must fit a byte."""
    assert failed_with(begin(service.protect(Secret("x" * 248))), "80")


@pytest.mark.parametrize("key", ["", "U123", "K001", "nonsense"])
def test_I12_a_malformed_key_is_an_error_without_the_key(service: Any, key: str) -> None:
    """Of the port's own kind, and the text does not repeat what was given."""
    for call in (
        service.make_mac(key, TEXT),
        service.check_value("003", key),
        service.import_key("001", key, key),
    ):
        ended = result(begin(call))
        assert isinstance(ended, KeyServiceError)
        assert not key or key not in str(ended)


# ---- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"addresses": ()}, "addresses"),
        ({"addresses": ("tcp:hsm.example:1500",)}, "IP address"),
        ({"connections": 0}, "connections"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"silence_ms": 0}, "silence_ms"),
        ({"addresses": ("tls:10.0.0.7:1500",)}, "section tls"),
        ({"lmk_check_value": "0"}, "lmk_check_value"),
        ({"reconnect_ceiling_ms": 1}, "reconnect_ceiling_ms"),
        ({"header_length": 33}, "header_length"),
        ({"header_length": 1, "in_flight_limit": 5}, "in_flight_limit"),
        ({"lmk_id": "0"}, "lmk_id"),
        ({"dek": "Z0123456789ABCDEF"}, "dek"),
        ({"dek": "secret"}, "cryptogram"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    """At reading, with the name of the setting."""
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(msgspec.structs.asdict(CONFIG) | changed, HsmConfig)


def test_the_plugin_fits_the_bus() -> None:
    """Found by its entry point under its own name."""
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="yyt.hsm", name="payshield")

    assert entry.load() is plugin
    assert (plugin.name, plugin.api_version, plugin.config_schema) == ("payshield", 1, HsmConfig)
