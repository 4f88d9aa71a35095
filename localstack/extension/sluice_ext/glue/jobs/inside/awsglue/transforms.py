"""AWS's transforms: ``ApplyMapping.apply(frame=..., mappings=[...])``.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python-transforms.html
"""

from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - its usual name

from awsglue.dynamicframe import DynamicFrame
from awsglue.utils import Unsupported


class ApplyMapping:
    """See `DynamicFrame.apply_mapping`."""

    @classmethod
    def apply(cls, frame: DynamicFrame, mappings: Any, transformation_ctx: str = "", **_: Any) -> DynamicFrame:
        return frame.apply_mapping(mappings, transformation_ctx)


class ResolveChoice:
    """See `DynamicFrame.resolveChoice`."""

    @classmethod
    def apply(cls, frame: DynamicFrame, specs: Any = None, choice: str = "", **named: Any) -> DynamicFrame:
        return frame.resolveChoice(specs, choice, **named)


class SelectFields:
    """Only these columns."""

    @classmethod
    def apply(cls, frame: DynamicFrame, paths: Any, transformation_ctx: str = "", **_: Any) -> DynamicFrame:
        return frame.select_fields(paths, transformation_ctx)


class DropFields:
    """Without these columns."""

    @classmethod
    def apply(cls, frame: DynamicFrame, paths: Any, transformation_ctx: str = "", **_: Any) -> DynamicFrame:
        return frame.drop_fields(paths, transformation_ctx)


class RenameField:
    """One column renamed."""

    @classmethod
    def apply(
        cls, frame: DynamicFrame, old_name: str, new_name: str, transformation_ctx: str = "", **_: Any
    ) -> DynamicFrame:
        return frame.rename_field(old_name, new_name, transformation_ctx)


class Filter:
    """The rows for which ``f`` is true."""

    @classmethod
    def apply(cls, frame: DynamicFrame, f: Any, transformation_ctx: str = "", **_: Any) -> DynamicFrame:
        return frame.filter(f, transformation_ctx)


class Map:
    """Each row made into another one."""

    @classmethod
    def apply(cls, frame: DynamicFrame, f: Any, transformation_ctx: str = "", **_: Any) -> DynamicFrame:
        return frame.map(f, transformation_ctx)


class Join:
    """Rows with equal keys."""

    @classmethod
    def apply(
        cls, frame1: DynamicFrame, frame2: DynamicFrame, keys1: Any, keys2: Any, transformation_ctx: str = "", **_: Any
    ) -> DynamicFrame:
        return frame1.join(keys1, keys2, frame2, transformation_ctx)


class DropNullFields:
    """Without the columns that have no value at all."""

    @classmethod
    def apply(cls, frame: DynamicFrame, transformation_ctx: str = "", **_: Any) -> DynamicFrame:
        data = frame.toDF()
        counts = data.select([F.count(F.col(f"`{name}`")).alias(name) for name in data.columns]).first()
        empty = [name for name in data.columns if counts is not None and counts[name] == 0]
        return DynamicFrame(data.drop(*empty), frame.glue_ctx, transformation_ctx)


class _Refused:
    def __init__(self, name: str) -> None:
        self._name = name

    def apply(self, *_args: Any, **_named: Any) -> Any:
        raise Unsupported(f"the transform {self._name} is not supported by this engine")


Relationalize, SplitFields, SplitRows, Spigot, Unbox, UnnestFrame, MapToCollection, FlatMap = map(
    _Refused,
    ("Relationalize", "SplitFields", "SplitRows", "Spigot", "Unbox", "UnnestFrame", "MapToCollection", "FlatMap"),
)
