"""The service beside the command: pictures a second under load, latency at half of it, and memory over many requests.

    python benchmarks/service.py [--rounds 3] [--seconds 12] [--requests 20000] [--fast]

Web-sized pictures over keep-alive connections, sent by wrk (Debian: apt-get install wrk). Each round runs the command on the
same pictures, then wrk with 4, 16 and 64 connections; a ratio is the median over the rounds of the ratio within the
round. The command is timed as a whole process, its start included. Latencies are those of a client that sends at
half of the measured pace, whatever comes back, so that a slow answer delays no other request. Processor time tells what
the service costs beside the command where other programs run on the same machine.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import corpus
import machine

PICTURES = 200
REPEATED = 4  # times that the command gets them, so that its start is a small part
CONNECTIONS = (4, 16, 64)
LATENCY_SECONDS = 20
COMMAND = [sys.executable, "-m", "classify_nsfw", "--format", "jsonl", "--quiet"]
WRK = """
local bodies, at = {}, 0
for path in io.lines("%s") do
  local file = io.open(path, "rb")
  local headers = {["Content-Type"] = "image/jpeg", ["Host"] = "localhost"}
  bodies[#bodies + 1] = wrk.format("POST", "/v1/score", headers, file:read("*a"))
  file:close()
end
request = function()
  at = at %% #bodies + 1
  return bodies[at]
end
"""


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=12, help="of each load")
    parser.add_argument("--requests", type=int, default=20_000, help="over which memory is looked at")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--fast", action="store_true", help="both with --fast")
    options = parser.parse_args()
    print(machine.describe(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = corpus.web_pictures(Path(folder), PICTURES)
        fast = ["--fast"] if options.fast else []
        with serving(fast) as (process, port):
            speed = speeds(paths, Path(folder), port, process.pid, fast, options)
            latencies(paths, port, speed / 2)
            if options.requests:
                memory(Path(folder), port, process, options.requests)


@contextmanager
def serving(options: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A service of this Python's package on a free port."""
    line = [sys.executable, "-m", "open_nsfw", "serve", "--port", "0", "--no-access-log", *options]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = re.search(r":(\d+)$", process.stderr.readline())
        assert found
        yield process, int(found[1])
    finally:
        process.terminate()
        process.wait()


def speeds(paths: list[Path], folder: Path, port: int, pid: int, fast: list[str], options: argparse.Namespace) -> float:
    """Prints pictures a second of everybody, and ratios; gives that of the service with most connections."""
    listed, script = folder / "list", folder / "wrk.lua"
    listed.write_text("\n".join(map(str, paths * REPEATED)) + "\n")
    (folder / "once").write_text("\n".join(map(str, paths)) + "\n")
    script.write_text(WRK % (folder / "once"))
    commands: list[float] = []
    costs: dict[str, list[float]] = {"command": [], "service": []}  # processor milliseconds a picture
    services: dict[int, list[float]] = {connections: [] for connections in options.connections}
    load(script, port, options.connections[0], 3)  # decoding processes come up, caches are filled
    for number in range(options.rounds):
        done = machine.run([*COMMAND, "--from-list", str(listed), *fast])
        commands.append(len(paths) * REPEATED / done.wall)
        costs["command"].append(done.cpu * 1000 / (len(paths) * REPEATED))
        before, answered = processor_seconds(pid), 0.0
        for connections in options.connections:
            services[connections].append(load(script, port, connections, options.seconds))
            answered += services[connections][-1] * options.seconds
        costs["service"].append((processor_seconds(pid) - before) * 1000 / answered)
        told = ", ".join(f"{connections}: {speed[-1]:.1f}" for connections, speed in services.items())
        print(f"round {number}: command {commands[-1]:.1f}; service {told}", file=sys.stderr, flush=True)
    print("| | pictures a second | of the command's |\n|---|---|---|")
    print(f"| classify_nsfw {' '.join(fast)} | {statistics.median(commands):.1f} | 1 |")
    for connections, found in services.items():
        ratio = statistics.median(a / b for a, b in zip(found, commands))
        print(
            f"| open-nsfw serve, {connections} connections | {statistics.median(found):.1f} | {ratio:.2f} |", flush=True
        )
    told = ", ".join(f"{name} {statistics.median(each):.1f}" for name, each in costs.items())
    ratio = statistics.median(a / b for a, b in zip(costs["service"], costs["command"]))
    print(f"\nprocessor milliseconds a picture: {told}; ratio {ratio:.2f}", flush=True)
    return statistics.median(services[options.connections[-1]])


def processor_seconds(pid: int) -> float:
    """Of a process and all that it has started, those that have ended included."""
    ticks = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def load(script: Path, port: int, connections: int, seconds: int) -> float:
    """Answers a second under wrk. Raises SystemExit if one was not 200."""
    threads = min(2, connections)
    line = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
    done = subprocess.run([*line, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    return float(found[1])


def latencies(paths: list[Path], port: int, pace: float) -> None:
    """Prints quantiles of the time from when a request was due to its answer."""
    contents = [path.read_bytes() for path in paths]
    local = threading.local()
    began = time.perf_counter() + 0.5

    def ask(number: int) -> float:
        due = began + number / pace
        time.sleep(max(0.0, due - time.perf_counter()))
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        local.connection.request("POST", "/v1/score", contents[number % len(contents)])
        answer = local.connection.getresponse()
        answer.read()
        assert answer.status == 200
        return time.perf_counter() - due

    with ThreadPoolExecutor(32) as clients:
        found = sorted(clients.map(ask, range(int(pace * LATENCY_SECONDS))))
    quantiles = ", ".join(f"p{share} {found[int(len(found) * share / 100)] * 1000:.0f} ms" for share in (50, 95, 99))
    print(f"\nat {pace:.1f} requests a second, {len(found)} in all: {quantiles}", flush=True)


def memory(folder: Path, port: int, process: subprocess.Popen[str], requests: int) -> None:
    """Prints memory and descriptors of the service after a tenth of the requests and after each further quarter."""
    script, pids, done = folder / "wrk.lua", [process.pid], 0
    print("\n| requests | MiB, all processes | open descriptors of the service |\n|---|---|---|")
    for target in (requests // 10, requests // 4, requests // 2, 3 * requests // 4, requests):
        while done < target:
            done += round(load(script, port, 16, 10) * 10)
        pids = tree(process.pid)
        total = sum(resident(pid) for pid in pids) / 2**20
        descriptors = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        print(f"| {done:,} | {total:.0f} | {descriptors} |", flush=True)


def tree(pid: int) -> list[int]:
    """A process and all that it has started."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [pid, *(each for child in children for each in tree(child))]


def resident(pid: int) -> int:
    """Bytes of a process in memory, what it shares counted by its share."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main()
