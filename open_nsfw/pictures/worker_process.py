"""One decoding process as the command's process has it: its start, its pipes, its end. decode_worker.py is what runs in
it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, cast

from open_nsfw.errors import SetupError
from open_nsfw.installing import missing_library
from open_nsfw.pictures.extraction import Extraction

# Blocks of memory that Pillow keeps for the next picture instead of getting them afresh from the system, page by page:
# 12 megapixels, which take twelve of them, go through the recipe in 68 ms instead of 92. A block that a smaller picture
# needs next is cut to its size, so with Pillow's own blocks of 16 MiB nothing large would be left of them.
WORKER_MEMORY = {
    "PILLOW_BLOCK_SIZE": "4m",
    "PILLOW_BLOCKS_MAX": "32",
    # glibc hands buffers of over 128 KiB back to the kernel after each picture and has them cleared anew for the next,
    # which took a tenth of the time of a web-sized one. Other C libraries do not read these.
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}
F_SETPIPE_SZ = 1031  # linux/fcntl.h; Python has a name for it from 3.10 on
PIPE_BYTES = 1 << 20  # how far a worker may run ahead of the scoring: six pictures
END_SECONDS = 5  # between a closed pipe and the exit status that explains it
CHECK_SECONDS = 30  # for a process that does not come up to say why, when it is asked again
LONGEST_REASON = 300  # characters
MODULE = "open_nsfw.pictures.decode_worker"


class WorkerProcess:
    """A process that was started to decode."""

    def __init__(self, process: subprocess.Popen[bytes], requests: BinaryIO, answers: BinaryIO) -> None:
        self._process = process
        self.pid = process.pid
        self.requests, self.answers = requests, answers
        self._size_before = self._descriptors_before = 0

    def note_size(self) -> None:
        """Remember how large the process is now, for `growth`."""
        self._size_before, self._descriptors_before = _address_space(self.pid), _descriptors(self.pid)

    def growth(self) -> tuple[int, int]:
        """Bytes of address space and open descriptors that have come since `note_size`; 0 where the system does not
        tell."""
        return _address_space(self.pid) - self._size_before, _descriptors(self.pid) - self._descriptors_before

    def has_ended(self) -> bool:
        """Whether it has, of itself."""
        return self._process.poll() is not None

    def resume(self) -> None:
        """Make it go on, if it was stopped."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, with all that it has started. May be called from any thread, and again."""
        try:
            # The group is its own since its start, and lasts as long as any process that it has started.
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # no process is left; macOS refuses where only dead ones are
            self._process.kill()

    def close(self) -> None:
        """End it; it has nothing to finish."""
        self.kill()
        self._process.wait()
        self._bury_orphans()
        for pipe in (self.requests, self.answers):
            try:
                pipe.close()
            except OSError:
                pass  # what was still in the buffer was for a process that is gone

    def _bury_orphans(self) -> None:
        """Take note of the end of what the process had started: as the first process of a container, this one has
        inherited those."""
        try:
            while True:
                os.waitpid(-self.pid, 0)
        except ChildProcessError:  # there is none, or it is another process's
            pass

    def end(self) -> str:
        """Wait for the end of a process that says nothing any more; how it ended."""
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            self.kill()
            status = self._process.wait()
        return exit_text(status)


def start(options: Extraction, descriptor: int | None = None) -> WorkerProcess:
    """A new process, which need not have come up yet; `descriptor` is open in it, too. Raises SetupError."""
    if not sys.executable:
        raise SetupError(
            "a decoding process cannot be started: sys.executable, which names the interpreter, is empty, as in programs that "
            "embed Python; set it first"
        )
    answers, answers_there = map(_above_streams, os.pipe())
    inherited = [answers_there] if descriptor is None else [answers_there, descriptor]
    try:
        process = subprocess.Popen(
            [*_command(), str(answers_there), options.to_json()],
            stdin=subprocess.PIPE,
            # What libraries print there says no more than the row; answers have a pipe that no library knows of.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=inherited,
            env={**os.environ, **WORKER_MEMORY},
            # What a terminal or `timeout` signals is the parent's group; the parent decides. It ends this one as a whole.
            start_new_session=True,
        )
    except OSError as error:
        os.close(answers)
        raise SetupError(
            f"a decoding process cannot be started: {error.strerror or error}; try fewer --jobs"
        ) from error
    finally:
        os.close(answers_there)
    _widen_pipe(answers)
    return WorkerProcess(process, cast(BinaryIO, process.stdin), open(answers, "rb"))


def _above_streams(descriptor: int) -> int:
    """The same open file under a number that is none of a standard stream's: those of a new process are put in their place,
    and may be free here."""
    if descriptor > 2:
        return descriptor
    import fcntl

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


def _command() -> list[str]:
    """Python with the parent's import path, so that the worker has the very modules that the parent has, wherever it
    found them, and need not look for packages itself (-S)."""
    root = str(Path(__file__).resolve().parents[2])
    # Last: before the standard library, this folder's other packages would come in place of its modules.
    paths = [each for each in (*sys.path, root) if isinstance(each, str)]
    code = f"import sys; sys.path[:] = {paths!r}; from {MODULE} import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-S", "-c", code]


def start_error(ended: str) -> SetupError:
    """Why no process comes up, by what another one says that is started for it."""
    if not find_spec("PIL"):
        return SetupError(missing_library("PIL"))
    try:
        done = subprocess.run(
            _command(), stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_SECONDS, check=False
        )
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = f"{ended}: {lines[-1][:LONGEST_REASON]}" if done.returncode and lines else ended
    except (OSError, subprocess.TimeoutExpired):
        reason = ended
    return SetupError(f"the decoding process does not start ({reason}); try: {advised_command()}")


def advised_command() -> str:
    """A line for a shell that shows why no process comes up."""
    root = str(Path(__file__).resolve().parents[2])
    is_script = bool(sys.path) and os.path.realpath(sys.path[0]) == root  # `python classify_nsfw.py`, not installed
    line = f"{sys.executable} -m {MODULE}"
    return f'cd "{root}" && {line}' if is_script else line


def exit_text(status: int) -> str:
    """`signal SIGSEGV` or `exit status 3`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal, most of which have no name
        return f"signal {-status}"


def _widen_pipe(descriptor: int) -> None:
    if sys.platform != "linux":
        return
    import fcntl

    try:
        fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass  # the user's share of such memory is used up; the narrow pipe works too


def _address_space(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read(64).split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
