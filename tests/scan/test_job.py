"""What a job takes for one turn."""

from __future__ import annotations

import tempfile
import threading
import time

import pytest

from open_nsfw.scan.job import Task, TaskQueue
from open_nsfw.sources.item import Item

JPEG = b"\xff\xd8\xff"


def queue(*items: Item) -> tuple[TaskQueue, list[Task]]:
    """Tasks that wait."""
    tasks, waiting = [Task(item) for item in items], TaskQueue()
    for task in tasks:
        waiting.put(task)
    return waiting, tasks


def taken(waiting: TaskQueue, most: int) -> list[str]:
    """The paths of one turn."""
    return [task.item.path for task in waiting.take(lambda count: most)]


def test_only_jpeg_come_together() -> None:
    """By name, or by content where that is at hand; in order, and nothing is left out."""
    names = ("a.jpg", "b.JPEG", "c.png", "d.jpg", "e.mp4", "f.jfif", "g.jpe", "h.jpg")
    waiting, _ = queue(*map(Item, names), Item("i", data=JPEG), Item("j", data=b"GIF89a"))
    waiting.close()
    turns = []
    while turn := taken(waiting, 4):
        turns.append(turn)
    assert turns == [["a.jpg", "b.JPEG"], ["c.png"], ["d.jpg"], ["e.mp4"], ["f.jfif", "g.jpe", "h.jpg", "i"], ["j"]]


@pytest.mark.parametrize("most", [0, 1, 3])
def test_as_many_as_asked_for_and_one_at_least(most: int) -> None:
    waiting, _ = queue(*(Item(f"{index}.jpg") for index in range(4)))
    assert taken(waiting, most) == [f"{index}.jpg" for index in range(max(most, 1))]


def test_whoever_waits_gets_what_comes() -> None:
    waiting = TaskQueue()
    threading.Timer(0.1, lambda: waiting.put(Task(Item("late.png")))).start()
    assert taken(waiting, 4) == ["late.png"]
    threading.Timer(0.1, waiting.close).start()
    assert taken(waiting, 4) == taken(waiting, 4) == []


def test_a_stop_cancels_what_no_job_has_begun_with() -> None:
    """What is there, and what comes; files that were open for it are closed."""
    files = [tempfile.TemporaryFile() for _ in range(2)]
    waiting, (task,) = queue(Item("a.png", file=files[0]))
    waiting.stop()
    late = Task(Item("b.png", file=files[1]))
    waiting.put(late)
    waiting.close()
    assert taken(waiting, 4) == []
    assert task.result.cancelled() and late.result.cancelled()
    assert all(file.closed for file in files)


def test_a_stop_takes_no_lock() -> None:
    """It may come from a signal handler, which interrupts whoever holds it."""
    waiting, _ = queue(Item("a.png"))
    done = threading.Event()
    with waiting._changed:
        threading.Thread(target=lambda: (waiting.stop(), done.set()), daemon=True).start()
        deadline = time.monotonic() + 10
        while not done.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert done.is_set()
