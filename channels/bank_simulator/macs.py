"""The keyed half of a MAC, as a bank makes it: the same forms as a key service's."""

from hsm import primitives
from switch.model.mac_form import MacForm


def keyed(mak: bytes, data: bytes, form: MacForm) -> bytes:
    """Upper-case hexadecimal characters, as many as the form says."""
    unit = primitives.SM4_BLOCK if form.algorithm == "sm4_cbc" else primitives.BLOCK
    if form.padding == "80":
        data += b"\x80"
    data += bytes(-len(data) % unit)
    if form.algorithm == "retail":
        mac = primitives.retail_mac(mak, data)
    elif form.algorithm == "cbc":
        mac = primitives.cbc_mac(mak, data)
    else:
        mac = _sm4_cbc_mac(mak, data)
    return mac.hex().upper()[: form.characters].encode("ascii")


def _sm4_cbc_mac(mak: bytes, data: bytes) -> bytes:
    chain = bytes(primitives.SM4_BLOCK)
    for at in range(0, len(data), primitives.SM4_BLOCK):
        block = data[at : at + primitives.SM4_BLOCK]
        chain = primitives.sm4_encrypt(mak, primitives.xor(chain, block))
    return chain
