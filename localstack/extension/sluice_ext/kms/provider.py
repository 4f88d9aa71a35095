"""LocalStack's KMS, where only AWS's services change or use a key that AWS manages.

https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-key
Replaced: `KmsProvider._create_alias_if_reserved_and_not_exists`, whose keys are a customer's and fewer.
"""

from collections.abc import Callable
from typing import Any, Final

from localstack.aws.api import CommonServiceException
from localstack.services.kms.exceptions import ValidationException
from localstack.services.kms.provider import KmsProvider
from localstack.services.plugins import Service
from localstack.utils.collections import PaginatedList

from sluice_ext.kms import managed
from sluice_ext.patching import replace

_KEYS: Final = ("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId")
# What the policies of these keys allow an account's principals themselves.
_LOOKS: Final = ("Describe", "Get", "List", "RevokeGrant")
_PAGE: Final = 50  # API_ListAliases


def create_service() -> Service:
    """The service as LocalStack starts it; raises UnexpectedEngine when LocalStack is not the version we know."""
    expect = "(account_id, region_name, alias_name)"
    replace(KmsProvider, "_create_alias_if_reserved_and_not_exists", staticmethod(managed.make), expect=expect)
    service = Service.for_provider(KmsProvider())
    table = service.skeleton.dispatch_table
    table.update({name: _checked(name, call) for name, call in table.items() if not name.startswith(_LOOKS)})
    table["ListAliases"] = _listing(table["ListAliases"])
    for name in ("GetKeyPolicy", "PutKeyPolicy"):
        table[name] = _of_policy(table[name])
    return service


def _checked(operation: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call of an operation, for keys and aliases of customers; the engine's own services may do all."""

    def checked(context: Any, request: Any) -> Any:
        if not context.is_internal_call:
            if str(request.get("AliasName", "")).startswith(managed.PREFIX):
                raise CommonServiceException("NotAuthorizedException", "", sender_fault=True)
            for key in (request[name] for name in _KEYS if request.get(name)):
                if managed.is_managed(context.account_id, context.region, key):
                    raise _denied(operation, key)
        return call(context, request)

    return checked


def _denied(operation: str, key: str) -> CommonServiceException:
    why = f"because no resource-based policy allows the kms:{operation} action"
    text = f"The caller is not authorized to perform: kms:{operation} on resource: {key} {why}"
    return CommonServiceException("AccessDeniedException", text, sender_fault=True)


def _listing(call: Callable[..., Any]) -> Callable[..., Any]:
    """Without a key, ListAliases has the predefined aliases, too."""

    def listing(context: Any, request: Any) -> Any:
        if request.get("KeyId"):
            return call(context, request)
        limit = request.get("Limit") or _PAGE
        if not 1 <= limit <= 100:
            raise ValidationException("Limit must be between 1 and 100")
        made = [alias.metadata for alias in KmsProvider._get_store(context.account_id, context.region).aliases.values()]
        every = PaginatedList(sorted([*made, *managed.unused(context.account_id, context.region)], key=_name))
        page, marker = every.get_page(_name, next_token=request.get("Marker"), page_size=limit)
        return {"Aliases": page, "Truncated": bool(marker)} | ({"NextMarker": marker} if marker else {})

    return listing


def _of_policy(call: Callable[..., Any]) -> Callable[..., Any]:
    """A key has one policy, whose name need not be given: API_GetKeyPolicy, API_PutKeyPolicy."""
    return lambda context, request: call(context, {"PolicyName": "default"} | request)


def _name(alias: Any) -> str:
    return str(alias["AliasName"])
