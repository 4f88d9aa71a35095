"""The policies that resources carry themselves, as they are deployed now; and the keys that encrypt them.

Each function returns JSON text, or None where there is no policy. A resource that does not exist has none.
"""

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from localstack.constants import AWS_REGION_US_EAST_1, DEFAULT_AWS_ACCOUNT_ID

from sluice_ext.iam import policy


def policy_of(arn: str) -> str | None:
    """The policy of the resource (or of the bucket that an object is in) with this ARN."""
    find = _FINDERS.get(arn.split(":", 3)[2]) if arn.startswith("arn:") and arn.count(":") >= 5 else None
    return find(arn) if find else None


def account_of(arn: str) -> str:
    """The account of a resource; empty when it is not known."""
    if not arn.startswith("arn:") or arn.count(":") < 5:
        return ""
    return owner_of(arn) if arn.split(":", 3)[2] == "s3" else arn.split(":")[4]


def key_of(arn: str) -> str:
    """Id, ARN or alias of the KMS key that encrypts a queue or topic; empty when there is none."""
    attributes = _queue(arn) if ":sqs:" in arn else _topic(arn) if ":sns:" in arn else {}
    return str(attributes.get("KmsMasterKeyId") or "")


def key_arn(key: str, account: str, region: str) -> str | None:
    """The ARN of a key that is given by its id, ARN or alias; None when there is no such key."""
    from localstack.services.kms.models import kms_stores

    if key.startswith("arn:"):
        region, account, key = key.split(":")[3], key.split(":")[4], key.split(":", 5)[5].removeprefix("key/")
    store = kms_stores[account][region]
    if key.startswith("alias/"):
        alias = store.aliases.get(key)
        key = alias.metadata["TargetKeyId"] if alias else ""
    found = store.keys.get(key)
    return str(found.metadata["Arn"]) if found else None


def grants_of(arn: str) -> list[dict[str, Any]]:
    """The grants of a KMS key: GranteePrincipal, Operations, Constraints.

    https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
    """
    from localstack.services.kms.models import kms_stores

    region, account, key = _parts(arn)
    grants = [grant.metadata for grant in list(kms_stores[account][region].grants.values())]
    return [grant for grant in grants if grant.get("KeyId") == key.removeprefix("key/")]


def owner_of(arn: str) -> str:
    """The account of the bucket with this ARN, or of an object's; empty when there is none."""
    from localstack.services.s3.models import s3_stores

    name = _parts(arn)[2].split("/", 1)[0]
    # Names are unique over all accounts and regions.
    return str(s3_stores[DEFAULT_AWS_ACCOUNT_ID][AWS_REGION_US_EAST_1].global_bucket_map.get(name) or "")


def _store(stores: Any, account: str, region: str) -> Any:
    """The store of a service, None when it has none. Without the checks of LocalStack's lookup, which take longer."""
    regions = dict.get(stores, account)
    return dict.get(regions, region) if regions is not None else None


def _parts(arn: str) -> tuple[str, str, str]:
    """Region, account and the rest of an ARN."""
    _, _, _, region, account, rest = arn.split(":", 5)
    return region, account, rest


def _queue(arn: str) -> Mapping[str, Any]:
    from localstack.services.sqs.models import sqs_stores

    region, account, name = _parts(arn)
    store = _store(sqs_stores, account, region)
    queue = store.queues.get(name) if store else None
    return queue.attributes if queue else {}


def _topic(arn: str) -> Mapping[str, Any]:
    from localstack.services.sns.models import sns_stores

    region, account, _ = _parts(arn)
    store = _store(sns_stores, account, region)
    topic = store.topics.get(arn) if store else None
    return topic["attributes"] if topic else {}


def _function(arn: str) -> str | None:
    """A version or alias has a policy of its own."""
    from localstack.services.lambda_.invocation.models import lambda_stores

    region, account, rest = _parts(arn)
    name, _, qualifier = rest.removeprefix("function:").partition(":")
    store = _store(lambda_stores, account, region)
    function = store.functions.get(name) if store else None
    found = function.permissions.get(qualifier or "$LATEST") if function else None
    return _written(arn, found.policy.Statement) if found else None


_texts: dict[str, tuple[list[Any], str]] = {}
_MAX_TEXTS: Final = 4096


def _written(arn: str, statements: list[Any]) -> str:
    """The statements as JSON. Lambda stores them parsed and changes none of them, so they are written once."""
    former, text = _texts.get(arn, ([], ""))
    if text and len(former) == len(statements) and all(map(operator.is_, former, statements)):
        return text
    if len(_texts) >= _MAX_TEXTS:
        _texts.clear()
    text = json.dumps({"Statement": statements})
    _texts[arn] = list(statements), text
    return text


def _bucket(arn: str) -> str | None:
    from localstack.services.s3.models import s3_stores

    name, owner = _parts(arn)[2].split("/", 1)[0], owner_of(arn)
    bucket = s3_stores[owner][AWS_REGION_US_EAST_1].buckets.get(name) if owner else None
    return str(bucket.policy) if bucket is not None and bucket.policy else None


def _log_group(arn: str) -> str | None:
    """Policies of the region: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html"""
    from moto.logs.models import logs_backends

    region, account, _ = _parts(arn)
    documents = [one.policy_document for one in list(logs_backends[account][region].resource_policies.values())]
    found = [statement for document in documents for statement in policy.statements(document)]
    return json.dumps({"Statement": found}) if found else None


def _key(arn: str) -> str | None:
    from localstack.services.kms.models import kms_stores

    region, account, rest = _parts(arn)
    key = kms_stores[account][region].keys.get(rest.removeprefix("key/"))
    return str(key.policy) if key else None


_FINDERS: Final[dict[str, Callable[[str], str | None]]] = {
    "sqs": lambda arn: _queue(arn).get("Policy"),
    "sns": lambda arn: _topic(arn).get("Policy"),
    "lambda": _function,
    "s3": _bucket,
    "kms": _key,
    "logs": _log_group,
}
