"""One SparkSession for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.planted_decoders import plant


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures that make a decoder misbehave, which the executors have on their path."""
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes of the executors have in their environment (tests/tools/processes.py)."""
    return tmp_path_factory.mktemp("mark")


@pytest.fixture(scope="session")
def spark(planted: dict[str, Path], mark: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`local[2]`, with a mount table by which local folders have names that only Spark can read."""
    pytest.importorskip("pyspark", reason="pyspark is not installed in this interpreter")
    from open_nsfw.cluster.session import SessionOptions, session

    remote = tmp_path_factory.mktemp("remote")
    conf = {
        "spark.executorEnv.PYTHONPATH": str(planted["crash"].parent / "plugin"),
        "spark.executorEnv.OPEN_NSFW_MARK": str(mark),
        "spark.hadoop.fs.viewfs.mounttable.tests.link./data": f"file://{remote}",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.ui.enabled": "false",
        "spark.sql.files.openCostInBytes": "131072",  # which is then left as it is
    }
    options = SessionOptions("tests", "local[2]", tuple(conf.items()), quiet=True)
    with session(options) as found:
        found.remote = remote
        yield found
