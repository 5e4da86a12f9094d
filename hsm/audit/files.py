"""The folder of an audit log: numbered files and the head file. Reading, for all who do."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hsm.audit import chain
from hsm.audit.chain import GENESIS, AuditKey, Flaw, Link, Verified

HEAD: Final = "head"
HEAD_NEW: Final = "head.new"
_NAME = re.compile(r"audit-([0-9]{6})\.log")


def file_name(number: int) -> str:
    """Of the n-th file."""
    return f"audit-{number:06}.log"


def file_number(path: Path) -> int:
    """The n of the n-th file; 0: it is no file of a log."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else 0


def log_files(folder: Path) -> list[Path]:
    """The log's files in order."""
    return sorted(path for path in folder.iterdir() if file_number(path))


def all_files(folder: Path, archive: Path | None) -> list[Path]:
    """The log's files in order, those of the archive first."""
    return (log_files(archive) if archive is not None else []) + log_files(folder)


def lines(path: Path) -> Iterator[bytes]:
    """A file's lines with their ends. What is longer than any record comes in pieces."""
    with path.open("rb") as stream:
        while line := stream.readline(chain.LINE_BYTES_MAX):
            yield line


def placed(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """(place, line) of all these files in order."""
    for path in paths:
        for number, line in enumerate(lines(path), 1):
            yield f"{path.name}:{number}", line


def read_head(folder: Path, key: AuditKey) -> Link | Flaw:
    """What the head file says, or what is wrong with it."""
    try:
        head = chain.open_head(key, (folder / HEAD).read_bytes())
    except FileNotFoundError:
        return Flaw(HEAD, "head_missing", 0)
    return head or Flaw(HEAD, "head_changed", 0)


def verify_files(
    paths: list[Path], key: AuditKey, known: Iterable[Link], *, alone: bool = False
) -> Verified:
    """Check these files as one chain. ``alone``: what came before them is not asked for.

    Otherwise the chain begins with record 1, or after a place that is ``known`` (older files may
    have gone into an archive).
    """
    known = tuple(known)
    start = (chain.start_of(lines(paths[0])) if paths else None) or GENESIS
    unseen = any(link.seq < start.seq for link in known)
    if not alone and (unseen or start not in (GENESIS, *known)):
        flaw = Flaw(paths[0].name, "beginning_missing", 1, start.seq + 1)
        return Verified(start, 0, 0, "", None, flaw)
    return chain.verify(placed(paths), key, start, known)


def verify_folder(
    folder: Path, key: AuditKey, known: Iterable[Link] = (), archive: Path | None = None
) -> Verified:
    """Check a whole log, with the older files in ``archive`` if they are there.

    The head is read first: a daemon may be writing meanwhile.
    """
    head = read_head(folder, key)
    if isinstance(head, Flaw):
        return Verified(GENESIS, 0, 0, "", None, head)
    return verify_files(all_files(folder, archive), key, (head, *known))
