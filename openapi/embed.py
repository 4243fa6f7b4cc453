"""Prints C source that holds the documents the binary carries: OpenAPI (YAML made JSON), default pipeline, manual page."""
import json
import sys

import yaml


def c_array(name: str, data: bytes) -> str:
    rows = [data[i : i + 16] for i in range(0, len(data), 16)]
    body = "\n".join("    " + " ".join(f"{byte}," for byte in row) for row in rows)
    return f"const char {name}[] = {{\n{body}\n    0}};\nconst size_t {name}_len = {len(data)};\n"


def main(openapi_path: str, pipeline_path: str, manual_path: str) -> None:
    with open(openapi_path, encoding="utf-8") as file:
        openapi = json.dumps(yaml.safe_load(file), separators=(",", ":"), default=str).encode()
    with open(pipeline_path, "rb") as file:
        pipeline = file.read()
    with open(manual_path, "rb") as file:
        manual = file.read()
    print('#include "clients/base/embedded.h"\n')
    print(c_array("embedded_openapi_json", openapi))
    print(c_array("embedded_pipeline_json", pipeline))
    print(c_array("embedded_manual", manual))


main(*sys.argv[1:])
