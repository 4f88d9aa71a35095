"""`process` runtime executor: one execution environment, its process, and one invocation at a time."""

import contextlib
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from sluice_ext import settings
from sluice_ext.caller.functions import Caller
from sluice_ext.executor import bytecode, environment, isolation, layers, report
from sluice_ext.executor.fork_servers import Start
from sluice_ext.executor.process import FunctionProcess, remove_tree
from sluice_ext.executor.runtime_api import Call, Ended, RuntimeApi, TimeUp
from sluice_ext.faults import rules

# How often the memory of a running function is measured (s).
_MEMORY_TICK = 0.2
# How long a runtime has after its answer to ask for the next event before it is frozen all the same (s).
_NEXT_SECONDS = 0.05
_counter = itertools.count(1)


class ProcessRuntimeExecutor(RuntimeExecutor):  # type: ignore[misc]
    """See the interface in LocalStack's runtime_executor.py; `invoke` does the work."""

    def __init__(self, id: str, function_version: Any) -> None:
        super().__init__(id=id, function_version=function_version)
        self.healthy = False
        self._variables: dict[str, str] = {}
        self._process: FunctionProcess | None = None
        self._api: RuntimeApi | None = None
        self._next: Call | None = None
        self._started = 0.0
        self._peak = 0
        # Outcome of the init phase until the first invocation reports it: failure, time (s), log lines.
        self._init_outcome: tuple[report.Failure | None, float, list[str]] | None = None
        self._served = False  # the runtime has asked for an event since it was launched
        self._tmp = Path(tempfile.gettempdir()) / "lambda" / "env" / f"{next(_counter)}-{id[:8]}"

    # The interface that LocalStack calls

    def start(self, env_vars: dict[str, str]) -> None:
        """Launch the process; do not wait. The first invocation waits for init, whose log lines belong to it."""
        self._variables = env_vars
        self.healthy = True
        if not self._why_not():
            self._launch()

    def await_init(self) -> None:
        """Wait for the end of the init phase; the first invocation reports whether it succeeded."""
        if self._process and not self._init_outcome and not self._served:
            lines: list[str] = []
            failure, took = self._init("init", self._started + settings.INIT_SECONDS, self.id, lines)
            self._init_outcome = (failure, took, lines)
            if failure is None:
                self._process.freeze()

    def init_failure(self) -> str:
        """Why the init phase failed, which `await_init` waited for; empty when it did not."""
        failed = self._init_outcome and self._init_outcome[0]
        return failed.payload.decode("utf-8", "replace") if failed else ""

    def stop(self) -> None:
        """Kill the process, even in an invocation, and remove its /tmp."""
        self.healthy = False
        if self._process:
            self._process.kill()
        remove_tree(self._tmp)

    def kill_process(self) -> None:
        """For fault control: kill the process in an invocation, which ends as after a crash."""
        if self._process:
            self._process.kill()

    def memory(self) -> int:
        """Bytes that the process has for itself now; 0 when there is none."""
        return self._process.own_memory() if self._process else 0

    def cpu_seconds(self) -> float:
        """Processor time of the process so far (s)."""
        return self._process.cpu_seconds() if self._process else 0.0

    def close(self) -> None:
        """Close descriptors; only when no thread is in `invoke`."""
        if self._api:
            self._api.close()
            self._api = None

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Run one event. The result carries the log of this invocation, START to REPORT."""
        request_id = payload["invoke-id"]
        lines: list[str] = []
        config = self.function_version.config
        version = self.function_version.id.qualifier
        init: float | None = None
        failure: report.Failure | None
        if reason := self._why_not():
            failure, body, is_error, seconds, peak = report.not_startable(request_id, reason), b"", True, 0.0, 0
            lines.append(f"START RequestId: {request_id} Version: {version}\n")
        else:
            ready = self._is_warm()
            if not ready:
                self.await_init()
                assert self._init_outcome
                failed, init, init_lines = self._init_outcome
                self._init_outcome = None
                lines += init_lines
                ready = failed is None
            lines.append(f"START RequestId: {request_id} Version: {version}\n")
            began = time.monotonic()
            deadline = began + config.timeout
            failure, body, is_error = None, b"", False
            if not ready:
                # AWS runs a failed or slow init again as part of the invocation, on the function's own time.
                self._relaunch()
                failure, _ = self._init("invoke", deadline, request_id, lines)
                init = None
            if failure is None:
                failure, body, is_error = self._run(payload, deadline, lines)
            seconds = time.monotonic() - began
            peak = self._peak
        if failure:
            is_error, body = True, failure.payload
            lines.append(failure.line)
        lines.append(report.report(request_id, seconds, config.memory_size, peak, init, failure))
        return InvocationResult(request_id, body, is_error=is_error, logs="".join(lines))

    def get_logs(self) -> str:
        return ""

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return self._api.address if self._api else ""

    @classmethod
    def prepare_version(cls, function_version: Any) -> None:
        """Unpack the code and merge the layers, once for each version."""
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()
            layers.merged(function_version.config.layers)

    @classmethod
    def cleanup_version(cls, function_version: Any) -> None:
        """Nothing to do: LocalStack removes code that no version uses."""

    # Process

    def _interpreter(self) -> Path:
        return Path(settings.RUNTIMES_DIR or "/nowhere") / str(self.function_version.config.runtime) / "bin" / "python"

    def _why_not(self) -> str:
        """Why this function cannot run here; empty when it can."""
        config = self.function_version.config
        if config.package_type != "Zip" or not config.runtime:
            return "container images are not supported by the process executor"
        if not settings.RUNTIMES_DIR:
            return "SLUICE_LAMBDA_RUNTIMES is not set, so there is no interpreter for any runtime"
        if not self._interpreter().exists():
            return f"no interpreter for runtime {config.runtime}: {self._interpreter()} does not exist"
        return ""

    def _launch(self) -> None:
        config = self.function_version.config
        self.prepare_version(self.function_version)  # a restored version is not unpacked yet
        interpreter = self._interpreter()
        isolated = isolation.possible(interpreter)
        task_root = Path(config.code.get_unzipped_code_location())
        opt = layers.merged(config.layers)
        if isolated.task:
            places = isolation.TASK_ROOT, isolation.OPT if opt else None
            bytecode.make(interpreter, task_root, isolation.TASK_ROOT)
            if opt:
                bytecode.make(interpreter, opt, isolation.OPT)
        else:
            places = task_root, opt
        values = environment.paths(self._variables, *places, str(config.runtime))
        self._api = RuntimeApi()
        values["AWS_LAMBDA_RUNTIME_API"] = self._api.address
        self._tmp.mkdir(parents=True, exist_ok=True)
        folders, keep = ["", "", ""], isolation.kept_visible(interpreter)
        if isolated.task:
            folders = [str(self._tmp), str(task_root), str(opt or "")]
        elif isolated.tmp:
            folders[0] = str(self._tmp)
            keep += [str(path) for path in (task_root, opt) if path and str(path).startswith("/tmp/")]
        else:
            values["TMPDIR"] = str(self._tmp)
        self._next, self._served, self._init_outcome = None, False, None
        tmp, task, layer = folders
        self._process = FunctionProcess(Start(interpreter, values, (tmp, task, layer), keep, config.handler or ""))
        self._started = time.monotonic()
        self._api.attach(self._process.pid, self._process.output)

    def _relaunch(self) -> None:
        if self._process:
            self._process.kill()
        self.close()
        self._launch()

    def _is_warm(self) -> bool:
        """Whether the runtime is ready for another event. Restarts it when it ended between two invocations."""
        if self._process is None:
            self._launch()
            return False
        self._process.thaw()
        if self._init_outcome or not self._served:
            return False
        assert self._api
        if self._next is None:
            with contextlib.suppress(Ended, TimeUp):
                self._next = self._api.wait(time.monotonic() + 1.0)
        elif not self._process.running:
            self._next = None
        if self._next is None or self._next.kind != "next":
            self._relaunch()
            return False
        return True

    # One invocation

    def _init(
        self, phase: str, deadline: float, request_id: str, lines: list[str]
    ) -> tuple[report.Failure | None, float]:
        """Wait until the runtime asks for its first event. Returns the failure, if any, and the time it took (s)."""
        assert self._api
        assert self._process
        if phase == "init":
            lines.append(
                f"INIT_START Runtime Version: {self._variables['AWS_EXECUTION_ENV'].removeprefix('AWS_Lambda_')}\n"
            )
        failure, began = None, self._started
        limit = self.function_version.config.timeout
        try:
            call = self._api.wait(deadline)
            while call and call.kind == "other":
                self._api.reply(call, "404 Not Found")
                call = self._api.wait(deadline)
            if call and call.kind == "init_error":
                self._api.reply(call, "202 Accepted")
                failure = report.Failure(call.body, "", "error", call.error_type)
            else:
                self._next, self._served = call, True
        except TimeUp:
            failure = report.timed_out(request_id, limit)
        except Ended:
            failure = report.exited(request_id, self._process.exit_status())
        self._take_output(lines)
        took = time.monotonic() - began
        if failure:
            if phase == "init":
                if failure.status == "error":
                    lines.append(failure.line)
                lines.append(report.init_report(took, phase, failure.status, failure.kind))
            else:
                self._end()
        return failure, took

    def _run(
        self, payload: dict[str, str], deadline: float, lines: list[str]
    ) -> tuple[report.Failure | None, bytes, bool]:
        """Send the event to the runtime and wait for the answer. Returns (failure, body, is_error)."""
        assert self._api
        assert self._process
        assert self._next
        request_id, body = payload["invoke-id"], payload["payload"].encode()
        config = self.function_version.config
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000 + config.timeout * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": payload["invoked-function-arn"],
            "Lambda-Runtime-Trace-Id": payload["trace-id"],
        }
        if payload.get("client-context"):
            headers["Lambda-Runtime-Client-Context"] = payload["client-context"]
        self._process.thaw()
        self._api.reply(self._next, "200 OK", body, headers)
        self._next = None
        failure, out_of_memory = None, False
        call: Call | None = None
        limit = config.memory_size << 20 if settings.MEMORY_LIMIT else 0
        try:
            while call is None or call.kind == "other":
                if call:
                    self._api.reply(call, "404 Not Found")
                call = self._api.wait(deadline, _MEMORY_TICK)
                self._peak = self._process.peak_memory()
                if limit and call is None and self._process.memory() > limit:
                    out_of_memory = True
                    self._peak = limit
                    self._process.kill()
        except TimeUp:
            failure = report.timed_out(request_id, config.timeout)
        except Ended:
            failure = report.exited(request_id, self._process.exit_status(), out_of_memory)
        self._api.drain()
        self._take_output(lines)
        if failure:
            self._end()
            return failure, b"", True
        assert call
        if settings.FAULTS and call.kind == "response" and self._lost_answer(payload["payload"]):
            self._end()
            return report.exited(request_id, -9), b"", True
        if call.kind == "response" and len(call.body) > report.RESPONSE_LIMIT:
            self._api.reply(call, "413 Payload Too Large")
            self._end()  # awslambdaric exits after a refused answer
            return report.too_large(len(call.body)), b"", True
        self._api.reply(call, "202 Accepted", b'{"status":"OK"}')
        self._freeze()
        return None, call.body, call.kind != "response"

    def _freeze(self) -> None:
        """Stop the process until its next event, once it has asked for that.

        https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-invoke
        """
        assert self._api
        assert self._process
        # One that does not ask at once is frozen where it is, and asks when it goes on.
        with contextlib.suppress(Ended, TimeUp):
            while self._next is None:
                call = self._api.wait(time.monotonic() + _NEXT_SECONDS)
                if call and call.kind == "other":
                    self._api.reply(call, "404 Not Found")
                else:
                    self._next = call
        self._process.freeze()

    def _lost_answer(self, event: str) -> bool:
        """Whether fault control kills the function before the service gets its answer."""
        identity = self.function_version.id
        role = self.function_version.config.role
        caller = Caller(identity.function_name, identity.unqualified_arn(), role, self)
        action = rules.count(caller, "lambda", "Return", event)
        kind, _, argument = (action or "").partition(":")
        if kind == "delay":
            time.sleep(int(argument) / 1000)
        return bool(action) and kind != "delay"

    def _end(self) -> None:
        """Kill the process; the environment is not used again."""
        self.healthy = False
        if self._process:
            self._peak = self._process.peak_memory() or self._peak
            self._process.kill()

    def _take_output(self, lines: list[str]) -> None:
        assert self._api
        if self._api.printed:
            text = self._api.printed.decode("utf-8", "replace")
            lines.append(text if text.endswith("\n") else text + "\n")
            self._api.printed.clear()
