"""Submitting a day's check-in files: one execution of the workflow for each file, by name."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from checkins.request import Request, prefix_of
from checkins.run_log import Log
from sluice_pipeline.objects.identity import Origin


@dataclass(frozen=True, slots=True)
class Submitted:
    """``new`` is False when the file's execution had been started before, and nothing was started now."""

    name: str
    key: str
    new: bool


class Submitter:
    def __init__(self, s3: Any, workflows: Any, bucket: str, machine: str, log: Log) -> None:
        self._s3 = s3
        self._workflows = workflows
        self._bucket = bucket
        self._machine = machine
        self._log = log

    def files(self, dataset: str, day: str) -> Iterator[Request]:
        """A request for each of the day's files, as the bucket holds them now."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix_of(dataset, day))
        for page in pages:
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/"):  # what consoles put for an empty folder
                    origin = Origin(self._bucket, item["Key"], item["ETag"].strip('"'))
                    yield Request(day, dataset, item["Key"], origin.object_id)

    def submit(self, request: Request, hard_testing: str = "", id: str = "") -> Submitted:
        """Starts a file's execution unless it was started before.

        The name decides, for as long as Step Functions knows it (90 days); after that the log does.
        """
        request = replace(request, hard_testing=hard_testing, id=id)
        if self._log.was_submitted(request.name):
            return Submitted(request.name, request.key, new=False)
        try:
            # One that runs already is answered with its execution, one that has ended with ExecutionAlreadyExists:
            # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
            self._workflows.start_execution(stateMachineArn=self._machine, name=request.name, input=request.canonical)
        except self._workflows.exceptions.ExecutionAlreadyExists:
            self._log.submit(request)  # the function that started it died before it could
            return Submitted(request.name, request.key, new=False)
        return Submitted(request.name, request.key, new=self._log.submit(request))
