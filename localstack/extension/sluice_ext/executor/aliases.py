"""UpdateAlias: LocalStack fails on weights, and takes versions that do not exist. DeleteFunction: it deletes a version
that an alias names, which is then an alias of nothing.

https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html
https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html
https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html: two published versions at most, with the
same execution role.
"""

import functools
from typing import Any

from localstack.aws.api.lambda_ import InvalidParameterValueException, ResourceConflictException
from localstack.services.lambda_ import api_utils
from localstack.services.lambda_.invocation.lambda_models import AliasRoutingConfig
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.provider import LambdaProvider
from localstack.services.lambda_.provider_utils import get_function_version

from sluice_ext.patching import replace


def install() -> None:
    """Wrap the operation, and the check of weights that it shares with CreateAlias."""
    make = LambdaProvider._create_routing_config_model

    @functools.wraps(make)
    def checked(self: Any, weights: dict[str, float], function_version: Any = None) -> Any:
        if function_version is None:  # of UpdateAlias, which has checked them
            return AliasRoutingConfig(version_weights=weights)
        made = make(self, weights, function_version)
        identity = function_version.id
        for version in weights:
            other = get_function_version(identity.function_name, version, identity.account, identity.region)
            if other.config.role != function_version.config.role:
                raise InvalidParameterValueException(
                    f"Versions {identity.qualifier} and {version} must have the same execution role", Type="User"
                )
        return made

    original = LambdaProvider.update_alias

    @functools.wraps(original)
    def update_alias(self: Any, context: Any, function_name: str, name: str, **kwargs: Any) -> Any:
        _check(self, context, function_name, name, kwargs)
        return original(self, context, function_name, name, **kwargs)

    replace(
        LambdaProvider, "_create_routing_config_model", checked, expect="(self, routing_config_dict, function_version)"
    )
    signature = (
        "(self, context, function_name, name, function_version, description, routing_config, revision_id, **kwargs)"
    )
    replace(LambdaProvider, "update_alias", update_alias, expect=signature)
    delete = LambdaProvider.delete_function

    @functools.wraps(delete)
    def delete_function(self: Any, context: Any, function_name: str, qualifier: Any = None, **kwargs: Any) -> Any:
        _refuse_named(context, function_name, qualifier)
        return delete(self, context, function_name, qualifier, **kwargs)

    replace(
        LambdaProvider, "delete_function", delete_function, expect="(self, context, function_name, qualifier, **kwargs)"
    )


def _check(provider: Any, context: Any, function_name: str, name: str, changes: dict[str, Any]) -> None:
    """Refuse a version that is not there, and weights that do not go with the version that the alias will name."""
    account, region = api_utils.get_account_and_region(function_name, context)
    function_name = api_utils.get_function_name(function_name, context)
    function = provider._get_function(function_name=function_name, region=region, account_id=account)
    alias = function.aliases.get(name)
    if alias is None or changes.get("revision_id") not in (None, alias.revision_id):
        return  # the operation itself refuses it
    wanted = changes.get("function_version") or alias.function_version
    target = get_function_version(function_name, wanted, account, region)
    routing = changes.get("routing_config")
    if routing is None:
        weights = alias.routing_configuration.version_weights if alias.routing_configuration else {}
    else:
        weights = routing.get("AdditionalVersionWeights") or {}
    if weights:
        provider._create_routing_config_model(weights, target)


def _refuse_named(context: Any, function_name: str, qualifier: Any) -> None:
    """Refuse to delete a version that an alias names, with its weights, too."""
    account, region = api_utils.get_account_and_region(function_name, context)
    name, version = api_utils.get_name_and_qualifier(function_name, qualifier, context)
    function = lambda_stores[account][region].functions.get(name)
    if function is None or not version:
        return
    for alias in function.aliases.values():
        routing = alias.routing_configuration
        if version == alias.function_version or version in (routing.version_weights if routing else {}):
            raise ResourceConflictException(
                f"Unable to delete version {version}: the alias {alias.name} references it", Type="User"
            )
