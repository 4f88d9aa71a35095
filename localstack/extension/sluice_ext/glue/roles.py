"""Whether Glue may assume the role that a job or a crawler is given.

https://docs.aws.amazon.com/glue/latest/dg/create-an-iam-role.html
"""

from typing import Final

from sluice_ext.glue.common import role_arn
from sluice_ext.iam import trust

SERVICE: Final = "glue.amazonaws.com"


def assumable(role: str, account: str, must_exist: bool = False) -> bool:
    """Whether the role (an ARN or a name) lets Glue assume it.

    One that does not exist does where policies are not enforced, unless it must exist.
    """
    return trust.assumable(role_arn(role, account), account, (SERVICE,), must_exist)
