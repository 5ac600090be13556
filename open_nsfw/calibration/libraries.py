"""The libraries behind numbers and plots."""

from __future__ import annotations

from open_nsfw.errors import SetupError
from open_nsfw.installing import install_command


def check_installed() -> None:
    """Raises SetupError unless scikit-learn and matplotlib are there."""
    try:
        import matplotlib
        import sklearn  # noqa: F401

        matplotlib.use("Agg")
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: {install_command('policy')}") from error
