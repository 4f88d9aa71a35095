"""What the warehouse's migration gets from Terraform."""

import hashlib
import json
from typing import Any

from tests.infra.planning import INFRA


def test_the_migration_gets_the_databases_certificates_and_runs_again_with_others(
    mocked_resources: dict[str, dict[str, Any]],
) -> None:
    migration = mocked_resources["module.warehouse[0].aws_lambda_invocation.migrate"]["values"]
    certificates = (INFRA / "tests/authority.pem").read_text()
    assert json.loads(migration["input"]) == {"certificates": certificates}
    assert migration["triggers"]["certificates"] == hashlib.sha256(certificates.encode()).hexdigest()
