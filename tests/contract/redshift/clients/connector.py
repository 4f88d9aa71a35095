"""redshift_connector at a work group's endpoint; prints what it saw as JSON."""

import json
import sys

import redshift_connector

host, port, user, password, bucket, role = sys.argv[1:]
place = {"host": host, "port": int(port), "database": "dev", "user": user, "ssl": False}
seen = {}
with redshift_connector.connect(password=password, **place) as connection:
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE rows (id INT DISTKEY, name VARCHAR(9)) SORTKEY (id)")
    cursor.execute("INSERT INTO rows VALUES (%s, %s), (2, NULL)", (1, "a'b"))
    connection.rollback()
    cursor.execute("CREATE TABLE rows (id INT DISTKEY, name VARCHAR(9)) SORTKEY (id)")
    cursor.execute("INSERT INTO rows VALUES (%s, %s), (2, NULL)", (1, "a'b"))
    connection.commit()
    cursor.execute(
        "SELECT id, NVL(name, 'none'), DATEADD(day, 1, '2024-01-31') FROM rows WHERE id <= %s ORDER BY 1", (2,)
    )
    seen["rows"] = [[row[0], row[1], str(row[2])] for row in cursor.fetchall()]
    seen["names"] = [one[0] for one in cursor.description]
    cursor.execute(f"UNLOAD ('SELECT * FROM rows') TO 's3://{bucket}/c/' IAM_ROLE '{role}' FORMAT AS PARQUET")
    cursor.execute(f"COPY rows FROM 's3://{bucket}/c/' IAM_ROLE '{role}' FORMAT AS PARQUET")
    connection.rollback()
    cursor.execute("SELECT COUNT(*) FROM rows")
    seen["undone"] = cursor.fetchone()[0]
    cursor.execute(f"COPY rows FROM 's3://{bucket}/c/' IAM_ROLE '{role}' FORMAT AS PARQUET")
    connection.commit()
    cursor.execute("SELECT COUNT(*), SUM(id) FROM rows")
    seen["copied"] = list(cursor.fetchone())
    seen["refused"] = []
    for text in ("SELECT nosuch FROM rows", "CREATE EXTERNAL SCHEMA x FROM DATA CATALOG", "SELEC 1"):
        try:
            cursor.execute(text)
        except redshift_connector.Error as error:
            seen["refused"].append(error.args[0]["M"])
            connection.rollback()
    seen["frame"] = cursor.execute("SELECT id FROM rows").fetch_dataframe()["id"].tolist()
    seen["tables"] = [list(row[:3]) for row in cursor.get_tables()]
try:
    redshift_connector.connect(password="wrong", **place)
except redshift_connector.Error as error:
    seen["wrong"] = str(error)
print(json.dumps(seen))
