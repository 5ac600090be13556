"""A SparkSession as this work needs it, and what Spark says of a failure as one line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from open_nsfw.errors import EngineError, ModelError, OutputError, SetupError, UsageError
from open_nsfw.installing import install_command
from open_nsfw.text import brief

LEAST_JAVA = 17
JAVA_SECONDS = 60  # for `java -version` on a very busy machine
LOCAL = "local[*]"  # the master where nobody names one: all cores of this machine
# Spark's own defaults take 10,000 rows at once to Python and 4,096 out of a Parquet file, whatever is in them, and count a
# file as 4 MiB more than it has. These are set where the user has not set them.
SQL_DEFAULTS = {
    "spark.sql.execution.arrow.maxBytesPerBatch": str(32 * 2**20),
    "spark.sql.parquet.columnarReaderBatchSize": "256",
    "spark.sql.files.openCostInBytes": str(64 * 2**10),
}


@dataclass(frozen=True)
class SessionOptions:
    """Where a job runs, and how Spark is set up."""

    name: str = "open-nsfw"
    """Of the application, in Spark's UI."""
    master: str | None = None
    """`local[2]`, `spark://host:7077`, `yarn`, ...; None: what Spark is configured for, else all cores of this machine."""
    conf: tuple[tuple[str, str], ...] = ()
    """Spark's properties."""
    packages: str | None = None
    """Maven coordinates with commas between, as for `spark-submit --packages`."""
    quiet: bool = False


@contextmanager
def session(options: SessionOptions) -> Iterator[Any]:
    """A SparkSession for a job, stopped behind it. Raises SetupError where Spark or Java is missing or does not start."""
    check_spark()
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # spark-submit has a JVM running already
        check_java()
    _set_environment(options)
    with told(), tempfile.TemporaryDirectory() as folder:
        spark = _started(options, _quieting(options, folder))
    try:
        yield spark
    finally:
        with told():
            spark.stop()


def check_spark() -> None:
    """Raises SetupError where a library is missing."""
    for library in ("pyspark", "pandas", "pyarrow"):
        if find_spec(library) is None:
            raise SetupError(f"{library} is not installed: {install_command('spark')}")


def check_java() -> None:
    """Raises SetupError where there is no Java that Spark starts on."""
    home = os.environ.get("JAVA_HOME")
    program = os.path.join(home, "bin", "java") if home else shutil.which("java")
    remedy = f"install Java {LEAST_JAVA} or newer, as by `apt-get install default-jre-headless`, or name its folder in JAVA_HOME"
    if program is None or not os.access(program, os.X_OK):
        where = f"{program} is not there" if home else "there is no java on PATH"
        raise SetupError(f"Spark runs on Java, and {where}: {remedy}")
    try:
        said = subprocess.run([program, "-version"], capture_output=True, timeout=JAVA_SECONDS, check=False).stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{program} does not start ({error}): {remedy}") from error
    version = re.search(rb'version "(?:1\.)?(\d+)', said)
    if version is not None and int(version[1]) < LEAST_JAVA:
        raise SetupError(f"{program} is Java {int(version[1])}: {remedy}")


def _set_environment(options: SessionOptions) -> None:
    """What Spark reads from the environment only."""
    wanted = dict(options.conf).get("spark.pyspark.python") or sys.executable
    os.environ.setdefault("PYSPARK_PYTHON", wanted)  # executors would take any python3 otherwise
    if _is_local(options):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # else its ports are open to the network


def _is_local(options: SessionOptions) -> bool:
    master = options.master or dict(options.conf).get("spark.master")
    if master is not None:
        return master.startswith("local")
    configured = ("PYSPARK_GATEWAY_PORT", "SPARK_CONF_DIR", "SPARK_HOME")
    return not any(name in os.environ for name in configured)


# What goes wrong is told in one line. Spark's own words would come before it, and at every start.
_LOGGING = """\
rootLogger.level = fatal
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n
"""


def _quieting(options: SessionOptions, folder: str) -> dict[str, str]:
    """The properties that keep Spark's log out of the terminal, unless spark.log.level asks for it."""
    if "spark.log.level" in dict(options.conf) or "PYSPARK_GATEWAY_PORT" in os.environ:
        return {}
    file = os.path.join(folder, "log4j2.properties")
    with open(file, "w", encoding="ascii") as stream:
        stream.write(_LOGGING)
    return {"spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile=file:{file}"}


def _started(options: SessionOptions, more: dict[str, str]) -> Any:
    builder = import_module("pyspark.sql").SparkSession.builder.appName(options.name)
    if options.master is not None:
        builder = builder.master(options.master)
    if options.packages is not None:
        builder = builder.config("spark.jars.packages", options.packages)
    shown = sys.stderr is not None and sys.stderr.isatty() and not options.quiet
    chosen = {
        **more,
        "spark.ui.showConsoleProgress": str(shown).lower(),
        **dict(options.conf),
    }
    for name, value in chosen.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    set_defaults(spark)
    return spark


def set_defaults(spark: Any) -> None:
    """Set what is right for pictures where nobody has set it."""
    given = spark.sparkContext.getConf()
    for name, value in SQL_DEFAULTS.items():
        if not given.contains(name):
            spark.conf.set(name, value)


def slots(spark: Any) -> int | None:
    """How many tasks an executor runs at once; None where the driver does not know."""
    context = spark.sparkContext
    conf = context.getConf()
    cores = int(conf.get("spark.executor.cores", "0"))
    if not cores and context.master.startswith("local"):
        cores = context.defaultParallelism
    return max(1, cores // int(conf.get("spark.task.cpus", "1"))) if cores else None


@contextmanager
def told() -> Iterator[None]:
    """Makes what Spark raises an error of this package, in one line."""
    py4j = import_module("py4j.protocol")
    base = import_module("pyspark.errors").PySparkException
    try:
        yield
    except (py4j.Py4JError, base) as error:
        raise _translated(str(error)) from error


_OWN = {kind.__name__: kind for kind in (EngineError, ModelError, OutputError, SetupError, UsageError)}


def _translated(text: str) -> Exception:
    """The error that a text of Spark, of many lines, is about."""
    own = re.findall(r"open_nsfw\.errors\.(\w+): (.+)", text)
    if own:
        name, reason = own[-1]
        return _OWN.get(name, SetupError)(reason)
    python = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception)): (.+)$", text, re.MULTILINE)
    caused = re.findall(r"^(?:\s*Caused by|): ([\w.$]+): (.+)$", text, re.MULTILINE)
    name, reason = (caused or python or [("", text.strip().splitlines()[0] if text.strip() else "no reason given")])[-1]
    return SetupError(f"Spark: {brief(f'{name}: {reason}' if name else reason)}")
