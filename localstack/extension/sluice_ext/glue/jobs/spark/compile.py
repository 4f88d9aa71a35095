"""Compiles the file system s3:// into Spark's environment, which a container cannot change (localstack/Dockerfile)."""

from pathlib import Path

from sluice_ext import settings
from sluice_ext.glue.jobs.environments import java_home
from sluice_ext.glue.jobs.spark.session import file_system

if __name__ == "__main__":
    file_system(Path(settings.RUNTIMES_DIR) / "glue-spark" / "bin" / "python", java_home())
