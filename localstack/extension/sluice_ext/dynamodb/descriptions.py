"""What DescribeTable and the changes of a table answer.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html

moto describes a table without its id, with a BillingModeSummary also when it is provisioned, with empty lists of
indexes, indexes without ARN and sizes, with a warm throughput also in the answer of a change that gave none, and with
the id of a KMS key where AWS has its ARN. Replaced: `Table.describe`.
"""

import time
import uuid
from typing import Any, Final

from moto.dynamodb.models.table import Table

from sluice_ext.dynamodb import encryption
from sluice_ext.dynamodb.tables import backend_of
from sluice_ext.patching import replace

_INDEXES: Final = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
_ON_DEMAND_WARMTH: Final = (12_000, 4_000)
_installed = False


def install() -> None:
    """Replace it, once; raises UnexpectedEngine when moto is not the version we know."""
    global _installed  # a service may be made again in one process
    if _installed:
        return
    _installed = True
    encryption.install()

    def describe(self: Any, base_key: str = "TableDescription") -> dict[str, Any]:
        status = "ACTIVE" if base_key == "Table" else "CREATING" if _is_there(self) else "DELETING"
        return {base_key: _as_aws(self, original(self, base_key)[base_key], status)}

    original = replace(Table, "describe", describe, expect="(self, base_key)")


def as_updated(table: Any) -> dict[str, Any]:
    """UpdateTable's answer."""
    return {"TableDescription": _as_aws(table, table.describe("Table")["Table"], "UPDATING")}


def _is_there(table: Any) -> bool:
    """Whether an answer of a change is that of a table which is made or restored, and not of a deleted one."""
    return backend_of(table.account_id, table.region_name).tables.get(table.name) is table


def _as_aws(table: Any, found: dict[str, Any], status: str) -> dict[str, Any]:
    """moto's description as AWS has it; ``status``: ACTIVE in DescribeTable, another in the answer of a change.

    The answer of a change is that of a table which changes, though the change is done: clients wait on AWS, too.
    """
    if "sluice_id" not in vars(table):
        table.sluice_id = str(uuid.uuid4())
    found |= {"TableId": table.sluice_id, "TableStatus": status}
    on_demand, is_new = table.billing_mode == "PAY_PER_REQUEST", status in ("CREATING", "DELETING")
    if not on_demand:
        found.pop("BillingModeSummary", None)
    elif not is_new:
        found["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = found["CreationDateTime"]
    if is_new:
        _leave_out_usual_warmth(found, on_demand)
    for name in _INDEXES:
        if not found.get(name):
            found.pop(name, None)
            continue
        for index in found[name]:
            if is_new:
                _leave_out_usual_warmth(index, on_demand)
                if "IndexStatus" in index:
                    index["IndexStatus"] = status
            index |= {"IndexArn": f"{table.table_arn}/index/{index['IndexName']}", "IndexSizeBytes": 0, "ItemCount": 0}
            if "ProvisionedThroughput" in index:
                index["ProvisionedThroughput"] = {"NumberOfDecreasesToday": 0} | index["ProvisionedThroughput"]
    if "SSEDescription" in found:
        found["SSEDescription"]["KMSMasterKeyArn"] = encryption.arn(table, found["SSEDescription"]["KMSMasterKeyArn"])
    if "sluice_class" in vars(table):
        found["TableClassSummary"] = table.sluice_class
    return found


def set_class(table: Any, wanted: str) -> None:
    """The table's class, which decides about its price only."""
    changed = {"LastUpdateDateTime": time.time()} if "sluice_class" in vars(table) else {}
    table.sluice_class = {"TableClass": wanted} | changed


def _leave_out_usual_warmth(found: dict[str, Any], on_demand: bool) -> None:
    """Without the warm throughput that a table or an index has when none is asked for; the other is on its way."""
    warm, units = found.get("WarmThroughput"), found.get("ProvisionedThroughput") or {}
    usual = _ON_DEMAND_WARMTH if on_demand else (units.get("ReadCapacityUnits"), units.get("WriteCapacityUnits"))
    if not warm:
        return
    if (warm["ReadUnitsPerSecond"], warm["WriteUnitsPerSecond"]) == usual:
        del found["WarmThroughput"]
    else:
        found["WarmThroughput"] = warm | {"Status": "UPDATING"}
