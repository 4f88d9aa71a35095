"""What users do with awswrangler's Data API for Redshift, unchanged; prints what it saw as JSON."""

import json
import sys

import awswrangler as wr
import pandas as pd

workgroup, secret, bucket, role = sys.argv[1:]
con = wr.data_api.redshift.connect(workgroup_name=workgroup, database="dev", secret_arn=secret)
ask = wr.data_api.redshift.read_sql_query
frame = pd.DataFrame(
    {
        "id": pd.array([1, 2, None], dtype="Int64"),
        "name": ["a", "b", None],
        "amount": [1.5, 2.5, None],
        "at": pd.to_datetime(["2020-01-01 01:02:03.456"] * 3).astype("datetime64[us]"),
        "ok": [True, False, True],
    }
)
wr.s3.to_parquet(frame, path=f"s3://{bucket}/in/a.parquet", index=False)
seen = {}
seen["created"] = len(
    ask(
        "CREATE TABLE trips (id BIGINT, name VARCHAR(10), amount DOUBLE PRECISION, at TIMESTAMP, ok BOOLEAN) "
        "DISTKEY (id) SORTKEY (at)",
        con=con,
    )
)
ask(f"COPY trips FROM 's3://{bucket}/in/' IAM_ROLE '{role}' FORMAT AS PARQUET", con=con)
rows = ask("SELECT id, name, amount, ok, at::varchar FROM trips ORDER BY id", con=con)
seen["rows"] = json.loads(rows.to_json(orient="records"))
seen["names"] = list(rows.columns)
counted = ask("SELECT ok, COUNT(*) AS n, SUM(amount) AS total FROM trips GROUP BY 1 ORDER BY 1", con=con)
seen["counted"] = json.loads(counted.to_json(orient="records"))
seen["named"] = ask("SELECT id FROM trips WHERE name = :name", con=con, parameters=[{"name": "name", "value": "b"}])[
    "id"
].tolist()
seen["many"] = len(ask("SELECT generate_series(1, 2500) AS n", con=con))
ask(f"UNLOAD ('SELECT * FROM trips') TO 's3://{bucket}/out/' IAM_ROLE '{role}' FORMAT AS PARQUET", con=con)
seen["unloaded"] = json.loads(
    wr.s3.read_parquet(f"s3://{bucket}/out/")
    .sort_values("id")[["id", "name", "amount", "ok"]]
    .to_json(orient="records")
)
try:
    ask("SELECT nosuch FROM trips", con=con)
except Exception as error:  # noqa: BLE001 - the client has a class of its own for it
    seen["refused"] = str(error)
print(json.dumps(seen))
