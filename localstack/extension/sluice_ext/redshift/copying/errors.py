"""COPY and UNLOAD that fail, in Redshift's words."""

import random

from botocore.exceptions import ClientError

from sluice_ext.redshift.sql.errors import Refused

# https://docs.aws.amazon.com/redshift/latest/dg/r_Load_Error_Reference.html
EXTRA, TOO_LONG, BAD_DATE, BAD_TIMESTAMP, INVALID_DIGIT, OVERFLOW = 1202, 1204, 1205, 1206, 1207, 1208
BAD_BOOLEAN, MISSING, DELIMITER_NOT_FOUND, BAD_JSON, BAD_TEXT = 1210, 1213, 1214, 1216, 1220


class LoadFailed(Refused):
    """COPY loaded nothing; the message is the statement's error."""


def check_system_table(table: str) -> LoadFailed:
    return LoadFailed(
        f"ERROR: Load into table '{table}' failed.  Check 'sys_load_error_detail' system table for details."
    )


def spectrum(context: str, code: int, query_id: int) -> LoadFailed:
    """What is wrong with a columnar file."""
    line = "-----------------------------------------------"
    return LoadFailed(
        f"ERROR: Spectrum Scan Error\n  Detail: \n  {line}\n  error:  Spectrum Scan Error\n  code:      {code}\n"
        f"  context:   {context}\n  query:     {query_id}\n  location:  dory_util.cpp:1615\n"
        f"  process:   worker_thread [pid={random.randint(2000, 30000)}]\n  {line}\n"
    )


def storage(error: ClientError, prefix: str = "") -> LoadFailed:
    """What S3 has refused."""
    found = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    code = found.get("Code", "")
    text, code = {
        "NoSuchKey": ("The specified key does not exist.", "NoSuchKey"),
        "404": ("The specified key does not exist.", "NoSuchKey"),
        "403": ("Access Denied", "AccessDenied"),
        "AccessDenied": ("Access Denied", "AccessDenied"),
    }.get(code, (found.get("Message", "").rstrip(), code))
    request = error.response.get("ResponseMetadata", {}).get("RequestId", "")
    return LoadFailed(f"ERROR: {prefix}S3ServiceException:{text},Status {status},Error {code},Rid {request},CanRetry 1")
