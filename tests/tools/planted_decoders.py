"""Decoders that do what a picture made by an enemy can make a decoder do: about 80 kinds.

`plant(folder)` writes a false `pillow_heif` and a picture for each kind, which names what the decoder is to do. The worker
loads the module for a HEIF picture; run the command with `PYTHONPATH` set to `folder / "plugin"`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# A minimal HEIF: the `ftyp` box that the allow-list goes by. The name of a kind follows.
HEIF = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1"

# What the acts below may use. `raw` writes a message of these bytes among the answers, `say` one of these fields.
PLUGIN = '''
import ctypes, errno, gc, json, os, signal, struct, sys, threading, time
from PIL import Image, ImageColor, ImageFile
from open_nsfw.pictures import decode_worker as worker

# Left open: whoever waits for a decoder that is at work sees it among the worker's files.
SOURCE = open(__file__ + ".acts")
ACTS = json.load(SOURCE)

def caller(name="answer"):
    """The variables of a function of decode_worker.py, by which this picture is decoded."""
    frame = sys._getframe()
    while frame.f_code.co_name != name:
        frame = frame.f_back
    return frame.f_locals

def raw(header, payload=b"", lengths=None, stream=None):
    stream = stream or caller()["stream"]
    header = header if isinstance(header, bytes) else header.encode()
    stream.write(struct.pack(">IQ", *(lengths or (len(header), len(payload)))) + header + payload)
    stream.flush()

def say(payload=b"", number=None, stream=None, **fields):
    number = caller()["request"].number if number is None else number
    raw(json.dumps({"request": number, **fields}), payload, stream=stream)

PIXELS = bytes(3 * 256 * 256)
SHOWN = dict(kind="picture", width=8, height=8, format="HEIF", frame=None, seconds=None, exact=True, reduced=False,
             track=None, upright=None, part=None)

def picture(payload=PIXELS, **changes):
    say(payload, **{**SHOWN, **changes})

class Planted(ImageFile.ImageFile):
    format = "HEIF"
    def _open(self):
        self._size, self._mode, self.tile = (8, 8), "RGB", []
        self.fp.seek(24)
        self.act = ACTS[self.fp.read().decode()]
    def load(self):
        act, self.act = self.act, ""
        exec(act, globals())
        self.im = Image.new("RGB", self._size, "teal").im
        return Image.Image.load(self)

def register_heif_opener():
    Image.register_open("HEIF", Planted, lambda prefix: prefix[4:8] == b"ftyp")
'''

CRASHED = "decoder-crashed: the decoder crashed on it"
TIMEOUT = "timeout: not decoded within 2 s (--max-seconds)"
MEMORY = "out-of-memory: decoding takes more memory than it may (--max-memory)"


@dataclass(frozen=True)
class Kind:
    """One thing that a decoder does."""

    act: str
    """Python, run in the worker while it decodes."""
    error: str | None
    """Of the picture's row; None where it has a score all the same."""


def is_at_work(pid: int) -> bool:
    """Whether a worker has come to a planted picture."""
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            if os.readlink(link).endswith(".acts"):
                return True
        except FileNotFoundError:  # closed meanwhile
            continue
    return False


def _answered(reason: str) -> str:
    return f"{CRASHED} (it answered with {reason})"


def _damaged(reason: str) -> str:
    return f"undecodable: a damaged HEIF file: {reason}"


_NOT_JSON, _FIELDS = (
    _answered("a message that is not JSON"),
    _answered("a message `picture` with other fields than it has"),
)
_KIND = _answered("a message of no known kind")
_OTHER, _PIXELS = _answered("an answer to another request"), _answered("pixels that were not asked for")


def _wrong(name: str, kind: str = "picture") -> str:
    return _answered(f"a message `{kind}` with a wrong `{name}`")


KINDS = {
    # It ends.
    "crash": Kind("ctypes.string_at(0)", f"{CRASHED} (signal SIGSEGV)"),
    "abort": Kind("os.abort()", f"{CRASHED} (signal SIGABRT)"),
    "killed": Kind("os.kill(os.getpid(), signal.SIGKILL)", f"{CRASHED} (signal SIGKILL)"),
    "real-time-signal": Kind("os.kill(os.getpid(), 40)", f"{CRASHED} (signal 40)"),
    "exit": Kind("os._exit(7)", f"{CRASHED} (exit status 7)"),
    "exit-in-peace": Kind("os._exit(0)", f"{CRASHED} (exit status 0)"),
    "system-exit": Kind("sys.exit(3)", f"{CRASHED} (exit status 3)"),
    "keyboard-interrupt": Kind("raise KeyboardInterrupt", f"{CRASHED} (signal SIGINT)"),
    "stack-overflow": Kind(
        "sys.setrecursionlimit(10**9)\ndef deeper(): repr_ = [deeper()]\nthreading.stack_size(1 << 16)\n"
        "import functools\nf = functools.partial(int)\nfor _ in range(10**6): f = functools.partial(f.__call__)\nf()",
        f"{CRASHED} (signal SIGSEGV)",
    ),
    "child-keeps-the-pipe": Kind(
        "os.fork() and os._exit(5) or time.sleep(600)",
        f"{CRASHED} (exit status 5)",
    ),
    "ends-half-way-through": Kind(
        "caller()['stream'].write(b'\\0\\0\\0'); caller()['stream'].flush(); os._exit(1)", f"{CRASHED} (exit status 1)"
    ),
    "closes-the-answers": Kind("os.close(caller()['stream'].fileno()); time.sleep(600)", f"{CRASHED} (signal SIGKILL)"),
    # It raises.
    "raise": Kind("raise RuntimeError('two\\nlines')", _damaged("two lines")),
    "raise-at-length": Kind("raise RuntimeError('x' * 10**7)", _damaged("x" * 1000)[: len("undecodable: ") + 1000]),
    "raise-escapes": Kind("raise RuntimeError('\\x1b[31m\\ud800')", _damaged("\\x1b[31m\\ud800")),
    "raise-silently": Kind("raise RuntimeError", _damaged("RuntimeError")),
    "raise-without-words": Kind(
        "class Mute(Exception):\n def __str__(self): raise ValueError('mute')\nraise Mute",
        "undecodable: the decoder failed: ValueError: mute",
    ),
    "raise-base": Kind("raise BaseException('base')", f"{CRASHED} (exit status 1)"),
    "raise-generator-exit": Kind("raise GeneratorExit", f"{CRASHED} (exit status 1)"),
    "raise-stop-iteration": Kind("raise StopIteration", _damaged("StopIteration")),
    "no-memory": Kind("raise MemoryError", MEMORY),
    "eat": Kind("eaten = [bytearray(1 << 26) for _ in range(1000)]", MEMORY),
    "too-deep": Kind("def deeper(): deeper()\ndeeper()", _damaged("maximum recursion depth exceeded")),
    # It hangs.
    "hang": Kind("time.sleep(600)", TIMEOUT),
    "hang-with-children": Kind("[os.fork() or time.sleep(600) for _ in range(3)]; time.sleep(600)", TIMEOUT),
    "hang-deaf": Kind("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); time.sleep(600)", TIMEOUT),
    "hang-stopped": Kind("while True: os.kill(os.getpid(), signal.SIGSTOP)", TIMEOUT),
    "spin": Kind("import re; re.match('(a|a)*b', 'a' * 60)", TIMEOUT),
    "answers-without-end": Kind("for n in range(10**9): picture(frame=n)", _answered("more pictures than it may")),
    # It speaks where the answers are not.
    "print": Kind("os.write(1, b'noise'); print('more noise', flush=True)", None),
    "print-much": Kind("os.write(1, b'x' * 10**6); os.write(2, b'x' * 10**6)", None),
    "reads-stdin": Kind("assert os.read(0, 100) == b'' == sys.stdin.buffer.read()", None),
    "terminates": Kind("os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGINT)", None),
    "stops-once": Kind("os.kill(os.getpid(), signal.SIGSTOP)", None),
    # It says what is no message.
    "no-json": Kind("raw('{kind')", _NOT_JSON),
    "no-header": Kind("raw('')", _NOT_JSON),
    "no-utf-8": Kind('raw(b\'{"kind": "\\xff"}\')', _NOT_JSON),
    "nested": Kind("raw('[' * 60000)", _NOT_JSON),
    "name-twice": Kind('raw(\'{"kind": "end", "request": 1, "request": 1}\')', _NOT_JSON),
    "list": Kind("raw('[1, 2]')", _answered("a message that is no object")),
    "null": Kind("raw('null')", _answered("a message that is no object")),
    "no-kind": Kind("raw('{}')", _KIND),
    "unknown-kind": Kind("say(kind='shutdown')", _KIND),
    "kind-is-a-list": Kind("say(kind=['picture'])", _KIND),
    "missing-field": Kind("say(PIXELS, **{k: v for k, v in SHOWN.items() if k != 'width'})", _FIELDS),
    "extra-field": Kind("picture(colour='red')", _FIELDS),
    "width-is-text": Kind("picture(width='8')", _wrong("width")),
    "width-is-true": Kind("picture(width=True)", _wrong("width")),
    "width-is-zero": Kind("picture(width=0)", _wrong("width")),
    "width-of-400-digits": Kind("picture(width=10**400)", _wrong("width")),
    "height-is-a-fraction": Kind("picture(height=8.0)", _wrong("height")),
    "format-is-a-screen": Kind("picture(format='\\x1b[2J')", _wrong("format")),
    "format-at-length": Kind("picture(format='H' * 1000)", _wrong("format")),
    "frame-below-zero": Kind("picture(frame=-1)", _wrong("frame")),
    "seconds-are-none": Kind("picture(seconds=float('nan'))", _wrong("seconds")),
    "exact-is-one": Kind("picture(exact=1)", _wrong("exact")),
    "code-of-its-own": Kind(
        "say(kind='file-failure', code='all-well', message='', worn=False)", _wrong("code", "file-failure")
    ),
    "message-at-length": Kind(
        "say(kind='file-failure', code='empty', message='x' * 1001, worn=False)", _wrong("message", "file-failure")
    ),
    "end-with-a-payload": Kind("say(b'x', kind='end')", _answered("a message `end` with a payload")),
    "longer-than-memory": Kind("raw('{}', lengths=(2, 2**60))", _answered("a message that is too long")),
    "header-longer-than-memory": Kind("raw('{}', lengths=(2**32 - 1, 0))", _answered("a message that is too long")),
    # It says what may not come there.
    "ready-again": Kind('raw(\'{"kind": "ready"}\')', _answered("a message out of order")),
    "request": Kind(
        'raw(\'{"kind": "request", "number": 1, "path": null, "descriptor": null, "quick_side": null, "frames": null}\')',
        _answered("no answer"),
    ),
    "end-without-a-picture": Kind("say(kind='end')", _answered("neither a picture nor a reason")),
    "file-twice": Kind("say(kind='file', bytes=1, sha256=None, format=None)", _answered("an answer out of order")),
    "picture-twice": Kind("picture(); picture()", _answered("a picture that was there already")),
    "picture-among-frames": Kind("picture(frame=0); picture()", _answered("a picture that was there already")),
    "frame-twice": Kind("picture(frame=3); picture(frame=3)", _answered("a picture that was there already")),
    "no-pixels": Kind("picture(b'')", _PIXELS),
    "pixels-too-few": Kind("picture(PIXELS[:-3])", _PIXELS),
    "pixels-too-many": Kind("picture(PIXELS + b'xyz')", _answered("a message that is too long")),
    "quick-pixels": Kind("picture(bytes(3 * 225 * 225), exact=False)", _PIXELS),
    "exact-and-reduced": Kind("picture(reduced=True)", _PIXELS),
    "answer-to-another": Kind("picture(number=caller()['request'].number + 1)", _OTHER),
    "end-of-another": Kind("say(kind='end', number=0)", _OTHER),
    # It leaves something behind for the next file, which must get its own score all the same.
    "ends-twice": Kind("picture(); say(kind='end'); say(kind='end')", None),
    "answers-ahead": Kind(
        "n = caller()['request'].number; picture(); say(kind='end')\nfor k in range(1, 9):\n"
        " say(number=n + k, kind='file', bytes=1, sha256=None, format=None); picture(number=n + k)\n"
        " say(number=n + k, kind='end')",
        None,
    ),
    "answers-late": Kind(
        "n, answer = caller()['request'].number, worker.answer\ndef late(request, options, stream):\n"
        " say(number=n, stream=stream, kind='file', bytes=1, sha256=None, format=None)\n"
        " say(PIXELS, number=n, stream=stream, **SHOWN); say(number=n, stream=stream, kind='end')\n"
        " answer(request, options, stream)\nworker.answer = late",
        None,
    ),
    "changes-folder": Kind("os.chdir('/')", None),
    "dies-later": Kind("worker.answer = lambda *request: os._exit(9)", None),
    "dies-in-between": Kind(
        "receive = worker.receive_request\nworker.receive_request = lambda stream: os._exit(9)", None
    ),
    "closes-the-requests": Kind("caller('main')['stream'].close()", None),
    "takes-all-descriptors": Kind(
        "import resource; Image.init(); resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\nleaked = []\n"
        "try:\n while True: leaked.append(os.dup(1))\nexcept OSError: pass",
        None,
    ),
    "takes-all-memory": Kind(
        "globals()['kept'] = []\ntry:\n while True: kept.append(bytearray(1 << 23))\nexcept MemoryError: del kept[-8:]",
        None,
    ),
    "takes-some-descriptors": Kind("globals()['more'] = [os.dup(1) for _ in range(100)]", None),
    "takes-some-memory": Kind("import mmap; globals()['much'] = mmap.mmap(-1, 400 << 20)", None),
    "takes-a-while": Kind("open(__file__ + '.begun', 'w').close(); time.sleep(1)", None),
    "slow-frames": Kind(
        "for n in range(9999): time.sleep(0.25); picture(frame=n)", _answered("more pictures than it may")
    ),
    "gives-up-always": Kind(
        "say(kind='file-failure', code='out-of-memory', message='worn', worn=True)", "out-of-memory: worn"
    ),
}


def plant(folder: Path) -> dict[str, Path]:
    """Write the decoder into `folder / "plugin"` and a picture for each kind into `folder`; kind -> picture."""
    import json

    plugin = folder / "plugin"
    plugin.mkdir(parents=True)
    (plugin / "pillow_heif.py").write_text(PLUGIN)
    (plugin / "pillow_heif.py.acts").write_text(json.dumps({name: kind.act for name, kind in KINDS.items()}))
    pictures = {name: folder / f"{name}.heic" for name in KINDS}
    for name, path in pictures.items():
        path.write_bytes(HEIF + name.encode())
    return pictures
