"""What an error of a service says."""

from botocore.exceptions import ClientError


def code_of(error: ClientError) -> str:
    """The service's name for an error: ``NoSuchKey``, ``ConditionalCheckFailedException``, ..."""
    return str(error.response.get("Error", {}).get("Code"))
