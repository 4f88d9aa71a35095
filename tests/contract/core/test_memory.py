"""What the engine shares in memory is what botocore and moto would have loaded."""

from pathlib import Path
from typing import Any

from tests.support.engine_harness import in_engine


def worker(*arguments: str, script: str = "memory_worker.py") -> Any:
    return in_engine(Path(__file__).with_name(script), *arguments)


def test_service_models_are_loaded_once_and_are_those_of_botocore(tmp_path: Path) -> None:
    assert worker("models", str(tmp_path)) == {
        "shared": True,
        "ordered": False,
        "same": ["s3", "sqs", "dynamodb", "apigateway"],
        "order": True,
        "operations": True,
        "read": [{"a": 1}, {"a": 22}],
        "missing": None,
    }


def test_the_offerings_of_a_region_are_read_when_they_are_asked_for_and_are_those_of_moto() -> None:
    theirs, ours = worker("offerings"), worker("ours", "offerings")
    assert (theirs["read"], ours["read"]) == (theirs["lists"], 0)
    assert (ours["lists"], ours["digest"]) == (theirs["lists"], theirs["digest"])
    assert ours["lists"] > 50


def test_objects_beyond_the_limit_of_memory_are_in_files_and_none_is_lost_or_mixed_up() -> None:
    assert worker(script="storage_worker.py") == {
        "wrong": [],
        "objects": True,
        "in files": True,
        "memory": True,
        "old": True,
        "new": True,
        "one lock": True,
        "locks": [0, 0],
        "key locks": [True, False, 1],
        "lists": [True, True, False],
        "left": 0,
    }
