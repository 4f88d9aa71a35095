"""What S3 refuses by size and number, where LocalStack takes it; checked before the operation.

Each limit names its page. The sizes of parts, their order and their number are LocalStack's own checks.
"""

from collections.abc import Callable
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.api.s3 import InvalidArgument, InvalidPartOrder, InvalidStorageClass, InvalidTag, StorageClass
from localstack.aws.handlers import serve_custom_service_request_handlers
from localstack.http import Response
from localstack.services.s3 import provider
from localstack.services.s3.exceptions import MalformedXML
from localstack.services.s3.validation import validate_object_key

from sluice_ext.patching import replace
from sluice_ext.s3 import presigned

METADATA_BYTES = 2_048
TAGS = 10
DELETES = 1_000
PARTS = 10_000
RESTORE_DAYS = 2_147_483_647
_CLASSES = {one.value for one in StorageClass} - {StorageClass.OUTPOSTS.value}


class MetadataTooLarge(CommonServiceException):  # type: ignore[misc]
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata"""

    def __init__(self, size: int) -> None:
        message = "Your metadata headers exceed the maximum allowed metadata size"
        super().__init__("MetadataTooLarge", message, status_code=400, sender_fault=True)
        self.Size, self.MaxSizeAllowed = str(size), str(METADATA_BYTES)


def install() -> None:
    """Join the gateway's chain; raises UnexpectedEngine when LocalStack is not the version we know."""
    serve_custom_service_request_handlers.append(_on_request)

    def policy(request_form: Any, additional_policy_metadata: Any) -> None:
        original(request_form, additional_policy_metadata)
        presigned.check_post(request_form)
        validate_object_key(request_form.get("key") or "")
        check_metadata(
            {name[11:]: value for name, value in request_form.items() if name.lower().startswith("x-amz-meta-")}
        )

    original = replace(provider, "validate_post_policy", policy, expect="(request_form, additional_policy_metadata)")


def check_metadata(metadata: dict[str, str]) -> None:
    """Raises MetadataTooLarge when the names and values have more than 2 KB in UTF-8."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > METADATA_BYTES:
        raise MetadataTooLarge(size)


def _on_request(_chain: Any, context: RequestContext, _response: Response) -> None:
    if context.service is None or context.service.service_name != "s3":
        return
    request: Any = context.service_request or {}
    if key := request.get("Key"):
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
        if len(key) > 256:  # shorter ones fit, whatever their characters
            validate_object_key(key)
        if metadata := request.get("Metadata"):
            check_metadata(metadata)
    if context.operation and (check := _CHECKS.get(context.operation.name)):
        check(request)


def _check_class(request: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html"""
    asked = request.get("StorageClass")
    if asked and asked not in _CLASSES:
        raise InvalidStorageClass("The storage class you specified is not valid", StorageClassRequested=asked)


def _check_upload(request: Any) -> None:
    _check_class(request)
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    tagging = request.get("Tagging")
    if isinstance(tagging, str) and len([one for one in tagging.split("&") if one]) > TAGS:
        raise InvalidTag(f"Object tags cannot be greater than {TAGS}")


def _check_tags(request: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html"""
    if len((request.get("Tagging") or {}).get("TagSet") or []) > TAGS:
        raise InvalidTag(f"Object tags cannot be greater than {TAGS}")


def _check_deletes(request: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
    objects = (request.get("Delete") or {}).get("Objects") or []
    if len(objects) > DELETES:
        raise MalformedXML
    for one in objects:
        validate_object_key(one.get("Key") or "")


def _check_parts(request: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""
    parts = (request.get("MultipartUpload") or {}).get("Parts") or []
    if len(parts) > PARTS:
        raise MalformedXML
    numbers = [part.get("PartNumber") for part in parts]
    if len(set(numbers)) < len(numbers):
        # "in ascending order": a number that comes twice is not.
        raise InvalidPartOrder(
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            UploadId=request.get("UploadId"),
        )


def _check_restore(request: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html (`Days` is required, SELECT has ended)"""
    asked = request.get("RestoreRequest") or {}
    if not asked.get("Days"):
        if asked.get("Type") == "SELECT" or "Days" not in asked:
            raise MalformedXML
        raise InvalidArgument("restoration days should be at least 1", ArgumentName="Days", ArgumentValue="0")
    if not 1 <= asked["Days"] <= RESTORE_DAYS:
        raise InvalidArgument(
            "restoration days should be at least 1", ArgumentName="Days", ArgumentValue=str(asked["Days"])
        )


_CHECKS: dict[str, Callable[[Any], None]] = {
    "PutObject": _check_upload,
    "CopyObject": _check_upload,
    "CreateMultipartUpload": _check_upload,
    "PutObjectTagging": _check_tags,
    "DeleteObjects": _check_deletes,
    "CompleteMultipartUpload": _check_parts,
    "RestoreObject": _check_restore,
}
