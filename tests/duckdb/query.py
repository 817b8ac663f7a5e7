"""Answers SQL over a DuckLake catalog: one statement a line in, one JSON list of rows a line out.

Usage: query.py CATALOG_FILE. The catalog is attached read-only.
"""

import importlib.util
import json
import pathlib
import sys

import duckdb

connection = duckdb.connect(
    config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
)
for name in ("ducklake", "sqlite_scanner"):
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    folder = pathlib.Path(package.submodule_search_locations[0])
    extension = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    connection.execute(f"LOAD '{extension}'")
connection.execute(f"ATTACH 'ducklake:sqlite:{sys.argv[1]}' AS lake (READ_ONLY)")
connection.execute("USE lake")
for statement in sys.stdin:
    try:
        rows = connection.execute(statement.strip()).fetchall()
    except duckdb.Error as error:
        rows = {"error": str(error)}
    print(json.dumps(rows, default=str), flush=True)
