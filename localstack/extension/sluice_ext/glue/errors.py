"""Glue's errors. https://docs.aws.amazon.com/glue/latest/webapi/CommonErrors.html"""

from localstack.aws.api import CommonServiceException


def named(code: str, message: str) -> CommonServiceException:
    """An exception of Glue by its name."""
    return CommonServiceException(code, message, 400, True)


def not_found(message: str) -> CommonServiceException:
    """EntityNotFoundException."""
    return named("EntityNotFoundException", message)


def exists(message: str) -> CommonServiceException:
    """AlreadyExistsException."""
    return named("AlreadyExistsException", message)


def invalid(message: str) -> CommonServiceException:
    """InvalidInputException."""
    return named("InvalidInputException", message)


def concurrent(message: str) -> CommonServiceException:
    """ConcurrentModificationException."""
    return named("ConcurrentModificationException", message)


def too_many(message: str) -> CommonServiceException:
    """ResourceNumberLimitExceededException."""
    return named("ResourceNumberLimitExceededException", message)
