"""From an operation's parameters to its result: the question, the cache, the database."""

from collections.abc import Callable
from typing import Any, Final

from api.answers import Result, refused
from api.models import SYNC_ROWS
from api.queries import canonical_operations, silver_operations
from api.queries.questions import Question
from api.queries.reading import Reader, encoded
from api.queries.result_cache import ResultCache, key_of


def _custom_query(asked: Any) -> Question:
    from api.queries.custom_query import custom_query  # the SQL parser takes a tenth of a second to load

    return custom_query(asked)


OPERATIONS: Final[dict[str, Callable[[Any], Question]]] = {
    "database_info": silver_operations.database_info,
    "simple_demo": silver_operations.simple_demo,
    "customer_analysis": canonical_operations.customer_analysis,
    "count_analysis": silver_operations.count_analysis,
    "revenue_analysis": silver_operations.revenue_analysis,
    "multi_dimensional_analytics": silver_operations.multi_dimensional_analytics,
    "relationship_network": canonical_operations.relationship_network,
    "time_series_patterns": canonical_operations.time_series_patterns,
    "data_integrity_analysis": canonical_operations.data_integrity_analysis,
    "custom_query": _custom_query,
}
"""What turns an operation's parameters into a question."""


def question_of(request: Any) -> Question:
    """Of a request (api_models.Request). Raises ApiError (400)."""
    return OPERATIONS[request.operation](request.parameters)


class Analytics:
    def __init__(self, reader: Reader, cache: ResultCache) -> None:
        self._reader = reader
        self._cache = cache

    def answer(self, request: Any) -> Result:
        """Raises ApiError: 400, 503 or 504."""
        question = question_of(request)
        if question.limit > SYNC_ROWS:
            raise refused(f"an answer has at most {SYNC_ROWS:,} rows", "ask for more with POST /analytics/jobs")
        with self._reader.snapshot(foreign=question.foreign) as snapshot:
            key = key_of(request.operation, request.parameters.model_dump(mode="json"), snapshot.version)
            if kept := self._cache.get(key):
                return kept
            result = encoded(snapshot.rows(question), question.limit)
        self._cache.put(key, result)
        return result
