"""What a plan holds, as `terraform show -json` tells it."""

import json
import pathlib


def resources(path):
    """Address and values of each planned resource."""
    plan = json.loads(pathlib.Path(path).read_text())

    def walk(module):
        for resource in module.get("resources", []):
            if resource["mode"] == "managed":
                yield resource["address"], resource["type"], resource["values"]
        for child in module.get("child_modules", []):
            yield from walk(child)

    return list(walk(plan["planned_values"]["root_module"]))
