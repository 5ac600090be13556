"""How Spark is set up, and what it says of a failure as one line."""

from __future__ import annotations

from typing import Any

import pytest

from open_nsfw.errors import EngineError, OpenNsfwError, SetupError
from tests.tools.helpers import DATA

pytest.importorskip("pyspark", reason="pyspark is not installed in this interpreter")

from open_nsfw.cluster import session as sessions
from open_nsfw.cluster.session import SQL_DEFAULTS, SessionOptions, set_defaults, slots, told

pytestmark = pytest.mark.spark


def test_defaults_are_set_where_nobody_has_set_them(spark: Any) -> None:
    """Batches by bytes, and small files counted as small; the session of these tests has one of its own."""
    set_defaults(spark)
    for name, value in SQL_DEFAULTS.items():
        wanted = "131072" if name == "spark.sql.files.openCostInBytes" else value
        assert spark.conf.get(name).rstrip("b") == wanted
    assert slots(spark) == 2


@pytest.mark.parametrize(
    "text, error",
    [
        (
            "Job aborted: \n  File x\nopen_nsfw.errors.EngineError: there is no GPU\n\nDriver stacktrace:",
            EngineError("there is no GPU"),
        ),
        ("Traceback:\nopen_nsfw.errors.InputError: a.jpg: broken\n", SetupError("a.jpg: broken")),
        (
            "An error\n  at a.b\nCaused by: java.io.IOException: disk full\n\tat c.d",
            SetupError("Spark: java.io.IOException: disk full"),
        ),
        (
            "An error occurred while calling o1.load.\n: java.io.IOException: no mount\n\tat a.b",
            SetupError("Spark: java.io.IOException: no mount"),
        ),
        ("Traceback\n  File y\nValueError: no such thing\n", SetupError("Spark: ValueError: no such thing")),
        (
            "[PATH_NOT_FOUND] Path does not exist: hdfs:/a.",
            SetupError("Spark: [PATH_NOT_FOUND] Path does not exist: hdfs:/a."),
        ),
        ("", SetupError("Spark: no reason given")),
    ],
)
def test_one_line(text: str, error: OpenNsfwError) -> None:
    """The innermost reason, and this package's own words where they are there."""
    found = sessions._translated(text)
    assert (type(found), str(found)) == (type(error), str(error))


def test_what_spark_says_is_told(spark: Any) -> None:
    """For a folder that is not there."""
    with pytest.raises(SetupError, match=r"^Spark: \[PATH_NOT_FOUND\] .*/absent"), told():
        spark.read.parquet(str(DATA / "absent"))


def test_where_spark_listens() -> None:
    """On one machine, on loopback alone; a cluster's master decides for itself."""
    assert sessions._is_local(SessionOptions(master="local[2]"))
    assert not sessions._is_local(SessionOptions(master="spark://a:7077"))
    assert not sessions._is_local(SessionOptions(conf=(("spark.master", "yarn"),)))
