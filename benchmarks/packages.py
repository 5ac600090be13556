"""Files out of published packages: a wheel from PyPI, a package from npm or from Debian 12. Nothing is installed.

    contents("pip scikit-image==0.24.0", ["skimage/data/coffee.png"]) -> {"skimage/data/coffee.png": b"..."}

The first word says which client fetches it: pip, npm (`npm pack`) or debian (`apt-get download`, on Debian 12 after
`apt-get update`). A member inside a Qt resource file is named FILE.rcc!PATH.
"""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

INSIDE = "!"  # between a resource file and what is in it

# One fixed platform, so that the wheel is the same whatever this runs on.
PIP = [
    *("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.10"),
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"),
]


def contents(package: str, members: Iterable[str]) -> dict[str, bytes]:
    """The bytes of each member. Raises CalledProcessError if the client cannot fetch the package, KeyError if it has no
    such member."""
    client, _, name = package.partition(" ")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # apt-get fetches as a user of its own
        command = {
            "pip": [sys.executable, *PIP, name],
            "npm": ["npm", "pack", "--silent", name],
            "debian": ["apt-get", "download", "--quiet", name],
        }[client]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (archive,) = Path(folder).iterdir()
        files = dict(_files(archive, {member.partition(INSIDE)[0] for member in members}))
    return {member: _member(files, member) for member in members}


def _files(archive: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((name, wheel.read(name)) for name in wanted)
        return
    data = archive.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(_debian_data(data) if archive.suffix == ".deb" else data)) as tar:
        for entry in tar:
            name = entry.name[2:] if entry.name.startswith("./") else entry.name
            if name in wanted:
                content = tar.extractfile(entry)
                assert content is not None
                yield name, content.read()


def _debian_data(package: bytes) -> bytes:
    """A .deb is an `ar` archive (headers of 60 bytes, members padded to even lengths); its files are in data.tar.*."""
    position = len(b"!<arch>\n")
    while position < len(package):
        name, size = package[position : position + 16], int(package[position + 48 : position + 58])
        if name.startswith(b"data.tar"):
            return package[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    raise KeyError("data.tar")


def _member(files: dict[str, bytes], member: str) -> bytes:
    name, _, inside = member.partition(INSIDE)
    return resources(files[name])[inside] if inside else files[name]


def resources(data: bytes) -> dict[str, bytes]:
    """The files in a Qt resource file (what `rcc --binary` writes), those left out that zstd compressed."""
    magic, version, tree, body, names = struct.unpack_from(">4sIIII", data)
    if magic != b"qres":
        raise ValueError("not a Qt resource file")
    found: dict[str, bytes] = {}
    open_entries = [(0, "")]
    while open_entries:
        index, folder = open_entries.pop()
        entry = tree + index * (14 if version == 1 else 22)  # from the second version on with a time of 8 bytes
        name_at, flags = struct.unpack_from(">IH", data, entry)
        (length,) = struct.unpack_from(">H", data, names + name_at)
        name = data[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be") if index else ""
        path = f"{folder}/{name}".strip("/")
        if flags & 2:  # a folder
            count, first = struct.unpack_from(">II", data, entry + 6)
            open_entries += [(child, path) for child in range(first, first + count)]
        elif not flags & 4:  # 4: compressed by zstd
            (at,) = struct.unpack_from(">I", data, entry + 10)
            (size,) = struct.unpack_from(">I", data, body + at)
            content = data[body + at + 4 : body + at + 4 + size]
            found[path] = zlib.decompress(content[4:]) if flags & 1 else content
    return found
