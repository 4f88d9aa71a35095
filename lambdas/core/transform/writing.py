"""Many small calls to S3: one after another while they are few, at the same time when they are many."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final

FEW: Final = 32  # threads cost more than they save
_WORKERS: Final = 10  # connections of a client (sluice_pipeline.runtime.clients)
_AHEAD: Final = 4 * _WORKERS  # items in memory that wait for a worker


def in_order[T, R](work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The results in the order of the items; the first error ends it, and what has not begun is left undone.

    Items are made as they are needed, so that not all of them are in memory.
    """
    coming = iter(items)
    few = list(islice(coming, FEW + 1))
    if len(few) <= FEW:
        return [work(item) for item in few]
    results: list[R] = []
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        for source in (few, coming):
            for item in source:
                waiting.append(pool.submit(work, item))
                if len(waiting) > _AHEAD:
                    results.append(waiting.popleft().result())
        results.extend(future.result() for future in waiting)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return results
