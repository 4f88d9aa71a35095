"""What is refused before PostgreSQL sees it, and PostgreSQL's errors in Redshift's words."""

import psycopg


class Refused(Exception):
    """A statement that does not run; the message is what the caller sees."""


class Malformed(Refused):
    """The text is not SQL."""


class Unsupported(Refused):
    """Redshift knows the construct, and here it has no equal."""

    def __init__(self, construct: str, message: str = "") -> None:
        super().__init__(message or f"ERROR: {construct} is not supported by this engine")
        self.construct = construct


def wording(error: psycopg.Error) -> str:
    """An error as Redshift shows it: ``ERROR: relation "x" does not exist``, with its detail and hint."""
    detail = error.diag
    message = f"ERROR: {detail.message_primary or str(error).strip()}"
    # https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html
    if detail.sqlstate == "21000" and "MERGE" in message:
        return "ERROR: Found multiple matches to update the same tuple."
    if detail.sqlstate == "22001":
        message = "ERROR: Value too long for character type"
    for label, text in (("Detail", detail.message_detail), ("Hint", detail.message_hint)):
        if text:
            message += f"\n  {label}: {text}"
    return message
