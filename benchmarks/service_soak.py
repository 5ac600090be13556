"""The service over half an hour of mixed traffic: good pictures, and everything that does harm.

    python benchmarks/service_soak.py [--minutes 30] [--pause 0.05]

Every good picture must have the score that the first one of its kind had; whatever harm is done must be answered as it is
in tests/service/test_hostile.py. Every fifth of the time a line says how many requests there were, what was lost, and
the memory, descriptors and processes of the service.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import machine
import service as measured

from tests.tools.helpers import DATA, png_header
from tests.tools.planted_decoders import HEIF, plant

CLIENTS = 6
GOOD_SHARE = 0.7
PUSHED = sorted((DATA / "pushed").glob("*.jpg"))
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\n"


class Traffic:
    """What the clients do, and what came of it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        self.counts: Counter[str] = Counter()
        self.lost: list[str] = []
        self.scores: dict[Path, float] = {}
        self.over = threading.Event()
        self._lock = threading.Lock()

    def run(self, seed: int, pause: float) -> None:
        """One client, until it is over."""
        chance = random.Random(seed)
        harm = [
            self.crash,
            self.hang,
            self.bomb,
            self.archive,
            self.too_large,
            self.gone,
            self.slow,
            self.nonsense,
            self.kill,
        ]
        while not self.over.wait(pause * chance.random() * 2):
            act = self.good if chance.random() < GOOD_SHARE else chance.choice(harm)
            try:
                act(chance)
            except (OSError, http.client.HTTPException, AssertionError, ValueError) as error:
                with self._lock:
                    self.lost.append(f"{act.__name__}: {type(error).__name__}: {error}")
            with self._lock:
                self.counts[act.__name__] += 1

    def ask(self, content: bytes) -> tuple[int, bytes]:
        """One request; status and content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            connection.request("POST", "/v1/score", content)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def good(self, chance: random.Random) -> None:
        """A picture whose score is known. Its decoder may be killed by another client."""
        import json

        path = chance.choice(PUSHED)
        status, content = self.ask(path.read_bytes())
        row = json.loads(content)
        assert status == 200, (status, content)
        if row["score"] is None:
            assert row["error"].startswith("decoder-crashed"), row
            self.counts["good, but its decoder was killed"] += 1
            return
        expected = self.scores.setdefault(path, row["score"])
        assert abs(row["score"] - expected) < 1e-6, row

    def _failing(self, content: bytes, code: bytes) -> None:
        status, answer = self.ask(content)
        assert status == 200 and (b'"error": "' + code in answer or b"decoder-crashed" in answer), (status, answer)

    def crash(self, chance: random.Random) -> None:
        """A decoder that ends."""
        self._failing(HEIF + chance.choice((b"crash", b"abort", b"exit", b"stack-overflow")), b"decoder-crashed")

    def hang(self, chance: random.Random) -> None:
        """A decoder that hangs; seldom, it takes its seconds."""
        if chance.random() < 0.1:
            self._failing(HEIF + b"hang", b"timeout")

    def bomb(self, chance: random.Random) -> None:
        """More pixels than memory."""
        self._failing(png_header(60_000, 60_000), b"too-many-pixels")

    def archive(self, chance: random.Random) -> None:
        """An archive with good and bad members."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(chance.choice(PUSHED), "a.jpg")
            archive.writestr("b.bmp", b"BM" + bytes(20_000_000))
            archive.writestr("c.jpg", b"x")
        status, answer = self.ask(content.getvalue())
        assert status == 200 and b"archive-bomb" in answer, (status, answer)

    def too_large(self, chance: random.Random) -> None:
        """A body that says that it is too large."""
        assert self._raw(HEAD + b"Content-Length: 9000000000\r\n\r\n").startswith(b"HTTP/1.1 413")

    def gone(self, chance: random.Random) -> None:
        """A client that leaves before its answer."""
        content = chance.choice(PUSHED).read_bytes()
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(
                HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content[: chance.randrange(len(content))]
            )

    def slow(self, chance: random.Random) -> None:
        """A client that sends nothing more."""
        if chance.random() < 0.2:
            assert self._raw(HEAD + b"Content-Length: 10\r\n\r\nx").startswith(b"HTTP/1.1 408")

    def nonsense(self, chance: random.Random) -> None:
        """What is no HTTP."""
        answer = self._raw(chance.randbytes(300) + b"\r\n\r\n")
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")) or not answer, answer

    def kill(self, chance: random.Random) -> None:
        """kill -9 of a decoding process; seldom."""
        pids = measured.tree(self.pid)[1:]
        if pids and chance.random() < 0.1:
            try:
                os.kill(chance.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _raw(self, content: bytes) -> bytes:
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=90) as connection:
            try:
                connection.sendall(content)
                while piece := connection.recv(65536):
                    answer += piece
            except ConnectionError:
                pass
        return answer


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds of a client between two requests")
    options = parser.parse_args()
    print(machine.describe(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        plant(Path(folder, "planted"))
        os.environ["PYTHONPATH"] = str(Path(folder, "planted", "plugin"))
        with measured.serving(["--max-seconds", "3", "--body-seconds", "3", "--header-seconds", "3"]) as (
            process,
            port,
        ):
            soak(Traffic(port, process.pid), options.minutes * 60, options.pause)
            began = time.monotonic()
            process.terminate()
            print(f"exit status {process.wait()} after {time.monotonic() - began:.1f} s")


def soak(traffic: Traffic, seconds: float, pause: float) -> None:
    """Let the clients run, and print the state after each fifth of the time."""
    clients = [threading.Thread(target=traffic.run, args=(seed, pause)) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    print("| minutes | requests | lost | MiB, all processes | descriptors | processes |\n|---|---|---|---|---|---|")
    for number in range(1, 6):
        time.sleep(seconds / 5)
        pids = measured.tree(traffic.pid)
        size = sum(measured.resident(pid) for pid in pids) / 2**20
        descriptors = len(list(Path(f"/proc/{traffic.pid}/fd").iterdir()))
        counted = sum(traffic.counts.values())
        print(
            f"| {seconds / 300 * number:.0f} | {counted:,} | {len(traffic.lost)} | {size:.0f} | {descriptors} | {len(pids)} |",
            flush=True,
        )
    traffic.over.set()
    for client in clients:
        client.join()
    print("\n" + ", ".join(f"{count:,} {name}" for name, count in sorted(traffic.counts.items())))
    print("\n".join(["lost:", *traffic.lost[:20]] if traffic.lost else ["nothing lost"]), flush=True)


if __name__ == "__main__":
    main()
