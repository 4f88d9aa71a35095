"""``DynamicFrame``: a data frame with AWS's methods. Its columns have one type each, as Spark inferred it.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-pyspark-extensions-dynamic-frame.html
"""

from collections.abc import Callable, Sequence
from typing import Any

import boto3
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from awsglue.utils import Unsupported


def _quoted(path: str) -> str:
    return ".".join(f"`{part.strip('`')}`" for part in path.split("."))


class DynamicFrame:
    """``name`` is its transformation context."""

    def __init__(self, frame: DataFrame, glue_ctx: Any, name: str = "") -> None:
        self._frame, self.glue_ctx, self.name = frame, glue_ctx, name

    @classmethod
    def fromDF(cls, dataframe: DataFrame, glue_ctx: Any, name: str) -> "DynamicFrame":  # noqa: N802 - AWS's names
        """From a data frame."""
        return cls(dataframe, glue_ctx, name)

    def toDF(self, *_options: Any) -> DataFrame:  # noqa: N802
        """As a data frame."""
        return self._frame

    def _with(self, frame: DataFrame, name: str = "") -> "DynamicFrame":
        return DynamicFrame(frame, self.glue_ctx, name or self.name)

    def count(self) -> int:
        """How many rows."""
        return self._frame.count()

    def schema(self) -> Any:
        """Spark's schema."""
        return self._frame.schema

    def printSchema(self) -> None:  # noqa: N802
        """Print the schema."""
        self._frame.printSchema()

    def show(self, num_rows: int = 20) -> None:
        """Print rows as JSON, as AWS does."""
        for line in self._frame.limit(num_rows).toJSON().collect():
            print(line)

    def apply_mapping(
        self, mappings: Sequence[Sequence[str]], transformation_ctx: str = "", **_: Any
    ) -> "DynamicFrame":
        """(source, source type, target, target type) or (source, target): select, rename and cast."""
        have = set(self._frame.columns)
        columns = []
        for one in mappings:
            source, target = one[0], one[2] if len(one) == 4 else one[1]
            if len(one) not in (2, 4):
                raise ValueError(f"a mapping has 2 or 4 values: {one}")
            if "." in target.strip("`") and not target.startswith("`"):
                raise Unsupported(f"ApplyMapping into the nested field {target} is not supported by this engine")
            if source.strip("`") not in have and source.split(".")[0].strip("`") not in have:
                continue  # as on AWS, where a record without the field is no error
            column = F.col(f"`{source.strip('`')}`" if source.strip("`") in have else _quoted(source))
            if len(one) == 4:
                column = column.cast(one[3])
            columns.append(column.alias(target.strip("`")))
        return self._with(self._frame.select(*columns), transformation_ctx)

    def resolveChoice(  # noqa: N802
        self, specs: Sequence[tuple[str, str]] | None = None, choice: str = "", database: str | None = None,
        table_name: str | None = None, transformation_ctx: str = "", **_: Any,
    ) -> "DynamicFrame":  # fmt: skip
        """Casts: ``cast:type`` and ``project:type`` of columns, ``match_catalog`` of all.

        make_cols and make_struct change nothing, because no column has two types.
        """
        wanted = dict(specs or [])
        if choice == "match_catalog":
            table = boto3.client("glue").get_table(DatabaseName=database, Name=table_name)["Table"]
            listed = [*table["StorageDescriptor"]["Columns"], *(table.get("PartitionKeys") or [])]
            wanted = {column["Name"]: f"cast:{column['Type']}" for column in listed}
        elif choice:
            wanted = dict.fromkeys(self._frame.columns, choice)
        frame = self._frame
        for name, action in wanted.items():
            what, _, kind = action.partition(":")
            if what in ("cast", "project") and kind:
                if name in frame.columns:
                    frame = frame.withColumn(name, F.col(f"`{name}`").cast(kind))
            elif what not in ("make_cols", "make_struct"):
                raise ValueError(f"resolveChoice: unknown action {action!r} for {name}")
        return self._with(frame, transformation_ctx)

    def select_fields(self, paths: Sequence[str], transformation_ctx: str = "", **_: Any) -> "DynamicFrame":
        """Only these columns."""
        return self._with(self._frame.select(*[_quoted(path) for path in paths]), transformation_ctx)

    def drop_fields(self, paths: Sequence[str], transformation_ctx: str = "", **_: Any) -> "DynamicFrame":
        """Without these columns."""
        frame = self._frame
        for path in paths:
            outer, _dot, inner = path.partition(".")
            frame = frame.withColumn(outer, F.col(f"`{outer}`").dropFields(inner)) if inner else frame.drop(outer)
        return self._with(frame, transformation_ctx)

    def rename_field(self, oldName: str, newName: str, transformation_ctx: str = "", **_: Any) -> "DynamicFrame":  # noqa: N803
        """One column renamed."""
        return self._with(self._frame.withColumnRenamed(oldName.strip("`"), newName.strip("`")), transformation_ctx)

    def filter(self, f: Callable[[Any], bool], transformation_ctx: str = "", **_: Any) -> "DynamicFrame":
        """The rows for which ``f`` is true."""
        kept = self._frame.rdd.filter(lambda row: bool(f(row)))
        return self._with(self.glue_ctx.spark_session.createDataFrame(kept, self._frame.schema), transformation_ctx)

    def map(self, f: Callable[[Any], Any], transformation_ctx: str = "", **_: Any) -> "DynamicFrame":
        """Each row, as a dict, made into another one."""
        made = self._frame.rdd.map(lambda row: Row(**f(row.asDict(recursive=True))))
        return self._with(self.glue_ctx.spark_session.createDataFrame(made), transformation_ctx)

    def join(
        self,
        paths1: Sequence[str],
        paths2: Sequence[str],
        frame2: "DynamicFrame",
        transformation_ctx: str = "",
        **_: Any,
    ) -> "DynamicFrame":
        """Rows with equal values of these columns."""
        right = frame2.toDF()
        condition = [self._frame[one] == right[two] for one, two in zip(paths1, paths2, strict=True)]
        return self._with(self._frame.join(right, condition), transformation_ctx)

    def union(self, frame2: "DynamicFrame", transformation_ctx: str = "", **_: Any) -> "DynamicFrame":
        """The rows of both."""
        return self._with(self._frame.unionByName(frame2.toDF(), allowMissingColumns=True), transformation_ctx)

    def repartition(self, num_partitions: int, transformation_ctx: str = "", **_: Any) -> "DynamicFrame":
        """In this many partitions."""
        return self._with(self._frame.repartition(num_partitions), transformation_ctx)

    def coalesce(self, num_partitions: int, transformation_ctx: str = "", **_: Any) -> "DynamicFrame":
        """In at most this many partitions."""
        return self._with(self._frame.coalesce(num_partitions), transformation_ctx)

    def getNumPartitions(self) -> int:  # noqa: N802
        """How many partitions it has."""
        return self._frame.rdd.getNumPartitions()

    def errorsCount(self) -> int:  # noqa: N802
        """0: an error ends the run."""
        return 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unsupported(f"DynamicFrame.{name} is not supported by this engine")
