"""The operations: one model for each. The OpenAPI document is made from them.

Names of datasets and columns come from the catalog and are checked in api.queries.questions.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

SYNC_ROWS: Final = 1_000  # of an answer; jobs give more
JOB_ROWS: Final = 1_000_000
_AGE: Final = re.compile(r"(\d{1,4})([dh])")


def _moment(text: str) -> str:
    """An ISO 8601 time in UTC; an age counts back from the beginning of this UTC day (d) or hour (h)."""
    now = datetime.now(UTC)
    if age := _AGE.fullmatch(text):
        whole = now.replace(minute=0, second=0, microsecond=0)
        if age[2] == "h":
            return (whole - timedelta(hours=int(age[1]))).isoformat()
        return (whole.replace(hour=0) - timedelta(days=int(age[1]))).isoformat()
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("is no time such as 2026-03-01, 2026-03-01T12:00:00Z or 7d") from None


def _split(value: Any) -> Any:
    """A query string has lists with commas."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


type Moment = Annotated[
    str,
    AfterValidator(_moment),
    Field(
        min_length=2,
        max_length=40,
        examples=["2026-03-01", "7d"],
        description="A date, a time with offset (UTC without), or an age: 7d or 12h before this UTC day or hour began.",
    ),
]
type Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
type Text = Annotated[str, Field(min_length=1, max_length=200)]
type Dimensions = Annotated[
    list[Name],
    BeforeValidator(_split),
    Field(min_length=1, max_length=3, description="Columns as of count_analysis's group_by; in a URL with commas."),
]
type Having = Annotated[
    str,
    Field(
        pattern=r"^(>=|<=|=|>|<)[0-9]{1,12}$",
        examples=[">=10"],
        description="Only groups whose value compares so.",
    ),
]


class Parameters(BaseModel):
    """Unknown parameters are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, str_max_length=10_000)


class Limited(Parameters):
    limit: int = Field(
        default=100, ge=1, le=JOB_ROWS, description="Rows at most: 1,000 in an answer, 1,000,000 in a job."
    )


class Ranged(Limited):
    since: Moment | None = None
    until: Moment | None = Field(default=None, description="Times before this one.")


class DatabaseInfoParameters(Limited):
    exact: bool = Field(default=False, description="Count rows instead of asking PostgreSQL for its estimate.")


class SimpleDemoParameters(Parameters):
    rows: int = Field(default=5, ge=1, le=100, description="So many numbers and their squares.")


class CountParameters(Ranged):
    dataset: Name = Field(default="shipments", description="A dataset of the warehouse.")
    metric: Literal["rows", "objects", "days"] = Field(
        default="rows", description="Rows, different source objects, or different UTC dates."
    )
    group_by: Name | None = Field(
        default=None, description="A text, boolean or whole-number column of the dataset, or date."
    )
    having: Having | None = None


class RevenueParameters(Ranged):
    group_by: Literal["date", "week", "month", "sku", "invoice_id"] = "month"


class CustomerParameters(Limited):
    group_by: Literal["tier", "status", "source_system"] = "tier"
    entity_type: Text = Field(default="customer", description="Type of the entities.")
    min_quality: float | None = Field(default=None, ge=0, le=100, description="Only entities of this score or more.")


class MultiDimensionalParameters(Ranged):
    dataset: Name = Field(default="shipments", description="A dataset of the warehouse.")
    dimensions: Dimensions = Field(default_factory=lambda: ["carrier"])
    timeframe: Literal["day", "week", "month", "quarter", "year", "all"] = "month"
    measure: Name | None = Field(default=None, description="A numeric column of the dataset.")
    aggregate: Literal["sum", "avg", "min", "max"] = "sum"


class NetworkParameters(Limited):
    root: Text = Field(description="Entity id or canonical id of the entity at the top.")
    recursive: bool = Field(default=True, description="What hangs below its children, too.")
    depth: int = Field(default=5, ge=1, le=10, description="Steps down at most.")
    at: Moment | None = Field(default=None, description="Relationships as of this time; else now.")


class PatternParameters(Ranged):
    metric: Text = Field(description="Name of a metric of canonical.time_series.")
    period: Literal["hour", "day", "week", "month"] = "day"
    entity: Text | None = Field(default=None, description="Canonical id: of this entity only.")


class IntegrityParameters(Limited):
    check: Literal["scores", "duplicates"] = "scores"
    entity_type: Text | None = Field(default=None, description="Only entities of this type.")
    attribute: Text = Field(default="name", description="Attribute whose texts are compared for duplicates.")
    threshold: float = Field(default=0.5, ge=0.1, le=1, description="Least similarity of duplicates (pg_trgm).")


class CustomQueryParameters(Limited):
    sql: str = Field(min_length=1, max_length=10_000, examples=["SELECT count(*) FROM silver.shipments"],
                     description="One SELECT. A dataset is a table; canonical and control are schemas.")  # fmt: skip


class DatabaseInfo(Parameters):
    """Tables of the warehouse, their rows, bytes and newest load."""

    operation: Literal["database_info"]
    parameters: DatabaseInfoParameters = DatabaseInfoParameters()


class SimpleDemo(Parameters):
    """Numbers and their squares: whether everything between caller and database works."""

    operation: Literal["simple_demo"]
    parameters: SimpleDemoParameters = SimpleDemoParameters()


class CountAnalysis(Parameters):
    """A count over a dataset, by group."""

    operation: Literal["count_analysis"]
    parameters: CountParameters = CountParameters()


class RevenueAnalysis(Parameters):
    """Revenue, units, invoices and lines of invoice_lines."""

    operation: Literal["revenue_analysis"]
    parameters: RevenueParameters = RevenueParameters()


class CustomerAnalysis(Parameters):
    """Entities of a type by tier, status or source system, and their quality."""

    operation: Literal["customer_analysis"]
    parameters: CustomerParameters = CustomerParameters()


class MultiDimensionalAnalytics(Parameters):
    """A measure over every combination of up to three dimensions, by period, with all totals."""

    operation: Literal["multi_dimensional_analytics"]
    parameters: MultiDimensionalParameters = MultiDimensionalParameters()


class RelationshipNetwork(Parameters):
    """What hangs below an entity, step by step."""

    operation: Literal["relationship_network"]
    parameters: NetworkParameters


class TimeSeriesPatterns(Parameters):
    """A metric by period: values, change, moving average."""

    operation: Literal["time_series_patterns"]
    parameters: PatternParameters


class DataIntegrityAnalysis(Parameters):
    """Quality scores by type, or entities that may be duplicates."""

    operation: Literal["data_integrity_analysis"]
    parameters: IntegrityParameters = IntegrityParameters()


class CustomQuery(Parameters):
    """One SELECT of the caller's own, as a role that can only read."""

    operation: Literal["custom_query"]
    parameters: CustomQueryParameters


type Request = Annotated[
    DatabaseInfo
    | SimpleDemo
    | CustomerAnalysis
    | CountAnalysis
    | RevenueAnalysis
    | MultiDimensionalAnalytics
    | RelationshipNetwork
    | TimeSeriesPatterns
    | DataIntegrityAnalysis
    | CustomQuery,
    Field(discriminator="operation"),
]
REQUEST: Final[TypeAdapter[Any]] = TypeAdapter(Request)
MODELS: Final = (
    DatabaseInfo, SimpleDemo, CustomerAnalysis, CountAnalysis, RevenueAnalysis, MultiDimensionalAnalytics,
    RelationshipNetwork, TimeSeriesPatterns, DataIntegrityAnalysis, CustomQuery,
)  # fmt: skip
"""Every operation's model."""


def name_of(model: type[BaseModel]) -> str:
    """The operation that a model is of."""
    return str(model.model_fields["operation"].annotation.__args__[0])  # type: ignore[union-attr]


def parameters_of(model: type[BaseModel]) -> type[BaseModel]:
    found = model.model_fields["parameters"].annotation
    assert isinstance(found, type)
    return found
