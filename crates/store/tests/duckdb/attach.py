"""Attaches a catalog read-only and answers SQL: one statement a line in, one JSON line out.

Each answer is {"rows": [...]} or {"error": "..."}. Doubles of a statement after "BITS " are given as the hexadecimal
digits of their bytes: JSON has no NaN, and one NaN is not the other. The first line out is {"rows": []} once the catalog
is attached. Usage: attach.py CATALOG_FILE
"""

import json
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import duckdb

DUCKDB_VERSION = "1.5.5"


def extension(package, name):
    folder = Path(find_spec(package).submodule_search_locations[0])
    return folder / "extensions" / f"v{DUCKDB_VERSION}" / f"{name}.duckdb_extension"


def plain(value):
    return value.hex() if isinstance(value, bytes) else str(value)


def bits(value):
    return struct.pack(">d", value).hex() if isinstance(value, float) else value


def answer(connection, statement):
    try:
        rows = connection.execute(statement.removeprefix("BITS ")).fetchall()
        if statement.startswith("BITS "):
            rows = [[bits(value) for value in row] for row in rows]
        return {"rows": rows}
    except duckdb.Error as error:
        return {"error": f"{statement}: {error}"}


def main():
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    connection.execute(f"LOAD '{extension('duckdb_extension_ducklake', 'ducklake')}'")
    connection.execute(f"LOAD '{extension('duckdb_extension_sqlite_scanner', 'sqlite_scanner')}'")
    connection.execute(f"ATTACH 'ducklake:sqlite:{sys.argv[1]}' AS lake (READ_ONLY)")
    connection.execute("USE lake")
    print(json.dumps({"rows": []}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(connection, line.strip()), default=plain), flush=True)


main()
