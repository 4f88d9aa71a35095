"""Configuration of a Spark run: spark-defaults.conf and the variables of its process.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
"""

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sluice_ext import settings
from sluice_ext.glue.jobs.environments import NotRunnable, java_home

_SOURCE: Final = Path(__file__).with_name("S3FileSystem.scala")
# Of the memory of a run this is the heap of Java; the rest is Java's own and that of Python.
_HEAP: Final = 0.6
_LOGGING: Final = """rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %p [%t] %c{2}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""
_lock = threading.Lock()


def variables(python: Path, folder: Path, arguments: Mapping[str, str], memory: int) -> dict[str, str]:
    """Variables of the process of a run. memory: bytes that it may have. Raises NotRunnable."""
    java = java_home()
    classes = file_system(python, java)
    place = folder / "conf"
    place.mkdir()
    (folder / "spark").mkdir()
    lines = defaults(folder, classes, memory) | configured(arguments.get("--conf") or "")
    (place / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    (place / "log4j2.properties").write_text(_LOGGING)
    return {
        "JAVA_HOME": java, "SPARK_CONF_DIR": str(place), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python), "SPARK_LOCAL_DIRS": str(folder / "spark"),
    }  # fmt: skip


def defaults(folder: Path, classes: Path, memory: int) -> dict[str, str]:
    """Spark's configuration before the job's own."""
    temporary = folder / "tmp"
    found = {
        "spark.master": f"local[{settings.cores()}]",
        "spark.driver.memory": f"{int(memory * _HEAP / 2**20)}m",
        "spark.driver.extraClassPath": str(classes),
        "spark.driver.extraJavaOptions": " ".join([f"-Djava.io.tmpdir={temporary}", "-XX:+UseSerialGC", *compiler()]),
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": f"file:{folder}/warehouse",
    }
    return found | {f"spark.hadoop.fs.{scheme}.impl": "sluice.S3FileSystem" for scheme in ("s3", "s3a", "s3n")}


def compiler() -> list[str]:
    """Java's options for the compilers that run beside a job.

    A short job mostly loads classes, and the optimizing compiler works on what never runs long enough to repay it:
    without it a job of one count took 13.6 instead of 21.9 s of processor time, one with a join, two writes and a sort
    20.4 instead of 40.3 (two cores, one run).
    """
    return [] if settings.SPARK_OPTIMIZE else ["-XX:TieredStopAtLevel=1"]


def configured(text: str) -> dict[str, str]:
    """The argument --conf: ``a=1 --conf b=2``. Raises NotRunnable."""
    found = {}
    for item in text.split("--conf"):
        if item.strip():
            name, equals, value = item.strip().partition("=")
            if not equals or not name.startswith("spark."):
                raise NotRunnable(f"--conf takes spark.<name>=<value>, not {item.strip()!r}")
            found[name.strip()] = value.strip()
    # These are the engine's to decide: where Spark runs, and in how much memory.
    return {
        name: value
        for name, value in found.items()
        if name not in ("spark.master", "spark.driver.memory") and not name.startswith("spark.executor.")
    }


def file_system(python: Path, java: str) -> Path:
    """The folder of the compiled file system s3://. It is compiled once for an environment, by Spark's own compiler."""
    jars = next(iter(python.parent.parent.glob("lib/python3*/site-packages/pyspark/jars")), None)
    if jars is None:
        raise NotRunnable(f"the environment of Spark jobs has no Spark ({python})")
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    target = python.parent.parent / "s3" / digest
    with _lock:
        if target.exists():
            return target
        building = target.with_name(f"{digest}.{os.getpid()}")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        scala = [f"{java}/bin/java", *compiler(), "-Xss8m", "-cp", f"{jars}/*", "scala.tools.nsc.Main", "-usejavacp"]
        done = subprocess.run(
            [*scala, "-nowarn", "-d", str(building), str(_SOURCE)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise NotRunnable(f"the file system s3:// cannot be compiled: {done.stdout[-500:]}")
        try:
            building.rename(target)
        except OSError:
            if not target.exists():
                raise
            shutil.rmtree(building, ignore_errors=True)  # another engine was sooner
    return target
