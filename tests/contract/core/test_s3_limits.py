"""What S3 refuses: sizes, classes, checksums, conditions and presigned URLs. Each test names AWS's page."""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.objects.storage import Storage
from tests.support.engine_harness import Engine, Function, call, eventually


@pytest.fixture(scope="module")
def s3(engine: Engine) -> Any:
    """A client that sends a checksum only when it is asked to."""
    return engine.client("s3", s3={"addressing_style": "path"}, request_checksum_calculation="when_required")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name = f"lim-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


def refusal(operation: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    """Error code and status of a call; ("", 200) when it succeeds."""
    from botocore.exceptions import ClientError

    try:
        operation(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "", 200


def body(s3: Any, bucket: str, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 513, "東" * 342])
def test_a_key_has_1024_bytes_at_most(s3: Any, bucket: str, key: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    assert refusal(s3.put_object, Bucket=bucket, Key=key, Body=b"") == ("KeyTooLongError", 400)
    assert refusal(s3.copy_object, Bucket=bucket, Key=key, CopySource=source) == ("KeyTooLongError", 400)
    assert refusal(s3.create_multipart_upload, Bucket=bucket, Key=key) == ("KeyTooLongError", 400)
    assert refusal(s3.get_object, Bucket=bucket, Key=key) == ("KeyTooLongError", 400)
    assert refusal(s3.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": key}]}) == ("KeyTooLongError", 400)
    assert refusal(s3.put_object, Bucket=bucket, Key=key[:-1], Body=b"") == ("", 200)


@pytest.mark.parametrize(("name", "value", "fits"), [("k", "a" * 2047, True), ("k", "a" * 2048, False)])
def test_user_metadata_has_2_kb_at_most(s3: Any, bucket: str, name: str, value: str, fits: bool) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata"""
    expected = ("", 200) if fits else ("MetadataTooLarge", 400)
    metadata = {name: value}
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    assert refusal(s3.put_object, Bucket=bucket, Key="meta", Body=b"", Metadata=metadata) == expected
    assert refusal(s3.create_multipart_upload, Bucket=bucket, Key="meta", Metadata=metadata) == expected
    copy = {"CopySource": {"Bucket": bucket, "Key": "source"}, "MetadataDirective": "REPLACE"}
    assert refusal(s3.copy_object, Bucket=bucket, Key="meta", Metadata=metadata, **copy) == expected


def test_tags_and_deletes_have_their_numbers(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html and API_DeleteObjects.html"""
    tags = [{"Key": f"k{n}", "Value": "v"} for n in range(11)]
    header = urlencode({tag["Key"]: tag["Value"] for tag in tags})
    assert refusal(s3.put_object, Bucket=bucket, Key="tags", Body=b"", Tagging=header) == ("InvalidTag", 400)
    s3.put_object(Bucket=bucket, Key="tags", Body=b"")
    tagged = refusal(s3.put_object_tagging, Bucket=bucket, Key="tags", Tagging={"TagSet": tags})
    assert tagged == ("InvalidTag", 400)
    assert refusal(s3.put_object_tagging, Bucket=bucket, Key="tags", Tagging={"TagSet": tags[:10]}) == ("", 200)
    objects = [{"Key": f"no-{n}"} for n in range(1001)]
    assert refusal(s3.delete_objects, Bucket=bucket, Delete={"Objects": objects}) == ("MalformedXML", 400)
    assert refusal(s3.delete_objects, Bucket=bucket, Delete={"Objects": objects[:1000]}) == ("", 200)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_read_after_its_restoration_only(s3: Any, bucket: str, storage_class: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html"""
    key = storage_class.lower()
    s3.put_object(Bucket=bucket, Key=key, Body=b"cold", StorageClass=storage_class)
    assert s3.head_object(Bucket=bucket, Key=key)["StorageClass"] == storage_class
    assert refusal(s3.get_object, Bucket=bucket, Key=key) == ("InvalidObjectState", 403)
    source = {"Bucket": bucket, "Key": key}
    assert refusal(s3.copy_object, Bucket=bucket, Key="thawed", CopySource=source) == ("InvalidObjectState", 403)
    assert refusal(s3.restore_object, Bucket=bucket, Key=key, RestoreRequest={}) == ("MalformedXML", 400)
    s3.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": 1})
    assert body(s3, bucket, key) == b"cold"
    assert 'ongoing-request="false"' in s3.head_object(Bucket=bucket, Key=key)["Restore"]


def test_an_unknown_storage_class_is_refused(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html"""
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    wrong, expected = {"StorageClass": "FROZEN"}, ("InvalidStorageClass", 400)
    assert refusal(s3.put_object, Bucket=bucket, Key="c", Body=b"", **wrong) == expected
    assert refusal(s3.create_multipart_upload, Bucket=bucket, Key="c", **wrong) == expected
    source = {"Bucket": bucket, "Key": "source"}
    assert refusal(s3.copy_object, Bucket=bucket, Key="c", CopySource=source, **wrong) == expected
    assert refusal(s3.restore_object, Bucket=bucket, Key="source", RestoreRequest={"Days": 1}) == (
        "InvalidObjectState",
        403,
    )


@pytest.mark.parametrize("old", [b"", b"old", b"o" * 600_000])
@pytest.mark.parametrize("new", [b"new", b"n" * 700_000])
def test_a_refused_upload_leaves_the_object_as_it_was(s3: Any, bucket: str, old: bytes, new: bytes) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html"""
    wrong = base64.b64encode(b"0" * 16).decode()
    before = s3.put_object(Bucket=bucket, Key="whole", Body=old)["ETag"]
    put = {"Bucket": bucket, "Key": "whole", "Body": new}
    assert refusal(s3.put_object, **put, ContentMD5=wrong) == ("BadDigest", 400)
    assert refusal(s3.put_object, **put, ChecksumCRC32="AAAAAA==") == ("BadDigest", 400)
    assert refusal(s3.put_object, **put, ChecksumSHA256="short") == ("InvalidRequest", 400)
    assert refusal(s3.put_object, **put, IfMatch='"other"') == ("PreconditionFailed", 412)
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(Bucket=bucket, Key="source", Body=new)
    copied = refusal(s3.copy_object, Bucket=bucket, Key="whole", CopySource=source, IfNoneMatch="*")
    assert copied == ("PreconditionFailed", 412)
    assert body(s3, bucket, "whole") == old
    assert s3.head_object(Bucket=bucket, Key="whole")["ETag"] == before
    assert refusal(s3.put_object, Bucket=bucket, Key="none", Body=new, ContentMD5=wrong) == ("BadDigest", 400)
    assert refusal(s3.get_object, Bucket=bucket, Key="none") == ("NoSuchKey", 404)
    s3.put_object(**put)
    assert body(s3, bucket, "whole") == new


def test_an_object_has_a_crc64_of_all_its_bytes(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html"""
    s3.put_object(Bucket=bucket, Key="crc", Body=b"123456789")
    head = s3.head_object(Bucket=bucket, Key="crc", ChecksumMode="ENABLED")
    # The check value of CRC-64/NVME: https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-64-nvme
    assert base64.b64decode(head["ChecksumCRC64NVME"]).hex() == "ae8b14860a799888"
    assert head["ChecksumType"] == "FULL_OBJECT"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="crc-parts")["UploadId"]
    pieces = [b"1" * (5 << 20), b"2"]
    parts = []
    for number, piece in enumerate(pieces, 1):
        place = {"Bucket": bucket, "Key": "crc-parts", "UploadId": upload, "PartNumber": number}
        parts.append({"PartNumber": number, "ETag": s3.upload_part(**place, Body=piece)["ETag"]})
    done = {"Bucket": bucket, "Key": "crc-parts", "UploadId": upload, "MultipartUpload": {"Parts": parts}}
    s3.complete_multipart_upload(**done)
    s3.put_object(Bucket=bucket, Key="crc-whole", Body=b"".join(pieces))
    heads = [s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED") for key in ("crc-parts", "crc-whole")]
    assert heads[0]["ChecksumCRC64NVME"] == heads[1]["ChecksumCRC64NVME"]
    assert heads[0]["ETag"] != heads[1]["ETag"]
    assert [head["ChecksumType"] for head in heads] == ["FULL_OBJECT"] * 2


def in_parts(s3: Any, bucket: str, key: str, content: bytes, **options: Any) -> dict[str, Any]:
    """Uploads content in parts of 5 MiB; S3's answer."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]
    place, size, parts = {"Bucket": bucket, "Key": key, "UploadId": upload}, 5 << 20, []
    for number, start in enumerate(range(0, len(content), size), 1):
        part = s3.upload_part(**place, PartNumber=number, Body=content[start : start + size])
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    answer: dict[str, Any] = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    return answer


def test_the_same_bytes_have_one_crc64_however_they_came_and_an_etag_for_each_encryption(s3: Any, bucket: str) -> None:
    """An ETag is a digest of the bytes only without encryption or with SSE-S3, and then not of an upload in parts.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (ETag),
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html (CRC64NVME)
    """
    content, kms = b"x" * ((5 << 20) + 1), {"ServerSideEncryption": "aws:kms"}
    ways = {
        "put": s3.put_object(Bucket=bucket, Key="put", Body=content),
        "again": s3.put_object(Bucket=bucket, Key="again", Body=content),
        "kms": s3.put_object(Bucket=bucket, Key="kms", Body=content, **kms),
        "kms-again": s3.put_object(Bucket=bucket, Key="kms-again", Body=content, **kms),
        "parts": in_parts(s3, bucket, "parts-of", content),
        "kms-parts": in_parts(s3, bucket, "kms-parts", content, **kms),
        "copy": s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/kms")["CopyObjectResult"],
        "kms-copy": s3.copy_object(Bucket=bucket, Key="kms-copy", CopySource=f"{bucket}/put", **kms)[
            "CopyObjectResult"
        ],
    }
    keys = [name if name != "parts" else "parts-of" for name in ways]
    heads = [s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED") for key in keys]
    assert len({(head["ChecksumCRC64NVME"], head["ChecksumType"]) for head in heads}) == 1
    etags = {name: answer["ETag"].strip('"') for name, answer in ways.items()}
    assert [head["ETag"].strip('"') for head in heads] == list(etags.values())
    digest = hashlib.md5(content).hexdigest()
    assert [name for name, etag in etags.items() if etag == digest] == ["put", "again", "copy"]
    assert len({*etags.values()}) == 6
    assert [name for name, etag in etags.items() if etag.endswith("-2")] == ["parts", "kms-parts"]
    whole = s3.get_object(Bucket=bucket, Key="kms", Range=f"bytes=0-{len(content)}", ChecksumMode="ENABLED")
    some = s3.get_object(Bucket=bucket, Key="kms", Range="bytes=0-9", ChecksumMode="ENABLED")
    assert whole["ChecksumCRC64NVME"] == heads[0]["ChecksumCRC64NVME"]
    assert "ChecksumCRC64NVME" not in some
    refs = [ObjectRef(bucket, key, "", "", len(content)) for key in keys]
    assert {Storage(s3).checksum(ref) for ref in refs} == {f"CRC64NVME:{heads[0]['ChecksumCRC64NVME']}"}
    assert (some["ETag"], some["Body"].read()) == (f'"{etags["kms"]}"', content[:10])


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_a_checksum_of_the_parts_checksums_is_composite(s3: Any, bucket: str, algorithm: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html

    One of hashes identifies the bytes; in place of a sum of sums they are read.
    """
    place, name = {"Bucket": bucket, "Key": f"composite-{algorithm}"}, f"Checksum{algorithm}"
    upload = s3.create_multipart_upload(**place, ChecksumAlgorithm=algorithm, ChecksumType="COMPOSITE")["UploadId"]
    part = s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm=algorithm)
    done = [{"PartNumber": 1, "ETag": part["ETag"], name: part[name]}]
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": done})
    head = s3.head_object(**place, ChecksumMode="ENABLED")
    assert head["ChecksumType"] == "COMPOSITE"
    assert head[name].endswith("-1")
    assert head[name] != part[name]
    read = f"SHA256:{hashlib.sha256(b'x').hexdigest()}"
    expected = f"SHA256:{head[name]}" if algorithm == "SHA256" else read
    assert Storage(s3).checksum(ObjectRef(bucket, place["Key"], "", "", 1)) == expected


def test_parts_have_a_size_an_order_and_numbers(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    place = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    one, two = (s3.upload_part(**place, PartNumber=n, Body=b"x%d" % n)["ETag"] for n in (1, 2))

    def complete(*parts: tuple[int, str]) -> tuple[str, int]:
        listed = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in parts]}
        return refusal(s3.complete_multipart_upload, **place, MultipartUpload=listed)

    for number in (0, 10_001):
        assert refusal(s3.upload_part, **place, PartNumber=number, Body=b"x") == ("InvalidArgument", 400)
    assert complete((1, one), (2, two)) == ("EntityTooSmall", 400)
    assert complete((2, two), (1, one)) == ("InvalidPartOrder", 400)
    assert complete((2, two), (2, two)) == ("InvalidPartOrder", 400)
    assert complete((2, one)) == ("InvalidPart", 400)
    assert complete((3, one)) == ("InvalidPart", 400)
    assert complete((2, two)) == ("", 200)
    assert complete((2, two)) == ("NoSuchUpload", 404)
    assert body(s3, bucket, "parts") == b"x2"


@pytest.mark.parametrize("versioned", [False, True])
def test_writes_and_deletes_with_a_condition(s3: Any, versioned: bool) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html and conditional-deletes.html"""
    bucket = f"cond-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    if versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    failed = ("PreconditionFailed", 412)
    assert refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*") == failed
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=first)["ETag"]
    assert refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"3", IfMatch=first) == failed
    assert refusal(s3.put_object, Bucket=bucket, Key="none", Body=b"3", IfMatch=first) == ("NoSuchKey", 404)
    assert refusal(s3.delete_object, Bucket=bucket, Key="k", IfMatch=first) == failed
    assert refusal(s3.delete_object, Bucket=bucket, Key="none", IfMatch="*") == ("NoSuchKey", 404)
    s3.put_object(Bucket=bucket, Key="other", Body=b"o")
    wanted = [{"Key": "k", "ETag": first}, {"Key": "other"}, {"Key": "none", "ETag": "*"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [one["Key"] for one in answer["Deleted"]] == ["other"]
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("k", "PreconditionFailed"), ("none", "NoSuchKey")]
    assert body(s3, bucket, "k") == b"2"
    assert refusal(s3.delete_object, Bucket=bucket, Key="k", IfMatch=second) == ("", 200)
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert refusal(s3.delete_object, Bucket=bucket, Key="k", IfMatch="*") == ("NoSuchKey", 404)


def test_an_upload_in_parts_with_a_condition(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html (409 after a change meanwhile)"""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="race")["UploadId"]
    place = {"Bucket": bucket, "Key": "race", "UploadId": upload}
    part = {"PartNumber": 1, "ETag": s3.upload_part(**place, PartNumber=1, Body=b"mine")["ETag"]}
    theirs = s3.put_object(Bucket=bucket, Key="race", Body=b"theirs")["ETag"]
    done = place | {"MultipartUpload": {"Parts": [part]}}
    assert refusal(s3.complete_multipart_upload, **done, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refusal(s3.complete_multipart_upload, **done, IfMatch='"x"') == ("PreconditionFailed", 412)
    assert refusal(s3.complete_multipart_upload, **done, IfMatch=theirs) == ("ConditionalRequestConflict", 409)
    assert body(s3, bucket, "race") == b"theirs"


def status(url: str, data: bytes | None = None, **headers: str) -> int:
    try:
        with urlopen(Request(url, data=data, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_presigned_url_that_expired_or_was_altered_is_refused(engine: Engine, bucket: str, version: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html"""
    s3 = engine.client("s3", s3={"addressing_style": "path"}, signature_version=version)
    s3.put_object(Bucket=bucket, Key="signed", Body=b"x")
    s3.put_object(Bucket=bucket, Key="secret", Body=b"y")

    def url(seconds: int) -> str:
        signed: str = s3.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "signed"}, ExpiresIn=seconds
        )
        return signed

    assert status(url(60)) == 200
    assert status(url(60).replace("/signed?", "/secret?")) == 403
    short = url(1)
    eventually(lambda: status(short) == 403, 5, "the URL to expire")


def test_a_presigned_form_that_was_altered_is_refused(engine: Engine, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html"""
    s3 = engine.client("s3", s3={"addressing_style": "path"}, signature_version="s3v4")
    form = s3.generate_presigned_post(bucket, "form", ExpiresIn=60)

    def send(**changed: str) -> int:
        fields = form["fields"] | changed
        parts = [f'--B\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
        parts.append('--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--B--\r\n')
        head = {"Content-Type": "multipart/form-data; boundary=B"}
        return status(form["url"], "".join(parts).encode(), **head)

    wider = base64.b64encode(base64.b64decode(form["fields"]["policy"]).replace(b'"form"', b'"evil"')).decode()
    assert send(policy=wider, key="evil") == 403
    assert send(key="evil") == 403
    assert send() == 204
    assert body(s3, bucket, "form") == b"content"


def test_a_functions_presigned_url_is_signed_with_its_role(
    engine: Engine, bucket: str, function: Callable[..., Function]
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html#who-presigned-url"""
    code = (
        "import boto3\nfrom botocore.config import Config\ndef handler(event, context):\n"
        "    s3 = boto3.client('s3', config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))\n"
        "    return s3.generate_presigned_url('get_object', Params=event, ExpiresIn=60)\n"
    )
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    s3.put_object(Bucket=bucket, Key="by-role", Body=b"x")
    url = function(code, Timeout=15).invoke({"Bucket": bucket, "Key": "by-role"})["payload"]
    assert status(url) == 200
    assert status(url.replace("by-role", "by-rule")) == 403


@pytest.fixture
def no_faults_left(engine: Engine) -> Iterator[None]:
    yield
    call(engine, "DELETE", "faults")


@pytest.mark.usefixtures("no_faults_left")
def test_faults_answer_no_such_key_for_a_version_as_after_versioning_was_enabled(
    engine: Engine, s3: Any, bucket: str, function: Callable[..., Function]
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html (wait 15 minutes)"""
    s3.put_object(Bucket=bucket, Key="fresh", Body=b"x")
    code = (
        "import boto3\nfrom botocore.config import Config\nfrom botocore.exceptions import ClientError\n"
        "def handler(event, context):\n"
        "    s3 = boto3.client('s3', config=Config(s3={'addressing_style': 'path'}))\n"
        "    seen = []\n    for call in (s3.get_object, s3.head_object, s3.get_object):\n"
        "        try:\n            call(Bucket=event['bucket'], Key='fresh')\n            seen.append('found')\n"
        "        except ClientError as error:\n"
        "            seen.append([error.response['Error']['Code'], type(error).__name__])\n"
        "    return seen\n"
    )
    made = function(code, Timeout=15)
    fault = {"function": made.name, "service": "s3", "about": ["fresh"], "times": 2, "action": "error:NoSuchKey"}
    assert call(engine, "POST", "faults", fault)[0] == 201
    seen = made.invoke({"bucket": bucket})["payload"]
    assert seen == [["NoSuchKey", "NoSuchKey"], ["404", "ClientError"], "found"]


def test_the_server_header_is_the_services(s3: Any, engine: Engine) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html"""
    assert s3.list_buckets()["ResponseMetadata"]["HTTPHeaders"]["server"] == "AmazonS3"
    assert engine.client("dynamodb").list_tables()["ResponseMetadata"]["HTTPHeaders"]["server"] == "Server"


def test_an_object_needs_a_key_that_is_there_and_enabled(engine: Engine, s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"""
    kms = engine.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    encrypted = {"Bucket": bucket, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(**encrypted, Key="kept", Body=b"x")
    kms.disable_key(KeyId=key)
    assert refusal(s3.put_object, **encrypted, Key="more") == ("KMS.DisabledException", 400)
    assert refusal(s3.get_object, Bucket=bucket, Key="kept") == ("KMS.DisabledException", 400)
    kms.enable_key(KeyId=key)
    assert body(s3, bucket, "kept") == b"x"
    missing = encrypted | {"SSEKMSKeyId": key[:-36] + str(uuid.uuid4())}
    assert refusal(s3.put_object, **missing, Key="more") == ("KMS.NotFoundException", 400)
