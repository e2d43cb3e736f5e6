#!/usr/bin/env python3
"""The licences of all that is linked into our programs, as text.

    cargo metadata --format-version 1 --locked --filter-platform TARGET | third_party.py PACKAGE...

Whoever gives programs away gives their libraries' notices with them. A crate that has no notice
in its archive is named with the licence that its manifest states. Texts that are the same stand
once, after all crates that have them.
"""

import collections
import json
import pathlib
import sys

NOTICES = ("licen", "copying", "copyright", "notice", "unlicense")
# Of more than this many bytes is no licence, but data that is called so by chance.
LONGEST = 200_000


def linked(metadata, roots):
    """Ids of the packages that `roots` need to be built, without what only their tests need."""
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    members = set(metadata["workspace_members"])
    todo = [member for member in members if names[member] in roots]
    if len(todo) != len(roots):
        sys.exit(f"not all of {roots} are members")
    seen = set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        for dependency in nodes[at]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return seen - members


def notices(folder):
    """Texts of the notices in a crate's archive, those of the C code that it brings as well."""
    for path in sorted(folder.rglob("*")):
        if path.name.lower().startswith(NOTICES) and path.is_file():
            text = path.read_bytes()[: LONGEST + 1]
            if len(text) <= LONGEST and path.suffix.lower() in ("", ".txt", ".md", ".mit", ".apache"):
                yield text.decode("utf-8", "replace").replace("\r\n", "\n").strip()


def main(roots):
    metadata = json.load(sys.stdin)
    wanted = linked(metadata, roots)
    users = collections.defaultdict(list)
    print("What is linked into hostquorumd and hostquorum besides our own code, and under which")
    print("terms: a crate, its version, and the licences that it names; then all notices.\n")
    for package in sorted(metadata["packages"], key=lambda it: (it["name"], it["version"])):
        if package["id"] not in wanted:
            continue
        crate = f"{package['name']} {package['version']}"
        print(f"{crate}: {package['license']}")
        for text in notices(pathlib.Path(package["manifest_path"]).parent):
            if crate not in users[text]:
                users[text].append(crate)
    for text, crates in users.items():
        print("\n" + "=" * 72)
        print(", ".join(crates))
        print("-" * 72)
        print(text)


main(sys.argv[1:])
