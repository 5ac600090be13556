"""The file of a review: what it refuses, and what a kill leaves of it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw.calibration.labels import LabelNames
from open_nsfw.errors import OutputError, UsageError
from open_nsfw.review.report import report
from open_nsfw.review.store import open_store
from tests.tools.helpers import ROOT, SECONDS
from tests.tools.review import ANNA, column, follow_log_anew, label_next, new_store, rows_of

DECIDING = """
import sys, time
from open_nsfw.review.log import Decision, Person, decide
from open_nsfw.review.serving import Wanted, next_items
from open_nsfw.review.store import open_store

store, person = open_store(sys.argv[1]), Person(sys.argv[2], "process " + sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
while items := next_items(store, person, Wanted()):
    decide(store, person, Decision(items[0].id, "label", "nsfw"))
    print(items[0].id, flush=True)
    time.sleep(0.002)  # as a person would, or one process has the file nearly all the time
"""


def start(store: Path, name: str) -> subprocess.Popen[str]:
    """A process that, once it may, decides about one picture after the other, and prints what it has decided."""
    process = subprocess.Popen(
        [sys.executable, "-c", DECIDING, str(store), name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(*processes: subprocess.Popen[str]) -> None:
    """Let processes begin that were started."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def refusal(path: Path) -> str:
    """What is said of a file that is no store; it stays as it is."""
    before = path.read_bytes()
    with pytest.raises(UsageError) as error:
        open_store(str(path), create=True).close()
    assert path.read_bytes() == before
    return str(error.value).replace(str(path), "STORE")


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    """A text, another program's database, a store of a version to come."""
    path = tmp_path / "x"
    path.write_text("path,label\n")
    assert refusal(path) == "STORE: it is no SQLite database; it was left as it is, name another --store"
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE setting (a)")
    other.close()
    assert refusal(path) == "STORE: it is a database of something else; it was left as it is, name another --store"
    path.unlink()
    open_store(str(path), create=True).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 2")
    newer.close()
    message = "it is a review store of version 2, this program knows version 1"
    assert refusal(path) == f"STORE: {message}; it was left as it is, name another --store"


@pytest.mark.parametrize("size", [100, 4096, 20_000])
def test_a_store_that_is_cut_off_is_one_line(tmp_path: Path, size: int) -> None:
    """Whether in the header or behind it."""
    new_store(tmp_path, rows_of([0.5] * 500, tmp_path)).close()
    path = tmp_path / "review.sqlite"
    assert path.stat().st_size > 50_000
    os.truncate(path, size)
    message = refusal(path)
    assert message.startswith("STORE: the store is damaged or cut off (")
    assert message.endswith("); bring it back from a copy, or name another --store")


def test_a_store_whose_tables_have_broken_names_is_one_line(tmp_path: Path) -> None:
    """SQLite names them in its own message, which is no text then."""
    new_store(tmp_path, rows_of([0.5], tmp_path)).close()
    path = tmp_path / "review.sqlite"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"tableitemitem", b"table\xd0temitem"))
    assert refusal(path).startswith("STORE: the store is damaged or cut off ")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE setting SET value = '{' WHERE name = 'design'", "the setting design"),
        ("UPDATE setting SET value = '{}' WHERE name = 'design'", "the setting design"),
        ("UPDATE item SET frames = '[[1]]'", "what is kept of the frames of item 1"),
        ("UPDATE item SET frames = x'ff'", "what is kept of the frames of item 1"),
    ],
)
def test_a_store_whose_values_make_no_sense_is_one_line(change: str, what: str, tmp_path: Path) -> None:
    """Where SQLite itself sees no damage."""
    store = new_store(tmp_path, rows_of([0.5], tmp_path))
    label_next(store, ANNA, "sfw")
    with store.writing() as connection:
        connection.execute(change)
    message = (
        f"the store is damaged or cut off ({what} makes no sense); bring it back from a copy, or name another --store"
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        report(store, LabelNames(), 0.95)


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    """Only `open-nsfw review --store` makes one; a folder is none."""
    with pytest.raises(UsageError, match="there is no review store; `open-nsfw review` makes one with --store"):
        open_store(str(tmp_path / "x.sqlite"))
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        open_store(str(tmp_path), create=True)
    with pytest.raises(OutputError, match="cannot be used: unable to open database file"):
        open_store(str(tmp_path / "no folder" / "x.sqlite"), create=True)


def test_the_log_is_only_added_to(tmp_path: Path) -> None:
    """Whoever tries."""
    with new_store(tmp_path, rows_of([0.5], tmp_path)) as store:
        label_next(store, ANNA, "nsfw")
        for statement in ("DELETE FROM log", "UPDATE log SET label = 'sfw'"):
            with pytest.raises(sqlite3.IntegrityError, match="the log is only added to"), store.writing() as connection:
                connection.execute(statement)
        assert column(store, "SELECT label FROM log") == ["nsfw"]


def test_a_kill_loses_no_decision(tmp_path: Path) -> None:
    """At any moment: what a process said that it decided is in the store, which the next one opens and goes on with."""
    new_store(tmp_path, rows_of([0.5] * 3000, tmp_path)).close()
    said: list[int] = []
    for round_ in range(4):
        process = start(tmp_path / "review.sqlite", f"person {round_}")
        assert process.stdin is not None and process.stdout is not None
        go(process)
        said += [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        said += map(int, process.stdout.read().split())
        process.wait(SECONDS)
        process.stdout.close()
        process.stdin.close()
    with open_store(str(tmp_path / "review.sqlite")) as store:
        decided = column(store, "SELECT item FROM log")
        assert set(said) <= set(decided) and len(decided) <= len(said) + 4
        assert column(store, "PRAGMA integrity_check") == ["ok"]
        before = column(store, "SELECT item || person || label FROM opinion ORDER BY 1")
        follow_log_anew(store)
        assert column(store, "SELECT item || person || label FROM opinion ORDER BY 1") == before


def test_two_processes_at_once_have_no_picture_both(tmp_path: Path) -> None:
    """And together they decide all."""
    new_store(tmp_path, rows_of([0.5] * 300, tmp_path)).close()
    processes = [start(tmp_path / "review.sqlite", name) for name in ("Anna", "Ben")]
    go(*processes)
    said = [[int(number) for number in process.communicate(timeout=SECONDS)[0].split()] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    with open_store(str(tmp_path / "review.sqlite")) as store:
        twice = set(column(store, "SELECT id FROM item WHERE wanted = 2"))
    assert set(said[0]) | set(said[1]) == set(range(1, 301))
    assert set(said[0]) & set(said[1]) == twice != set()
    assert len(said[0]) + len(said[1]) == 300 + len(twice)
    assert set(said[0]) - set(said[1]) and set(said[1]) - set(said[0])  # both were at it at the same time
