"""The lake's tables as they are planned: the views of newest rows mean what the other engines' views mean."""

import base64
import json

import pytest

from sluice_pipeline.catalog.current import current_name, current_select
from sluice_pipeline.catalog.document import parse_deployed
from tests.infra.planning import ARTIFACTS, ENVS, offline_plan

TABLES = "module.lake[0].aws_glue_catalog_table"
CATALOG = parse_deployed((ARTIFACTS / "datasets.json").read_bytes())
KEYED = sorted(name for name, dataset in CATALOG.datasets.items() if dataset.key)


@pytest.mark.parametrize("name", KEYED)
def test_athenas_view_of_newest_rows_is_the_select_of_the_other_engines(name: str) -> None:
    tables = offline_plan(ENVS / "dev.tfvars").resources("aws_glue_catalog_table")
    view = tables[f'{TABLES}.current["{name}"]']
    assert (view["name"], view["table_type"]) == (current_name(name), "VIRTUAL_VIEW")
    text = view["view_original_text"]
    stored = json.loads(base64.b64decode(text.removeprefix("/* Presto View: ").removesuffix(" */")))
    columns = [column["name"] for column in stored["columns"]]
    assert stored["originalSql"] == current_select(
        CATALOG.datasets[name],
        columns,
        source=f'"{name}"',
        arrivals='"sluice_dev_ledger"."objects"',
        object_id="split_part(_record_id, '-', 1)",
        has=columns,
    )
    assert (stored["catalog"], stored["schema"]) == ("awsdatacatalog", view["database_name"])
    # The columns of the table and its partition; names and types are said twice, once in Presto's words.
    table = tables[f'{TABLES}.dataset["{name}"]']["storage_descriptor"][0]["columns"]
    assert sorted(columns) == sorted([*(column["name"] for column in table), "dt"])
    shown = [(column["name"], column["type"]) for column in view["storage_descriptor"][0]["columns"]]
    assert [(column["name"], column["type"].replace("varchar", "string")) for column in stored["columns"]] == shown
