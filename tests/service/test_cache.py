"""`open-nsfw serve --cache FILE`: what is known is not scored again, whatever it was asked for with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.tools.helpers import DATA, PICTURE, ROOT, run_command, wait_until
from tests.tools.processes import children
from tests.tools.service import Running, serving

GIF = (DATA / "pictures" / "animated.gif").read_bytes()


def test_answers_are_those_of_a_service_without_a_cache(tmp_path: Path) -> None:
    """The second time, at the same time, with other frames, and for the command, which shares the file."""
    cache = tmp_path / "cache"
    questions = [(PICTURE.read_bytes(), ""), (GIF, ""), (GIF, "?frames=all"), (GIF, "?frames=max=2"), (b"text", "")]
    with serving(tmp_path) as service:
        fresh = [service.score(*question).content for question in questions]
    with serving(tmp_path, "--cache", cache) as service:
        for _ in range(2):
            assert [service.score(*question).content for question in questions] == fresh
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(service.score(*questions[2]).content)) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [fresh[2]] * 20
        limits = ("--max-bytes", "32MiB", "--max-frames", "1000")
        found = run_command(PICTURE, PICTURE, "--cache", cache, *limits)
        assert "; 2 known by content; " in found.err
        assert service.stop() == 0
    assert [path.name for path in tmp_path.glob("cache*")] == ["cache"]


def test_what_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    line = [sys.executable, "-m", "open_nsfw", "serve", "--port", "0", "--cache", str(tmp_path / "x")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    message = "is no cache of scores; it was left as it is, name another file in --cache"
    assert (done.returncode, done.stderr) == (2, f"open-nsfw serve: error: {tmp_path / 'x'}: {message}\n")


def test_ready_means_that_it_scores_now(tmp_path: Path) -> None:
    """Not that it knows the score of the picture that it tries with: decoders that cannot be started are noticed."""
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    line = [str(python), "-c", "import sys; from open_nsfw.cli.serve import main; sys.exit(main(sys.argv[1:]))"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    line += ["--port", "0", "--jobs", "2", "--cache", str(tmp_path / "cache")]
    with subprocess.Popen(line, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().rpartition(":")[2])
        service = Running(process, port, tmp_path / "log")
        decoders = children(process.pid)
        assert len(decoders) == 2  # each of which was tried
        assert service.ask("GET", "/readyz").status == 200
        python.unlink()
        for pid in decoders:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: service.ask("GET", "/readyz").status == 503)
        process.kill()
