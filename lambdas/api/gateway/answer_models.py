"""What is answered, for the OpenAPI document: the answers themselves are written as text (answers.py)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Shape(BaseModel):
    """JSON of an answer, in the case that browsers' code is written in."""

    model_config = ConfigDict(alias_generator=to_camel)


class Metadata(Shape):
    result_count: int
    timestamp: str
    cache_hit: bool
    truncated: bool = Field(description="There were more rows than the limit.")


class Answer(Shape):
    success: Literal[True]
    operation: str
    operation_id: str
    execution_time: float = Field(description="Milliseconds.")
    data: list[dict[str, Any]]
    metadata: Metadata


class PageMetadata(Shape):
    result_count: int
    timestamp: str
    cursor: str = Field(description="Leads to the next page for a day; empty on the last one.")


class CheckinsAnswer(Shape):
    success: Literal[True]
    data: list[dict[str, Any]]
    metadata: PageMetadata


class Problem(Shape):
    message: str
    type: str


class ErrorAnswer(Shape):
    success: Literal[False]
    error: Problem
    suggestions: list[str]


class HealthAnswer(Shape):
    success: Literal[True]
    status: Literal["ok"]


class DeepHealthAnswer(HealthAnswer):
    database: Literal["ok"]
    milliseconds: float


class JobProblem(Shape):
    type: str
    message: str


class Job(Shape):
    id: str
    state: Literal["queued", "running", "succeeded", "failed"]
    operation: str | None
    parameters: dict[str, Any] | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    result_count: int | None = None
    bytes: int | None = None
    truncated: bool | None = None
    error: JobProblem | None = None


class JobAnswer(Shape):
    success: Literal[True]
    job: Job
    data: list[dict[str, Any]] | None = None
    download: str | None = None


class JobsAnswer(Shape):
    success: Literal[True]
    jobs: list[Job]
    cursor: str | None


class DownloadAnswer(Shape):
    success: Literal[True]
    url: str
    expires_at: str
    result_count: int
    bytes: int
