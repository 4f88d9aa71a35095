"""Errors of both APIs. https://docs.aws.amazon.com/redshift-data/latest/APIReference/CommonErrors.html"""

from localstack.aws.api import CommonServiceException


def _error(code: str, message: str, status: int = 400) -> CommonServiceException:
    error = CommonServiceException(code, message, status, True)
    # The model of one API names it Message, that of the other message.
    error.Message = message
    return error


def invalid(message: str) -> CommonServiceException:
    """ValidationException."""
    return _error("ValidationException", message)


def conflict(message: str) -> CommonServiceException:
    """ConflictException."""
    return _error("ConflictException", message)


def missing(message: str, name: str) -> CommonServiceException:
    """ResourceNotFoundException."""
    error = _error("ResourceNotFoundException", message)
    error.resourceName = error.ResourceId = name
    return error


def denied(message: str) -> CommonServiceException:
    """AccessDeniedException."""
    return _error("AccessDeniedException", message)


def named(code: str, message: str) -> CommonServiceException:
    """Another exception of the API, by its name."""
    return _error(code, message)
