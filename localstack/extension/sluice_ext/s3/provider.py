"""LocalStack's S3 provider on this engine's store, with conditional deletes.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
"""

import functools
from collections import defaultdict
from typing import Any

from localstack.aws.api.s3 import Error, NoSuchKey, PreconditionFailed
from localstack.services.plugins import Service
from localstack.services.s3 import provider as theirs
from localstack.services.s3.models import S3DeleteMarker
from localstack.services.s3.provider import S3Provider

from sluice_ext.kms import managed
from sluice_ext.patching import replace
from sluice_ext.s3 import at_rest, etags, inventory, limits, listing, notifications, presigned, sequence
from sluice_ext.s3.sequence import SEQUENCE
from sluice_ext.s3.storage import Store


class Provider(S3Provider):  # type: ignore[misc]
    """`DeleteObject` with If-Match and `DeleteObjects` with ETag delete what matches, and nothing else."""

    def delete_object(self, context: Any, bucket: str, key: str, **kwargs: Any) -> Any:
        condition = kwargs.pop("if_match", None)
        if condition is None:
            return super().delete_object(context, bucket, key, **kwargs)
        # All changes of keys are under this lock, so the object is still the one that was compared.
        with SEQUENCE.lock:
            self._demand(context, bucket, key, condition)
            return super().delete_object(context, bucket, key, **kwargs)

    def delete_objects(self, context: Any, bucket: str, delete: Any, **kwargs: Any) -> Any:
        objects = delete.get("Objects") or []
        if not any(one.get("ETag") for one in objects):
            return super().delete_objects(context, bucket, delete, **kwargs)
        with SEQUENCE.lock:
            passed, errors = [], []
            for one in objects:
                try:
                    if condition := one.get("ETag"):
                        self._demand(context, bucket, one["Key"], condition)
                    passed.append(one)
                except (NoSuchKey, PreconditionFailed) as error:
                    errors.append(Error(Key=one["Key"], Code=error.code, Message=error.message))
            if not passed:
                return {"Errors": errors}
            answer = super().delete_objects(context, bucket, {**delete, "Objects": passed}, **kwargs)
        if errors:
            answer["Errors"] = errors + list(answer.get("Errors") or [])
        return answer

    def list_objects(self, context: Any, bucket: str, **request: Any) -> Any:
        return listing.list_objects(self._get_cross_account_bucket(context, bucket)[1], request)

    def list_objects_v2(self, context: Any, bucket: str, **request: Any) -> Any:
        return listing.list_objects_v2(self._get_cross_account_bucket(context, bucket)[1], request)

    def list_object_versions(self, context: Any, bucket: str, **request: Any) -> Any:
        return listing.list_object_versions(self._get_cross_account_bucket(context, bucket)[1], request)

    def put_bucket_inventory_configuration(
        self, context: Any, bucket: str, id: str, inventory_configuration: Any, **kwargs: Any
    ) -> None:
        self._get_cross_account_bucket(context, bucket)
        inventory.check(id, inventory_configuration)
        super().put_bucket_inventory_configuration(context, bucket, id, inventory_configuration, **kwargs)
        inventory.set_up(bucket, id)

    def delete_bucket_inventory_configuration(self, context: Any, bucket: str, id: str, **kwargs: Any) -> None:
        super().delete_bucket_inventory_configuration(context, bucket, id, **kwargs)
        inventory.cancel(bucket, id)

    def _demand(self, context: Any, bucket: str, key: str, condition: str) -> None:
        """Raises NoSuchKey, or PreconditionFailed when the current version has another ETag."""
        _, s3_bucket = self._get_cross_account_bucket(context, bucket)
        found = s3_bucket.objects.get(key)
        if not found or isinstance(found, S3DeleteMarker):
            raise NoSuchKey("The specified key does not exist.", Key=key)
        if condition != "*" and condition.strip('"') != found.etag:
            raise PreconditionFailed(
                "At least one of the pre-conditions you specified did not hold", Condition="If-Match"
            )


def create_service() -> Service:
    """The provider with everything that is replaced in LocalStack's S3."""
    at_rest.install()
    etags.install()
    sequence.install()
    notifications.install()
    limits.install()
    presigned.install()
    make_key = functools.partial(managed.arn, service="s3")
    replace(theirs, "create_s3_kms_managed_key_for_region", make_key, expect="(account_id, region_name)")
    provider = Provider(Store())
    replace(provider, "_preconditions_locks", defaultdict(at_rest.KeyLocks))
    return Service.for_provider(provider)
