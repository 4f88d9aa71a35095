"""Glue job (Python shell): the public file of a month, as it is, in raw/.

It is downloaded in ranges, so that a broken connection costs a part of it; the ranges are of one version of the file.
It becomes visible by one PutObject, under the SHA-256 of its content, so the same content is one object. The report is
written last: ``published`` is false where the source has no such month yet (403 or 404), and that is no failure.

Python 3.9 and its analytics libraries: https://docs.aws.amazon.com/glue/latest/dg/add-job-python.html
"""

import base64
import hashlib
import http.client
import json
import random
import re
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
from awsglue.utils import getResolvedOptions
from botocore.config import Config
from botocore.exceptions import ClientError

ARGUMENTS = ("year", "month", "bucket", "prefix", "batch", "source_url")
FORMS = {
    "year": r"20[0-9]{2}",
    "month": r"(?:0[1-9]|1[0-2])",
    "bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "prefix": r"[a-z0-9_-]+",
    "batch": r"20[0-9]{2}-(?:0[1-9]|1[0-2])-[1-9][0-9]{0,8}",
    "source_url": r"https?://[^\s{}]+\{year\}[^\s{}]*\{month\}[^\s{}]*",
}
RANGE_BYTES = 16 * 2**20
# One PutObject takes 5 GB; a month has 50 to 100 MB.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_BYTES = 5 * 10**9
TRIES = 8  # without a byte of progress
VERSIONS = 3  # of a file that changes while it is read
SECONDS = 60  # of silence
MAGIC = b"PAR1"
NOT_PUBLISHED = (403, 404)  # a bucket that may not be listed answers 403 for what is not there
PASSES = (408, 425, 429, 500, 502, 503, 504)


class IngestFailed(Exception):
    """Says what is wrong with the source."""


class NotPublished(Exception):
    """The source has no file of this month."""


class Changed(Exception):
    """The file is another one than at the first range."""


def checked(given):
    """The arguments. They become parts of keys and of a URL, so each has exactly the form that it must have."""
    for name, form in FORMS.items():
        if not re.fullmatch(form, given[name]):
            raise IngestFailed(f"--{name} {given[name]!r} is not valid")
    if not given["batch"].startswith("{year}-{month}-".format(**given)):
        raise IngestFailed("--batch {batch} is not of {year}-{month}".format(**given))
    return given


# -- download ----------------------------------------------------------------------------------------------------------


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other, and is refused: it may lead anywhere, also to a page of a login."""

    def redirect_request(self, *_args):
        return None


class Source:
    """A file behind a URL."""

    def __init__(self, url, wait=time.sleep):
        self.url = url
        self._wait = wait
        self._opener = urllib.request.build_opener(NoRedirect)
        self.etag = None
        self.size = None

    def download(self, file):
        """Fill the file. Raises NotPublished, or IngestFailed."""
        for _ in range(VERSIONS):
            self.etag = self.size = None
            file.seek(0)
            file.truncate()
            try:
                return self._ranges(file)
            except Changed:
                continue
        raise IngestFailed(f"{self.url} changed {VERSIONS} times while it was read")

    def _ranges(self, file):
        failures, why = 0, None
        while self.size is None or file.tell() < self.size:
            before = file.tell()
            try:
                self._range(file)
            except (OSError, http.client.HTTPException) as error:
                why = f"{type(error).__name__}: {error}"
            failures = 0 if file.tell() > before else failures + 1
            if failures == TRIES:
                raise IngestFailed(f"{self.url} cannot be read from byte {before} on: {why}")
            if failures:
                self._wait(random.uniform(0, min(30, 2**failures)))

    def _range(self, file):
        """Ask for the next range, and write what comes of it; a connection that breaks raises OSError or HTTPException.

        https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
        """
        begin = file.tell()
        headers = {"Range": f"bytes={begin}-{begin + RANGE_BYTES - 1}", "Accept-Encoding": "identity"}
        if self.etag and not self.etag.startswith("W/"):  # If-Match never matches a weak one
            headers["If-Match"] = self.etag
        request = urllib.request.Request(self.url, headers=headers)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                expected = self._expected(answer, begin, file)
                self._copy(answer, file, expected)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, begin)

    def _refused(self, error, begin):
        if error.code in NOT_PUBLISHED and begin == 0:
            raise NotPublished(f"{self.url}: {error.code} {error.reason}") from None
        if (error.code == 412 and self.etag) or (error.code == 416 and begin):
            raise Changed from None
        if error.code == 416 and error.headers.get("Content-Range") == "bytes */0":
            raise IngestFailed(f"{self.url} has 0 bytes") from None
        if error.code in PASSES:
            raise OSError(f"{error.code} {error.reason}") from None
        to = error.headers.get("Location")
        where = f" to {to}, which is not followed" if to else ""
        raise IngestFailed(f"{self.url} answers {error.code}{where}") from None

    def _expected(self, answer, begin, file):
        """The number of bytes that the answer has. Raises Changed, IngestFailed."""
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise IngestFailed(f"{self.url} is sent as {encoding}, which was not asked for")
        etag, range_of = answer.headers.get("ETag"), answer.headers.get("Content-Range", "")
        length = answer.headers.get("Content-Length", "")
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", range_of)
        if answer.status == 206 and found:
            first, last, size = (int(number) for number in found.groups())
            if not first <= last < size:
                raise IngestFailed(f"{self.url} answers a range that cannot be: {range_of}")
        elif answer.status == 200 and length.isdigit():
            first, last, size = 0, int(length) - 1, int(length)  # a server without ranges sends all of it
        else:
            raise IngestFailed(f"{self.url} does not say how long it is")
        if self.size is not None and (size, etag) != (self.size, self.etag):
            raise Changed
        if not 0 < size <= MAX_BYTES:
            raise IngestFailed(f"{self.url} has {size} bytes" + (f", more than {MAX_BYTES}" if size else ""))
        if answer.status == 200:
            file.seek(0)  # all of it comes again
        elif first != begin:
            raise IngestFailed(f"{self.url} answers bytes {first} to {last} instead of those from {begin}")
        self.size, self.etag = size, etag
        return last - first + 1

    def _copy(self, answer, file, expected):
        """Raises OSError when fewer bytes come; more are not read."""
        while expected:
            part = answer.read(min(expected, 2**20))
            if not part:
                raise OSError(f"the connection ended {expected} bytes early")
            file.write(part)
            expected -= len(part)


# -- what it is --------------------------------------------------------------------------------------------------------


def rows_of(file, url):
    """The number of rows. Raises IngestFailed: it is no whole Parquet file.

    https://parquet.apache.org/docs/file-format/
    """
    import pyarrow.parquet

    size = file.seek(0, 2)
    file.seek(0)
    begins = file.read(len(MAGIC))
    file.seek(max(0, size - len(MAGIC)))
    if begins != MAGIC or file.read() != MAGIC or size < 12:
        raise IngestFailed(f"{url} is no Parquet file: it has {size} bytes and begins with {begins!r}")
    try:
        return pyarrow.parquet.ParquetFile(file).metadata.num_rows
    except (OSError, ValueError) as error:
        raise IngestFailed(f"{url} is no readable Parquet file: {error}") from None


def sha256_of(file):
    file.seek(0)
    digest = hashlib.sha256()
    for part in iter(lambda: file.read(2**20), b""):
        digest.update(part)
    return digest


# -- S3 ----------------------------------------------------------------------------------------------------------------


def has(s3, bucket, key, size, checksum):
    """Whether the object is there, whole. https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"""
    try:
        found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return found["ContentLength"] == size and found.get("ChecksumSHA256") == checksum


def upload(s3, bucket, key, file, checksum):
    """One PutObject, which S3 refuses when another content arrives than was meant."""
    size = file.seek(0, 2)
    if not has(s3, bucket, key, size, checksum):
        file.seek(0)
        s3.put_object(Bucket=bucket, Key=key, Body=file, ContentLength=size, ChecksumSHA256=checksum)


def report_key(given):
    return "reports/ingest/{year}-{month}/{batch}.json".format(**given)


def ingest(given, s3, wait=time.sleep):
    """The report. Raises IngestFailed."""
    source = Source(given["source_url"].replace("{year}", given["year"]).replace("{month}", given["month"]), wait)
    done = {"batch": given["batch"], "published": False, "source_url": source.url}
    with tempfile.TemporaryFile() as file:
        try:
            source.download(file)
        except NotPublished as error:
            done["answer"] = str(error)
        else:
            rows, digest = rows_of(file, source.url), sha256_of(file)
            key = "raw/{prefix}/year={year}/month={month}/{sha256}.parquet".format(sha256=digest.hexdigest(), **given)
            upload(s3, given["bucket"], key, file, base64.b64encode(digest.digest()).decode())
            done.update(published=True, key=key, bytes=source.size, sha256=digest.hexdigest(), rows=rows)
            done.update(etag=source.etag)
    body = json.dumps(done, sort_keys=True, indent=1).encode()
    s3.put_object(Bucket=given["bucket"], Key=report_key(given), Body=body, ContentType="application/json")
    return done


def main():
    given = checked(getResolvedOptions(sys.argv, list(ARGUMENTS)))
    config = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=5, read_timeout=60)
    print(json.dumps(ingest(given, boto3.client("s3", config=config))))


if __name__ == "__main__":
    main()
