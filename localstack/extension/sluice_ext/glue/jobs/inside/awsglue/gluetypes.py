"""Types of columns; Spark's own serve."""

from pyspark.sql.types import *  # noqa: F403
