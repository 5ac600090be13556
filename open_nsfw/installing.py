"""What this package needs from other libraries, and the commands that install what is missing.

setup.py reads the tables from here, so a bound is written once. An error message never names this package's extras
(`open-nsfw[video]`), because no package index has it: it names the libraries, which works for every way of installing.

Only the standard library is imported, and little of it: setup.py runs this before anything is installed.
"""

from __future__ import annotations

import os
import sys

# The lowest releases that the tests have passed with, on Python 3.9. Pillow reads pictures from strangers: 10.3 is the
# first release with the fixes for the known holes in its decoders up to 2024.
REQUIREMENTS = ("numpy>=1.22", "pillow>=10.3", "onnxruntime>=1.17", "onnx>=1.16", "protobuf>=3.20.2", "tqdm>=4.64")

# pycaffe is on PyPI for Python 3.9 and older only, and was built against NumPy 1 and the protobuf of its day. The last
# onnx that takes that protobuf is 1.17; saying so here spares pip the search.
_CAFFE = ("kendryte-caffe==1.0.0.20210829", "scikit-image", "scipy", "six", "numpy<2", "protobuf<3.21", "onnx<1.18")

EXTRAS = {
    "caffe": tuple(requirement + '; python_version < "3.10"' for requirement in _CAFFE),
    "openvino": ("openvino>=2024.0",),
    "gpu": ("onnxruntime-gpu>=1.17",),
    "video": ("av>=14.1",),  # the first that tells the cover of a film or a song from a film
    "heif": ("pillow-heif>=0.16",),
    "zstd": ("zstandard>=0.21",),
    "parquet": ("pyarrow>=14",),
    "watch": ("watchfiles>=0.24",),
    "draw": ("graphviz>=0.20",),
    # pandas 3 changes what Spark's releases so far rely on.
    "spark": ("pyspark>=4.0", "pandas>=2.2,<3", "pyarrow>=18"),
    "completion": ("shtab>=1.6",),
    "serve": ("starlette>=0.49.1", "uvicorn>=0.34", "h11>=0.16", "python-multipart>=0.0.20", "prometheus-client>=0.21"),
    "policy": ("scikit-learn>=1.3", "matplotlib>=3.7"),
    "train": ('torch>=2.13; python_version >= "3.10"', "scikit-learn>=1.3", "matplotlib>=3.7"),
    "tensorboard": ("tensorboard>=2.20",),
}

# Set by the Dockerfile in its images: the command that builds the image, and the extras that are in it.
IMAGE_BUILD_VARIABLE = "OPEN_NSFW_IMAGE_BUILD"
IMAGE_EXTRAS_VARIABLE = "OPEN_NSFW_IMAGE_EXTRAS"


def requirement(name: str) -> str:
    """A library that is always needed, with its bound: "numpy>=1.22" for "numpy"."""
    return next(each for each in REQUIREMENTS if each.partition(">=")[0] == name)


def broken_library(error: ImportError) -> str:
    """What is wrong with a library that is always needed and cannot be imported, and the command that mends it."""
    package = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package == error.name:
        return missing_library(package)
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    reason = next(filter(None, lines), "no reason given")
    command = f"{pip_command()} install --force-reinstall {' '.join(map(_quoted, REQUIREMENTS))}"
    return f"{package or 'a library'} cannot be imported ({reason}): {command}"


def missing_library(package: str) -> str:
    """How to come by a package of a library that is always needed and is not there: in a checkout whose environment is not
    active, by activating that."""
    activate = _idle_environment(package)
    if activate is not None:
        return (
            f"{package} is not installed for this Python; activate the environment that has it: . {_quoted(activate)}"
        )
    missing = missing_requirements() or REQUIREMENTS
    return f"{package} is not installed: {pip_command()} install {' '.join(map(_quoted, missing))}"


def missing_requirements() -> list[str]:
    """Those of the libraries that are always needed which are not installed, with their bounds."""
    return [each for each in REQUIREMENTS if not _is_installed(each.partition(">=")[0])]


def _idle_environment(package: str) -> str | None:
    """The script that activates the checkout's `.venv`, if that has the package and this is the Python of another."""
    from glob import escape, glob

    folder = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".venv")
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return None
    activate = os.path.join(folder, "bin", "activate")
    found = glob(os.path.join(escape(folder), "lib", "python*", "site-packages", package))
    return activate if found and os.path.isfile(activate) else None


def _is_installed(distribution: str) -> bool:
    from importlib.util import find_spec

    module = {"pillow": "PIL", "protobuf": "google.protobuf"}.get(distribution, distribution)
    try:
        return find_spec(module) is not None
    except ImportError:  # not even the package around it
        return False


def pip_command() -> str:
    """How a shell calls the pip of the environment that runs this: `pip` where that is the one it finds, else by path.

    Where the system keeps pip out of its own Python (PEP 668), an environment is made first.
    """
    from importlib.machinery import PathFinder  # alone: setuptools puts a finder before it that acts on the name `pip`
    from shutil import which

    found, python = which("pip"), sys.executable or "python"
    if _belongs_to_the_system():
        return f"{_quoted(python)} -m venv .venv && .venv/bin/pip"
    if found is not None and os.path.dirname(found) == os.path.dirname(python):
        return "pip"
    ensure = "" if PathFinder.find_spec("pip") else f"{_quoted(python)} -m ensurepip && "
    return f"{ensure}{_quoted(python)} -m pip"


def _belongs_to_the_system() -> bool:
    from sysconfig import get_path

    return sys.prefix == sys.base_prefix and os.path.exists(os.path.join(get_path("stdlib"), "EXTERNALLY-MANAGED"))


def install_command(extra: str) -> str:
    """The shell command that installs the libraries of an extra into the environment that runs this.

    In an image of the Dockerfile it builds the image again, with that extra: a container forgets what pip installs.
    """
    if in_image():
        return f"{_image_build(extra)} . (in the checkout, outside of this container)"
    return f"{pip_command()} install {libraries(extra)}"


def in_image() -> bool:
    """Whether this runs in an image that the Dockerfile built."""
    return bool(os.environ.get(IMAGE_BUILD_VARIABLE))


def _image_build(extra: str) -> str:
    if extra == "caffe":
        return "docker build --target caffe --tag open_nsfw_caffe"
    present = filter(None, os.environ.get(IMAGE_EXTRAS_VARIABLE, "").split(","))
    return f"{os.environ[IMAGE_BUILD_VARIABLE]} --build-arg EXTRAS={','.join([*present, extra])}"


def libraries(extra: str) -> str:
    """The libraries of an extra with their bounds, quoted for a shell: "'scikit-learn>=1.3' 'matplotlib>=3.7'"."""
    return " ".join(_quoted(requirement.partition(";")[0]) for requirement in EXTRAS[extra])


def _quoted(word: str) -> str:
    from shlex import quote

    return quote(word)
