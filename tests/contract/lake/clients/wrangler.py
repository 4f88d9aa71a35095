"""What users do with awswrangler, unchanged; prints what it saw as JSON. Run by test_clients.py."""

import datetime
import json
import sys

import awswrangler as wr
import pandas as pd

bucket, database = sys.argv[1:]
place, results = f"s3://{bucket}/t/", f"s3://{bucket}/results/"
frame = pd.DataFrame(
    {
        "id": [1, 2, 3],
        "name": ["a", "b", None],
        "amount": [1.5, 2.5, None],
        "at": pd.to_datetime(["2020-01-01 01:02:03.456"] * 3),
        "day": [datetime.date(2020, 1, 1)] * 3,
        "ok": [True, False, True],
        "tags": [[1, 2], [3], []],
        "kind": ["x", "y", "x"],
    }
)
seen = {}


def rows(found: pd.DataFrame) -> list:
    return json.loads(found.sort_values("id")[["id", "name", "amount", "kind"]].to_json(orient="records"))


wr.catalog.create_database(database)
wr.s3.to_parquet(
    frame, path=place, dataset=True, database=database, table="t", partition_cols=["kind"], mode="overwrite"
)
where = {"database": database, "s3_output": results}
ask = "select * from t"
seen["ctas"] = rows(wr.athena.read_sql_query(ask, ctas_approach=True, **where))
seen["csv"] = rows(wr.athena.read_sql_query(ask, ctas_approach=False, **where))
unload = {"database": database, "s3_output": f"s3://{bucket}/unload/", "unload_approach": True}
seen["unload"] = rows(wr.athena.read_sql_query(ask, ctas_approach=False, **unload))
seen["table"] = len(wr.athena.read_sql_table("t", **where))

for mode in ("append", "overwrite_partitions"):
    more = frame.assign(kind="z")
    wr.s3.to_parquet(more, path=place, dataset=True, database=database, table="t", partition_cols=["kind"], mode=mode)
seen["count"] = int(wr.athena.read_sql_query("select count(*) n from t", ctas_approach=False, **where)["n"][0])
named = wr.athena.read_sql_query("select id from t where name = :n", params={"n": "a"}, ctas_approach=False, **where)
seen["parameters"] = sorted(named["id"].tolist())
pages = wr.athena.read_sql_query(ask, chunksize=2, ctas_approach=False, **where)
seen["chunks"] = [len(page) for page in pages]

seen["types"] = wr.catalog.get_table_types(database=database, table="t")
seen["partitions"] = sorted(values[0] for values in wr.catalog.get_partitions(database=database, table="t").values())
seen["filtered"] = list(wr.catalog.get_partitions(database=database, table="t", expression="kind = 'x'").values())
seen["described"] = wr.athena.describe_table(table="t", **where)["Column Name"].tolist()
seen["repaired"] = wr.athena.repair_table("t", **where)

projected = frame.assign(on=["2020-01-01", "2020-01-02", "2020-01-02"])[["id", "on"]]
wr.s3.to_parquet(
    projected, path=f"s3://{bucket}/p/", dataset=True, database=database, table="p", partition_cols=["on"],
    athena_partition_projection_settings={
        "projection_types": {"on": "date"}, "projection_ranges": {"on": "2020-01-01,2020-01-05"},
        "projection_formats": {"on": "yyyy-MM-dd"},
    },
)  # fmt: skip
asked = wr.athena.read_sql_query("select id from p where \"on\" > '2020-01-01'", ctas_approach=False, **where)
seen["projected"] = sorted(asked["id"].tolist())

try:
    wr.athena.read_sql_query("select nosuch from t", ctas_approach=False, **where)
except wr.exceptions.QueryFailed as error:
    seen["refused"] = str(error)
seen["deleted"] = wr.catalog.delete_table_if_exists(database=database, table="t")
seen["left"] = wr.catalog.tables(database=database)["Table"].tolist()
print(json.dumps(seen))
