"""Keys: who may use the service. A file has one a line, its name first, then white space, then the key:

    # name      key
    forum       3f9c8e0a5d...
    mail-filter 77b01c2e4f...

Names appear in logs and metrics, keys nowhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat

from open_nsfw.errors import UsageError
from open_nsfw.text import printable

LEAST_LETTERS = 16  # of a key; fewer can be guessed
LONGEST_NAME = 60
LARGEST_FILE = 1 << 20  # bytes
HINT = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"


class Keys:
    """The keys of a file, as hashes."""

    def __init__(self, digests: dict[str, bytes]) -> None:
        """`digests`: name -> SHA-256 of the key."""
        self._digests = digests

    def __len__(self) -> int:
        return len(self._digests)

    def name_of(self, key: str) -> str | None:
        """Whose key this is; None if it is nobody's. Takes the same time for every wrong key."""
        given, found = _digest(key), None
        for name, digest in self._digests.items():  # all of them: where it stops would tell which one nearly fitted
            if hmac.compare_digest(digest, given):
                found = name
        return found


def read_keys(path: str) -> Keys:
    """The keys in a file. Raises UsageError for a file that cannot be read, or holds no key or something else."""
    name = printable(path)
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
            is_open = bool(os.fstat(file.fileno()).st_mode & stat.S_IWOTH)
    except OSError as error:
        raise UsageError(f"{name}: the keys cannot be read: {error.strerror or error}") from error
    if is_open:
        raise UsageError(f"{name}: everybody on this machine can change the keys; type: chmod o-rwx {name}")
    try:
        lines = content.decode("utf-8-sig").splitlines() if len(content) <= LARGEST_FILE else None
    except UnicodeDecodeError:
        lines = None
    if lines is None:
        raise UsageError(f"{name}: is no file of keys: a name and a key a line are needed, in UTF-8")
    return Keys(_digests(lines, name))


def _digests(lines: list[str], path: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{path}, line {number}"
        if len(words) != 2 or not words[0].isprintable() or len(words[0]) > LONGEST_NAME:
            raise UsageError(f"{where}: a name, white space and a key are needed")
        if len(words[1]) < LEAST_LETTERS:
            raise UsageError(f"{where}: the key has fewer than {LEAST_LETTERS} letters; {HINT}")
        if not words[1].isascii():
            raise UsageError(
                f"{where}: the key has other letters than ASCII, which clients send in several ways; {HINT}"
            )
        if words[0] in found:
            raise UsageError(f"{where}: the name {words[0]} is there twice")
        found[words[0]] = _digest(words[1])
    if not found:
        raise UsageError(f"{path}: there is no key in it; write a name, white space and a key a line; {HINT}")
    return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def key_in(authorization: str) -> str:
    """The key in an Authorization header: `Bearer KEY`, or the password of `Basic`, which is what browsers send. Empty if
    there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
