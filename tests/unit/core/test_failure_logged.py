"""A function that a deployment invokes says why it fails in one line, and fails."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from sluice_pipeline.runtime.telemetry import failure_logged


def test_a_failure_is_one_line_and_goes_on() -> None:
    logger = MagicMock()
    with pytest.raises(ValueError, match="no table"), failure_logged(logger):
        raise ValueError("no table\n  LINE 1: SELECT")
    logger.error.assert_called_once_with("%s (%s)", "no table LINE 1: SELECT", "ValueError")


def test_what_succeeds_says_nothing() -> None:
    logger = MagicMock()
    with failure_logged(logger):
        pass
    logger.error.assert_not_called()
