"""Looks at what cloud-init is told on each planned machine.

It is held against cloud-init's own schema; the configuration in it against the keys that
docs/configuration.md has; its programs are compiled. The files are left in OUT for what else
wants to look at them (systemd-analyze, hostquorumd validate).

    user_data.py SCHEMA.json CONFIGURATION.md OUT PLAN.json...
"""

import base64
import gzip
import json
import pathlib
import re
import sys
import tomllib

import jsonschema
import yaml

import plan

# What EC2 takes.
BYTES_MAX = 16 * 1024


def content(file):
    if file.get("encoding") == "gz+b64":
        return gzip.decompress(base64.b64decode(file["content"])).decode()
    return file["content"]


def documented(path):
    """The keys in the tables of the configuration's manual."""
    keys = set()
    for row in re.findall(r"^\| (`[^|]*) \|", pathlib.Path(path).read_text(), re.M):
        keys.update(re.findall(r"`([a-z0-9_.]+)`", row))
    return keys


def flat(table, prefix=""):
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def faults(text, validator, known, keys, out):
    if len(text.encode()) >= BYTES_MAX:
        yield f"{len(text.encode())} bytes; EC2 takes fewer than {BYTES_MAX}"
    said = yaml.safe_load(text)
    for error in validator.iter_errors(said):
        yield f"{'.'.join(map(str, error.path))}: {error.message}"
    # The schema lets unknown sections pass, and cloud-init passes over them.
    for section in said.keys() - known:
        yield f"cloud-init has no section `{section}`"
    for file in said["write_files"]:
        path, held = file["path"], content(file)
        (out / pathlib.Path(path).name).write_text(held)
        if path.endswith(".json"):
            json.loads(held)
        elif path.endswith(".toml"):
            for key in flat(tomllib.loads(held)):
                if key not in keys:
                    yield f"{path}: docs/configuration.md has no key `{key}`"
        elif held.startswith("#!/usr/bin/env python3"):
            compile(held, path, "exec")


def main():
    schema, manual, out, *plans = sys.argv[1:]
    out = pathlib.Path(out)
    schema = json.loads(pathlib.Path(schema).read_text())
    validator = jsonschema.Draft4Validator(schema)
    known = {name for part in schema["$defs"].values() for name in part.get("properties", {})}
    keys = documented(manual)
    wrong, count = [], 0
    for path in plans:
        for address, kind, values in plan.resources(path):
            if kind == "aws_instance":
                count += 1
                folder = out / f"{pathlib.Path(path).stem}-{values['tags']['hostquorum:node']}"
                folder.mkdir(parents=True, exist_ok=True)
                found = faults(values["user_data"], validator, known, keys, folder)
                wrong += [f"{address}: {fault}" for fault in found]
    if not count:
        sys.exit("no machine was found: is this a plan?")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{count} machines are told what cloud-init and the daemon know")


if __name__ == "__main__":
    main()
