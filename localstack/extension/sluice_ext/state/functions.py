"""Functions and event source mappings after a restore: each active version can be invoked, each mapping polls.

LocalStack's own way (LambdaProvider.on_after_state_load) shows every version as being created and unpacks all code
before the engine is ready. Here a version has the state it had, and its code is unpacked when it first runs.
"""

import dataclasses
import logging
from typing import Any

from localstack.aws.api.lambda_ import LastUpdateStatus, State
from localstack.services.lambda_.api_utils import qualifier_is_alias
from localstack.services.lambda_.event_source_mapping.esm_worker import EsmState
from localstack.services.lambda_.event_source_mapping.esm_worker_factory import EsmWorkerFactory
from localstack.services.lambda_.invocation import lambda_service
from localstack.services.lambda_.invocation.lambda_models import UpdateStatus, VersionState
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.provider import get_function_version_from_arn
from localstack.utils.strings import short_uid

from sluice_ext.executor import changes

LOG = logging.getLogger(__name__)
_OFF = (EsmState.DISABLED, EsmState.DISABLING)


def restart(provider: Any) -> None:
    """Make every version and every mapping work again."""
    for _account, _region, store in lambda_stores.iter_stores():
        for name, function in list(store.functions.items()):
            _restart_function(provider.lambda_service, store, name, function)
        for uuid, mapping in list(store.event_source_mappings.items()):
            if mapping.get("State") == EsmState.DELETING:
                del store.event_source_mappings[uuid]
                continue
            version = get_function_version_from_arn(mapping["FunctionArn"])
            enabled = mapping.get("State") not in _OFF
            worker = EsmWorkerFactory(mapping, version.config.role, enabled).get_esm_worker()
            worker.create()
            provider.esm_workers[worker.uuid] = worker


def _restart_function(service: Any, store: Any, name: str, function: Any) -> None:
    # LocalStack tells the queues of two functions of one name apart by this.
    function.instance_id = short_uid()
    for qualifier, version in list(function.versions.items()):
        state = version.config.state.state
        if state == State.Deleting:
            del function.versions[qualifier]
        elif changes.is_pending(version) or changes.is_updating(version):
            function.versions[qualifier] = _changed(version)
            _activate(service, function, function.versions[qualifier])
        elif state == State.Active:
            _activate(service, function, version)
    if not function.versions:
        del store.functions[name]
        return
    for qualifier, wanted in function.provisioned_concurrency_configs.items():
        alias = function.aliases[qualifier].function_version if qualifier_is_alias(qualifier) else qualifier
        manager = service.lambda_running_versions.get(function.versions[alias].id.qualified_arn())
        if manager:
            manager.update_provisioned_concurrency_config(wanted.provisioned_concurrent_executions)


def _changed(version: Any) -> Any:
    """The version after its change, which was in progress: the code before it is not in the state."""
    done = UpdateStatus(status=LastUpdateStatus.Successful)
    state = VersionState(state=State.Active)
    return dataclasses.replace(version, config=dataclasses.replace(version.config, state=state, last_update=done))


def _activate(service: Any, function: Any, version: Any) -> None:
    arn = version.id.qualified_arn()
    manager = lambda_service.LambdaVersionManager(
        function_arn=arn,
        function_version=version,
        function=function,
        counting_service=service.counting_service,
        assignment_service=service.assignment_service,
    )
    manager.state = VersionState(state=State.Active)
    service.lambda_running_versions[arn] = manager
    service.event_managers[arn] = lambda_service.LambdaEventManager(version_manager=manager)
    service.event_managers[arn].start()
