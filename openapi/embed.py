"""Prints C source that holds the documents the binary carries: OpenAPI (YAML made JSON), default pipeline, manual page,
the tables of either database."""
import json
import sys

import yaml


def c_char(byte: int) -> str:
    """Above 127 as a character constant, which fits char whether that is signed or not."""
    return str(byte) if byte < 128 else f"'\\x{byte:02x}'"


def c_array(name: str, data: bytes) -> str:
    rows = [data[i : i + 16] for i in range(0, len(data), 16)]
    body = "\n".join("    " + " ".join(f"{c_char(byte)}," for byte in row) for row in rows)
    return f"const char {name}[] = {{\n{body}\n    0}};\nconst size_t {name}_len = {len(data)};\n"


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main(openapi_path: str, *others: str) -> None:
    with open(openapi_path, encoding="utf-8") as file:
        openapi = json.dumps(yaml.safe_load(file), separators=(",", ":"), default=str).encode()
    print('#include "clients/base/embedded.h"\n')
    print(c_array("embedded_openapi_json", openapi))
    names = ("embedded_pipeline_json", "embedded_manual", "embedded_schema_pg", "embedded_schema_sqlite")
    for name, path in zip(names, others, strict=True):
        print(c_array(name, read(path)))


main(*sys.argv[1:])
