"""Prompts on the controlling terminal alone: neither stdin nor a pipe can answer for a person."""

import os
import termios
from typing import Final

LINE_BYTES_MAX: Final = 4096


class NoTerminalError(Exception):
    """There is no terminal, or it was closed in the middle of a line."""


class Terminal:
    """``/dev/tty``. What is typed hidden is not shown, not even as stars, and not remembered."""

    def __init__(self) -> None:
        """NoTerminalError: this process has no controlling terminal."""
        try:
            self._tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            raise NoTerminalError from None

    def tell(self, text: str) -> None:
        """A line for all present."""
        self._write(text + "\n")

    def ask(self, prompt: str) -> str:
        """A line that may be seen."""
        self._write(prompt)
        return self._line()

    def ask_hidden(self, prompt: str) -> str:
        """A line without echo: a passphrase or a component."""
        before = termios.tcgetattr(self._tty)
        silent = list(before)
        silent[3] &= ~(termios.ECHO | termios.ECHONL)
        # What was typed ahead was typed with echo: it is thrown away.
        termios.tcsetattr(self._tty, termios.TCSAFLUSH, silent)
        try:
            self._write(prompt)
            return self._line()
        finally:
            termios.tcsetattr(self._tty, termios.TCSAFLUSH, before)
            self._write("\n")

    def close(self) -> None:
        """Leave the terminal."""
        os.close(self._tty)

    def _line(self) -> str:
        line = bytearray()
        try:
            while not line.endswith(b"\n"):
                chunk = os.read(self._tty, 1024)
                if not chunk or len(line) > LINE_BYTES_MAX:
                    raise NoTerminalError
                line += chunk
            return line[:-1].decode("utf-8", "replace")
        except OSError:
            raise NoTerminalError from None
        finally:
            line[:] = bytes(len(line))

    def _write(self, text: str) -> None:
        os.write(self._tty, text.encode("utf-8"))
