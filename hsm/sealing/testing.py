"""A software token of Debian's softhsm2, for tests and rehearsals: its PIN is no secret."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from hsm.sealing.errors import TokenError
from hsm.sealing.token_session import TokenAddress

SOFTWARE_TOKEN_PIN: Final = "87654321"  # noqa: S105
_LIBRARY: Final = Path("/usr/lib/softhsm/libsofthsm2.so")
_TIMEOUT_S: Final = 30


def make_software_token(folder: Path, token: str = "lmk") -> TokenAddress:  # noqa: S107
    """A new token below ``folder``, its PIN in ``folder/pin``. TokenError without softhsm2.

    Sets SOFTHSM2_CONF for this process, which may hold no session with another software token;
    another process needs ``SOFTHSM2_CONF=folder/softhsm2.conf`` as well.
    """
    tool = shutil.which("softhsm2-util")
    if tool is None or not _LIBRARY.is_file():
        raise TokenError("no_softhsm")
    (folder / "tokens").mkdir(mode=0o700)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    address = TokenAddress(_LIBRARY, token, folder / "pin")
    address.pin_file.touch(mode=0o600)
    address.pin_file.write_text(SOFTWARE_TOKEN_PIN + "\n")
    pins = (f"--pin={SOFTWARE_TOKEN_PIN}", f"--so-pin={SOFTWARE_TOKEN_PIN}")
    subprocess.run(  # noqa: S603
        [tool, "--init-token", "--free", "--label", token, *pins],
        capture_output=True,
        check=True,
        timeout=_TIMEOUT_S,
    )
    if "pkcs11" in sys.modules:  # a process that had the library must look for tokens again
        sys.modules["pkcs11"].lib(str(_LIBRARY.resolve())).reinitialize()
    return address
