"""One execution of a run: its folder, script, modules, environment and process."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from localstack.aws.connect import connect_to

from sluice_ext import settings
from sluice_ext.address import engine_url
from sluice_ext.athena.files import object_of
from sluice_ext.glue.common import role_arn
from sluice_ext.glue.jobs import environments, modules, validation
from sluice_ext.glue.jobs.environments import NotRunnable
from sluice_ext.glue.jobs.kinds import SHELL, SPARK
from sluice_ext.glue.jobs.process import JobProcess
from sluice_ext.glue.jobs.spark import session

_INSIDE: Final = Path(__file__).with_name("inside")
_SESSION: Final = "GlueJobRunnerSession"


class Attempt:
    """Made, prepared, started; `close` removes its folder."""

    def __init__(self, job: Mapping[str, Any], run: Mapping[str, Any], account: str, region: str) -> None:
        self.job, self.run, self.account, self.region = job, run, account, region
        self.kind = str(job["Command"]["Name"])
        self.arguments = validation.merged(job, run["Arguments"])
        self.role = role_arn(job["Role"], account)
        self.folder = Path(tempfile.mkdtemp(prefix="glue-run-"))
        self._outcome = self.folder / "outcome.json"
        self._credentials: dict[str, str] = {}

    def start(self, contexts: Mapping[str, Any]) -> JobProcess:
        """Everything up to the script's first line. contexts: the job's bookmark. Raises NotRunnable."""
        python = environments.interpreter(self.kind, self.run)
        self._credentials = self._assume()
        work, extra = self.folder / "work", self.folder / "modules"
        for folder in (work, extra, self.folder / "tmp"):
            folder.mkdir()
        script = self._download(self.arguments.get("--scriptLocation") or self.job["Command"]["ScriptLocation"], work)
        paths = [
            *modules.install(self.arguments, python, extra, self._download),
            *modules.extra_files(self.arguments, extra, self._download),
            str(_INSIDE),
        ]
        for uri in modules.listed(self.arguments.get("--extra-files")):
            self._download(uri, work)
        (self.folder / "bookmark.json").write_text(json.dumps(dict(contexts)))
        values = self._variables(paths)
        if self.kind == SPARK:
            values |= session.variables(python, self.folder, self.arguments, self.memory_limit)
        bootstrap = str(_INSIDE / "bootstrap.py")
        command = [str(python), "-s", "-u", bootstrap, str(os.getpid()), str(self._outcome), str(script)]
        return JobProcess([*command, *self._words()], values, work)

    @property
    def memory_limit(self) -> int:
        """Most bytes that its processes may have."""
        own = int(self.run["MaxCapacity"] * validation.GIGABYTES_PER_DPU * 2**30)
        return own if self.kind == SHELL else min(own, settings.SPARK_MEMORY)

    def outcome(self) -> dict[str, Any] | None:
        """What the process wrote about its end, if it did."""
        try:
            return dict(json.loads(self._outcome.read_text()))
        except (OSError, ValueError):
            return None

    def committed(self) -> dict[str, dict[str, str]] | None:
        """The bookmark that the script committed, if it did."""
        try:
            return dict(json.loads((self.folder / "committed.json").read_text()))
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _words(self) -> list[str]:
        """The script's arguments, as AWS passes them: the job's name for Spark jobs only."""
        named: dict[str, str] = {}
        if self.kind == SPARK:
            named = {"--JOB_NAME": str(self.job["Name"]), "--JOB_RUN_ID": str(self.run["Id"]), "--JOB_ID": "j_local"}
            named["--job-bookmark-option"] = "job-bookmark-disable"
        return [word for pair in (named | self.arguments).items() for word in pair]

    def _assume(self) -> dict[str, str]:
        sts = connect_to(region_name=self.region, aws_access_key_id=self.account, aws_secret_access_key="-").sts
        try:
            found = sts.assume_role(RoleArn=self.role, RoleSessionName=_SESSION, DurationSeconds=43200)
        except ClientError as error:
            raise NotRunnable(f"Role {self.role} cannot be assumed: {error}") from error
        return dict(found["Credentials"])

    def _download(self, uri: str, folder: Path) -> Path:
        """An object as a file, read with the job's permissions. Raises NotRunnable."""
        bucket, key = object_of(uri)
        keys = self._credentials
        client = connect_to(
            aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"], region_name=self.region,
        ).s3  # fmt: skip
        target = folder / (Path(key).name or "script")
        try:
            with target.open("wb") as file:
                shutil.copyfileobj(client.get_object(Bucket=bucket, Key=key)["Body"], file)
        except (ClientError, BotoCoreError) as error:
            said = error.response["Error"] if isinstance(error, ClientError) else {"Message": str(error)}
            raise NotRunnable(
                f"Error downloading from S3 for bucket: {bucket}, key: {key}. {said.get('Message')} "
                f"(Service: Amazon S3; Error Code: {said.get('Code')})"
            ) from error
        return target

    def _variables(self, paths: list[str]) -> dict[str, str]:
        """The variables of the process: none of the host's but its programs."""
        return {
            "PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC", "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region, "AWS_ENDPOINT_URL": engine_url(),
            "AWS_ACCESS_KEY_ID": self._credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": self._credentials["SessionToken"],
            # boto3 would otherwise read the developer's ~/.aws.
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true", "GLUE_RUN_FOLDER": str(self.folder),
        }  # fmt: skip
