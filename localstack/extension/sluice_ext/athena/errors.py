"""Athena's errors. https://docs.aws.amazon.com/athena/latest/APIReference/CommonErrors.html"""

from localstack.aws.api import CommonServiceException


class InvalidRequestException(CommonServiceException):  # type: ignore[misc]
    """As the API's model names it, with an AthenaErrorCode."""

    def __init__(self, message: str, error_code: str) -> None:
        super().__init__("InvalidRequestException", message, 400, True)
        self.AthenaErrorCode = error_code


def invalid(message: str, error_code: str = "INVALID_INPUT") -> InvalidRequestException:
    """InvalidRequestException: the request, or the query in it, is wrong."""
    return InvalidRequestException(message, error_code)


def missing(message: str, name: str) -> CommonServiceException:
    """ResourceNotFoundException."""
    error = CommonServiceException("ResourceNotFoundException", message, 400, True)
    error.ResourceName = name
    return error


def missing_metadata(message: str) -> CommonServiceException:
    """MetadataException: the catalog has no such database or table."""
    code = "Error Code: EntityNotFoundException"
    source = f"(Service: AmazonDataCatalog; Status Code: 400; {code}; Request ID: none; Proxy: null)"
    return CommonServiceException("MetadataException", f"{message} {source}", 400, True)
