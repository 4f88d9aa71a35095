"""What users do with PyAthena, unchanged: cursors and SQLAlchemy; prints what it saw as JSON."""

import json
import os
import sys
from urllib.parse import quote_plus

from pyathena import connect
from pyathena.error import OperationalError
from pyathena.pandas.cursor import PandasCursor
from sqlalchemy import MetaData, Table, create_engine, func, inspect, select

bucket, database = sys.argv[1:]
results = f"s3://{bucket}/results/"
options = {"s3_staging_dir": results, "schema_name": database, "region_name": "us-east-1"}
seen = {}
cursor = connect(**options).cursor()
cursor.execute(
    f"create table t with (external_location = 's3://{bucket}/t/', partitioned_by = array['kind']) as "
    "select * from (values (1, 'a', 1.5, date '2020-01-01', array[1, 2], 'x'), (2, null, null, null, null, 'y')) "
    "as v(id, name, amount, day, tags, kind)"
)
seen["rows"] = cursor.execute("select * from t order by id").fetchall()
seen["types"] = [column[1] for column in cursor.description]
seen["named"] = cursor.execute("select id from t where name = %(n)s", {"n": "a"}).fetchall()
seen["marks"] = cursor.execute("select id from t where name = ?", ["'a'"], paramstyle="qmark").fetchall()
seen["pages"] = len(cursor.execute("select x from unnest(sequence(1, 2500)) as s(x)").fetchall())
try:
    cursor.execute("select nosuch from t")
except OperationalError as error:
    seen["refused"] = str(error)
pandas = connect(**options, cursor_class=PandasCursor)
seen["pandas"] = pandas.cursor().execute("select id, name from t order by id").as_pandas()["id"].tolist()
seen["unload"] = sorted(pandas.cursor(unload=True).execute("select id, name from t").as_pandas()["id"].tolist())

endpoint = quote_plus(os.environ["AWS_ENDPOINT_URL"])
place = "test:test@athena.us-east-1.amazonaws.com:443"
engine = create_engine(
    f"awsathena+rest://{place}/{database}?s3_staging_dir={quote_plus(results)}&endpoint_url={endpoint}"
)
found = inspect(engine)
seen["tables"] = found.get_table_names()
seen["columns"] = [(one["name"], str(one["type"])) for one in found.get_columns("t")]
seen["missing"] = found.has_table("nosuch")
table = Table("t", MetaData(), autoload_with=engine)
with engine.connect() as connection:
    seen["count"] = connection.execute(select(func.count()).select_from(table)).scalar()
    seen["where"] = [list(row) for row in connection.execute(select(table.c.id).where(table.c.name == "a"))]
print(json.dumps(seen, default=str))
