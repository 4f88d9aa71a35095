"""What AWS has added to the Data API since the engine's version of botocore.

BatchExecuteStatement takes Parameters, a statement can be waited for, and a batch can commit each statement.
https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_BatchExecuteStatement.html
"""

from typing import Any

from localstack.aws.spec import loader

_WAIT = {"type": "integer", "box": True, "min": 1, "max": 30}
_NEW_INPUT: dict[str, dict[str, Any]] = {
    "ExecuteStatementInput": {"WaitTimeSeconds": "SluiceWaitSeconds"},
    "BatchExecuteStatementInput": {
        "Parameters": "SqlParametersList",
        "ExecutionMode": "SluiceExecutionMode",
        "WaitTimeSeconds": "SluiceWaitSeconds",
    },
    "DescribeStatementRequest": {"WaitTimeSeconds": "SluiceWaitSeconds"},
    "GetStatementResultRequest": {"WaitTimeSeconds": "SluiceWaitSeconds"},
    "GetStatementResultV2Request": {"WaitTimeSeconds": "SluiceWaitSeconds"},
}
_STATE = {"Status": "StatusString", "RedshiftPid": "Long", "HasResultSet": "Boolean"}
_NEW_OUTPUT: dict[str, dict[str, str]] = {
    "ExecuteStatementOutput": _STATE,
    "BatchExecuteStatementOutput": _STATE,
    "DescribeStatementResponse": {"ExecutionMode": "SluiceExecutionMode"},
}


def install() -> None:
    """Add them to the model, before anything has loaded it."""
    name = "redshift-data/2019-12-20/service-2"
    shapes = loader.load_data(name)["shapes"]
    changes: list[dict[str, Any]] = [
        {"op": "add", "path": "/shapes/SluiceWaitSeconds", "value": _WAIT},
        {
            "op": "add",
            "path": "/shapes/SluiceExecutionMode",
            "value": {"type": "string", "enum": ["TRANSACTION", "AUTO_COMMIT"]},
        },
    ]
    for shape, members in (_NEW_INPUT | _NEW_OUTPUT).items():
        for member, kind in members.items():
            if member not in shapes[shape]["members"]:
                path = f"/shapes/{shape}/members/{member}"
                changes.append({"op": "add", "path": path, "value": {"shape": kind}})
    loader.patches[name] = changes
    loader._cache.clear()
