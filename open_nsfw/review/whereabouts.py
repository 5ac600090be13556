"""Files that are not where they were: found by their content, or named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from open_nsfw.review.item import text_in, text_out
from open_nsfw.review.store import Store

MOST_FILES = 500_000  # that are looked at in one search
PIECE = 1 << 20  # bytes that are hashed at once


@dataclass(frozen=True)
class Lost:
    """An item whose file is not there."""

    id: int
    path: str
    member: str | None
    bytes: int | None
    sha256: str | None


@dataclass
class Whereabouts:
    """What became of the files that people are still asked about."""

    found: int = 0
    """Were somewhere else, and have the content that they had."""
    lost: list[str] = field(default_factory=list)
    """Names of those that are nowhere; nobody is asked about them until they are back."""


def look_for(store: Store, folders: Iterable[str] = ()) -> Whereabouts:
    """See whether the files are there that people are still asked about; those that are not are looked for in `folders`, in
    the folder where they were, and in that folder's own. Raises OutputError."""
    gone, back = _gone(store)
    result = Whereabouts()
    places = dict(back)
    if gone:
        places.update(_search(gone, folders))
    result.found = len(places)
    result.lost = [
        each.path if each.member is None else f"{each.path}!{each.member}" for each in gone if each.id not in places
    ]
    changes = [(text_out(places.get(each.id)), each.id) for each in gone] + [(text_out(p), i) for i, p in back.items()]
    if changes:
        with store.writing() as connection:
            connection.executemany("UPDATE item SET place_on_disk = ? WHERE id = ?", changes)
    return result


def _gone(store: Store) -> tuple[list[Lost], dict[int, str]]:
    """(those whose file is not there, where those are that were not there before)."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT id, path, member, place_on_disk, bytes, sha256 FROM item WHERE asked = 1 AND given < wanted"
        ).fetchall()
    gone, back = [], {}
    for row in rows:
        path = text_in(row["path"]) or ""
        place = text_in(row["place_on_disk"])
        if place is not None and os.path.exists(place):
            continue
        lost = Lost(row["id"], place or path, text_in(row["member"] or None), row["bytes"], row["sha256"])
        if place is None and os.path.exists(path) and _may_be(lost, path):
            back[row["id"]] = os.path.abspath(path)
        else:
            gone.append(lost)
    return gone, back


def _may_be(lost: Lost, path: str) -> bool:
    """Whether a file of that name is the one that was lost, going by what is known of it: another folder, in which the store is
    opened, may have another file of the same name."""
    if lost.member is not None or not os.path.isfile(path):
        return os.path.isabs(path)
    if lost.sha256 is not None:
        return _sha256(path) == lost.sha256
    return lost.bytes in (None, os.path.getsize(path))


def _search(gone: list[Lost], folders: Iterable[str]) -> dict[int, str]:
    """Where the content of these is now, by their ids; members of archives are not looked for."""
    wanted = [each for each in gone if each.sha256 is not None and each.member is None]
    sizes = {each.bytes for each in wanted}
    if not sizes:
        return {}
    near = {folder for each in wanted for folder in _folders_near(each.path)}
    by_content: dict[str, str] = {}
    hashes = {each.sha256 for each in wanted}
    for path in _files([*folders, *sorted(near)], sizes):
        digest = _sha256(path)
        if digest in hashes:
            by_content.setdefault(digest, os.path.abspath(path))
    return {each.id: by_content[each.sha256] for each in wanted if each.sha256 in by_content}


def _folders_near(path: str) -> list[str]:
    """The folder where a file was, or, where that is gone, too, the one that it was in."""
    folder = os.path.dirname(os.path.abspath(path))
    return [each for each in (folder, os.path.dirname(folder)) if os.path.isdir(each)][:1]


def _files(folders: list[str], sizes: set[int | None]) -> Iterator[str]:
    """Files of one of these sizes below the folders, each once."""
    seen: set[tuple[int, int]] = set()
    looked_at = 0
    for folder in folders:
        for top, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(top, name)
                looked_at += 1
                if looked_at > MOST_FILES:
                    return
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                key = (status.st_dev, status.st_ino)
                if status.st_size in sizes and key not in seen and os.path.isfile(path):
                    seen.add(key)
                    yield path


def _sha256(path: str) -> str:
    """Of a file's content; empty for one that cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()
