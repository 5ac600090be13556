"""How cost grows: with the number of pictures, of names in one folder or archive, of finished rows, and of jobs.

    python benchmarks/scale.py [--pictures 1000 10000] [--names 100000] [--parts pictures names jobs]

`pictures` scores that many thumbnails. `names` makes a folder and a zip archive of that many names, with rows that say that
all of them are finished, and goes on with `--resume`: nothing is scored, every name is looked at and every row checked. It
also shows how long the first row of such a folder takes, and what the steps of `--resume` cost by themselves. `jobs` scores
the first number of pictures with 1 job, one a core, and 16. Memory is that of all processes of a run together, shared pages
counted in parts.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import contenders
import corpus
import machine
import peers
from memory import watch

from open_nsfw.rows.finished import key_of
from open_nsfw.rows.lines import csv_header, csv_line, json_line
from open_nsfw.rows.reader import reader_of
from open_nsfw.rows.row import Row
from open_nsfw.scoring.model_files import find_model_files

DIFFERENT = 200  # thumbnails; a larger number of pictures has each of them several times
STUB = b"\xff\xd8\xff\xe0"  # what the files of `names` hold: they are finished, and nobody reads them
PARTS = ("pictures", "names", "jobs")


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    seconds: float
    processor: float
    """Seconds of all processes together."""
    peak: float
    """MiB of all processes together."""
    row_bytes: int


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--names", type=int, nargs="+", default=[100_000])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    print(f"{machine.describe()}; load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        if "pictures" in options.parts:
            pictures_table(Path(folder), options.pictures)
        if "names" in options.parts:
            names_table(Path(folder), options.names)
        if "jobs" in options.parts:
            jobs_table(Path(folder), options.pictures[0])


def cost(command: list[str], rows: Path) -> Cost:
    """Run a command that writes `rows`."""
    peak = [0.0]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command)
    watcher = threading.Thread(target=watch, args=(process, peak))
    watcher.start()
    status = process.wait()
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    watcher.join()
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: exit status {status}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, processor, peak[0], rows.stat().st_size)


def list_of_thumbnails(folder: Path, count: int) -> Path:
    """A file that names so many thumbnails."""
    paths = corpus.thumbnails(peers.FOLDER / "pictures", DIFFERENT)
    listed = folder / "list"
    listed.write_text("".join(f"{paths[index % len(paths)]}\n" for index in range(count)))
    return listed


def pictures_table(folder: Path, counts: list[int]) -> None:
    """Cost by number of pictures."""
    print("| thumbnails | seconds | processor ms a picture | peak MiB | bytes a row |\n|---|---|---|---|---|")
    for count in counts:
        rows = folder / f"pictures-{count}.jsonl"
        run = cost(contenders.command(list_of_thumbnails(folder, count), "--output", str(rows)), rows)
        each = f"{1000 * run.processor / count:.1f} | {run.peak:.0f} | {run.row_bytes / count:.0f}"
        print(f"| {count:,} | {run.seconds:.1f} | {each} |", flush=True)
    print()


def names_table(folder: Path, counts: list[int]) -> None:
    """Cost by number of names, all of them finished."""
    print(
        "| names, all finished | `--resume`, seconds | processor seconds | peak MiB | rows, MB |\n|---|---|---|---|---|"
    )
    for count in counts:
        files = folder / f"files-{count}"
        archive = folder / f"archive-{count}.zip"
        make_files(files, count)
        make_archive(archive, count)
        for form in ("jsonl", "csv"):
            write_rows(folder / f"files.{form}", form, file_rows(files, count))
            show_resumed(f"{count:,} in one folder, {form}", files, folder / f"files.{form}", form, count)
        write_rows(folder / "members.jsonl", "jsonl", member_rows(archive, count))
        show_resumed(f"{count:,} in one zip, jsonl", archive, folder / "members.jsonl", "jsonl", count)
        print(f"\nThe first row of a folder of {count:,} names: {first_row(files):.2f} s after the start\n", flush=True)
        steps_table(files, count)


def make_files(folder: Path, count: int) -> None:
    """So many small files."""
    folder.mkdir()
    for index in range(count):
        (folder / f"picture-{index:07d}.jpg").write_bytes(STUB)


def make_archive(path: Path, count: int) -> None:
    """A zip of so many small members."""
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(count):
            archive.writestr(zipfile.ZipInfo(f"picture-{index:07d}.jpg"), STUB)


def write_rows(path: Path, form: str, rows: list[Row]) -> None:
    """A file of rows as the command writes it."""
    line = csv_line if form == "csv" else json_line
    with open(path, "wb") as file:
        file.write(csv_header() if form == "csv" else b"")
        file.writelines(map(line, rows))


def finished_row(path: Path, status: os.stat_result, size: int, member: str | None = None) -> Row:
    """What the command would have written."""
    return Row(
        path=str(path),
        member=member,
        score=0.0129502,
        exact=True,
        width=160,
        height=120,
        format="JPEG",
        bytes=size,
        modified=status.st_mtime,
        engine="onnxruntime",
        model=find_model_files().short_hash,
    )


def file_rows(folder: Path, count: int) -> list[Row]:
    """A row of each file."""
    paths = (folder / f"picture-{index:07d}.jpg" for index in range(count))
    return [finished_row(path, path.stat(), len(STUB)) for path in paths]


def member_rows(archive: Path, count: int) -> list[Row]:
    """A row of each member."""
    status = archive.stat()
    return [finished_row(archive, status, len(STUB), f"picture-{index:07d}.jpg") for index in range(count)]


def show_resumed(name: str, source: Path, rows: Path, form: str, count: int) -> None:
    """Go on with a run that has nothing left to do."""
    options = ["--engine", "onnxruntime", "--quiet", "--format", form, "--resume", "--output", str(rows)]
    run = cost([sys.executable, str(ROOT / "classify_nsfw.py"), *options, str(source)], rows)
    each = f"{run.processor:.2f} | {run.peak:.0f} | {run.row_bytes / 1e6:.0f}"
    print(f"| {name} | {run.seconds:.2f} | {each} |", flush=True)


def first_row(folder: Path) -> float:
    """Seconds until the first row comes, which is one of a failure: stubs are no pictures."""
    options = ["--engine", "onnxruntime", "--quiet", "--format", "jsonl"]
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "classify_nsfw.py"), *options, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.perf_counter() - start
    process.terminate()
    process.stdout.close()
    process.wait()
    return seconds


def steps_table(files: Path, count: int) -> None:
    """What one finished row costs, step by step: processor time of the first 20,000 of them, the best of five."""
    rows = file_rows(files, min(count, 20_000))
    paths, lines, text = [row.path for row in rows], list(map(json_line, rows)), b"".join(map(csv_line, rows))
    decode = json.JSONDecoder().decode
    steps: dict[str, Callable[[], Iterable[object]]] = {
        "look at a file (`stat`)": lambda: map(os.stat, paths),
        "hash its name": lambda: (key_of(path, None) for path in paths),
        "read JSON, whatever it holds": lambda: (decode(line.decode("ascii")) for line in lines),
        "read a row of JSON lines, and check it": lambda: reader_of(io.BytesIO(b"".join(lines)), "", "jsonl"),
        "read a row of CSV, and check it": lambda: reader_of(io.BytesIO(csv_header() + text), "", "csv"),
    }
    print("| one finished row | processor time, µs |\n|---|---|")
    for name, step in steps.items():
        print(f"| {name} | {1e6 * min(spent(step) for _ in range(5)) / len(rows):.1f} |", flush=True)
    print()


def spent(step: Callable[[], Iterable[object]]) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    deque(step(), maxlen=0)
    return time.process_time() - start


def jobs_table(folder: Path, count: int) -> None:
    """Cost by number of jobs."""
    cores = len(os.sched_getaffinity(0))
    print(f"| jobs on {cores} cores | pictures/s | processor ms a picture | peak MiB |\n|---|---|---|---|")
    for jobs in (1, cores, 16):
        rows = folder / f"jobs-{jobs}.jsonl"
        listed = list_of_thumbnails(folder, count)
        run = cost(contenders.command(listed, "--jobs", str(jobs), "--output", str(rows)), rows)
        each = f"{1000 * run.processor / count:.1f} | {run.peak:.0f}"
        print(f"| {jobs} | {count / run.seconds:.1f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
