"""A plain blocking host: one connection, one command at a time. For the command-line tools."""

import socket

from hsm import codec
from hsm.address import Address
from hsm.codec import Command
from hsm.errors import CommandError
from hsm.kinds import Values

_TIMEOUT_S = 5.0


def ask(address: Address, command: Command, values: Values, header_length: int = 4) -> Values:
    """Send one command and give its answer's fields. CommandError: refused, or no sound answer;
    OSError: not reachable, or silent for five seconds."""
    header = b"0" * header_length
    answer = exchange(address, header + codec.build_request(command, values))
    if answer[:header_length] != header:
        raise CommandError("51")
    error, result, _ = codec.parse_response(command, answer[header_length:], values)
    if error not in command.answered:
        raise CommandError(error)
    return result


def exchange(address: Address, frame: bytes) -> bytes:
    """Send one frame, header and all, and read one. OSError as for :func:`ask`."""
    with _connect(address) as connection:
        connection.sendall(len(frame).to_bytes(2, "big") + frame)
        length = int.from_bytes(_read(connection, 2), "big")
        return _read(connection, length)


def _connect(address: Address) -> socket.socket:
    if not address.path:
        return socket.create_connection((address.host, address.port), timeout=_TIMEOUT_S)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_TIMEOUT_S)
    connection.connect(address.path)
    return connection


def _read(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = connection.recv(length - len(data))
        if not chunk:
            raise ConnectionError("closed in the middle of an answer")
        data += chunk
    return data
