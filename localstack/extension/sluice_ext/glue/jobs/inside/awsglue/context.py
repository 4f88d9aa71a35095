"""``GlueContext``: dynamic frames from and to S3 and the catalog.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-pyspark-extensions-glue-context.html
"""

import logging
from typing import Any

from pyspark.sql import SparkSession

from awsglue import sources
from awsglue.dynamicframe import DynamicFrame
from awsglue.utils import Unsupported


class GlueContext:
    """Wraps a SparkContext. ``spark_session`` is its session."""

    def __init__(self, sparkContext: Any, **_options: Any) -> None:  # noqa: N803 - AWS's names
        self.sparkContext = sparkContext
        self.spark_session = SparkSession(sparkContext)
        self.create_dynamic_frame = _Reader(self)
        self.write_dynamic_frame = _Writer(self)
        self.create_data_frame = _Frames(self)

    def getSparkContext(self) -> Any:  # noqa: N802
        """The SparkContext."""
        return self.sparkContext

    def get_logger(self) -> Any:
        """A logger with info, warn and error; its lines are in the log group <group>/error."""
        logging.basicConfig(level=logging.INFO)
        return logging.getLogger("glue")

    def create_dynamic_frame_from_options(self, *args: Any, **named: Any) -> DynamicFrame:
        """See `create_dynamic_frame.from_options`."""
        return self.create_dynamic_frame.from_options(*args, **named)

    def create_dynamic_frame_from_catalog(self, *args: Any, **named: Any) -> DynamicFrame:
        """See `create_dynamic_frame.from_catalog`."""
        return self.create_dynamic_frame.from_catalog(*args, **named)

    def create_dynamic_frame_from_rdd(self, data: Any, name: str, schema: Any = None, **_named: Any) -> DynamicFrame:
        """From an RDD."""
        return DynamicFrame(self.spark_session.createDataFrame(data, schema), self, name)

    def write_dynamic_frame_from_options(self, *args: Any, **named: Any) -> DynamicFrame:
        """See `write_dynamic_frame.from_options`."""
        return self.write_dynamic_frame.from_options(*args, **named)

    def write_dynamic_frame_from_catalog(self, *args: Any, **named: Any) -> DynamicFrame:
        """See `write_dynamic_frame.from_catalog`."""
        return self.write_dynamic_frame.from_catalog(*args, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unsupported(f"GlueContext.{name} is not supported by this engine")


class _Reader:
    def __init__(self, context: GlueContext) -> None:
        self._context = context

    def from_options(
        self, connection_type: str, connection_options: Any = None, format: str | None = None,
        format_options: Any = None, transformation_ctx: str = "", push_down_predicate: str = "", **_named: Any,
    ) -> DynamicFrame:  # fmt: skip
        """Files of S3: ``connection_options`` has "paths"."""
        frame = sources.from_options(
            self._context.spark_session, connection_type, connection_options or {}, format, format_options or {},
            transformation_ctx,
        )  # fmt: skip
        if push_down_predicate:
            frame = frame.where(push_down_predicate)
        return DynamicFrame(frame, self._context, transformation_ctx)

    def from_catalog(
        self, database: str | None = None, table_name: str | None = None, redshift_tmp_dir: str = "",
        transformation_ctx: str = "", push_down_predicate: str = "", additional_options: Any = None,
        name_space: str | None = None, **_named: Any,
    ) -> DynamicFrame:  # fmt: skip
        """A table; ``push_down_predicate`` is an expression over its partition keys."""
        options = dict(additional_options or {})
        predicate = push_down_predicate or str(options.pop("catalogPartitionPredicate", ""))
        frame = sources.from_catalog(
            self._context.spark_session, str(database or name_space), str(table_name), predicate, transformation_ctx
        )
        return DynamicFrame(frame, self._context, transformation_ctx)


class _Frames:
    """The same as data frames."""

    def __init__(self, context: GlueContext) -> None:
        self._context = context

    def from_options(self, *args: Any, **named: Any) -> Any:
        """A data frame of files."""
        return self._context.create_dynamic_frame.from_options(*args, **named).toDF()

    def from_catalog(self, *args: Any, **named: Any) -> Any:
        """A data frame of a table."""
        return self._context.create_dynamic_frame.from_catalog(*args, **named).toDF()


class _Writer:
    def __init__(self, context: GlueContext) -> None:
        self._context = context

    def from_options(
        self, frame: DynamicFrame, connection_type: str, connection_options: Any = None,
        format: str | None = None, format_options: Any = None, transformation_ctx: str = "", **_named: Any,
    ) -> DynamicFrame:  # fmt: skip
        """New files below ``connection_options["path"]``, in folders by "partitionKeys"."""
        sources.to_options(frame.toDF(), connection_type, connection_options or {}, format, format_options or {})
        return frame

    def from_catalog(
        self, frame: DynamicFrame, database: str | None = None, table_name: str | None = None,
        redshift_tmp_dir: str = "", transformation_ctx: str = "", additional_options: Any = None,
        name_space: str | None = None, **_named: Any,
    ) -> DynamicFrame:  # fmt: skip
        """New files of a table."""
        sources.to_catalog(frame.toDF(), str(database or name_space), str(table_name), additional_options or {})
        return frame

    def from_jdbc_conf(self, *_args: Any, **_named: Any) -> DynamicFrame:
        """Refused."""
        raise Unsupported("connections are not supported by this engine")
