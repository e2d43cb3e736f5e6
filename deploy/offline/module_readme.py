"""Writes a module's inputs and outputs into its README, between the marks of terraform-docs, and
finds variables that nothing uses.

    module_readme.py [--check] FOLDER...
"""

import pathlib
import re
import sys

BEGIN, END = "<!-- BEGIN_TF_DOCS -->\n", "<!-- END_TF_DOCS -->"


def blocks(folder, kind):
    for path in sorted(folder.glob("*.tf")):
        for name, body in re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', path.read_text(), re.M | re.S):
            yield name, body


def description(body):
    return re.search(r'^  description = "(.*)"$', body, re.M)[1].replace('\\"', '"')


def shape(body):
    """The type, on one line."""
    said = re.search(r"^  type\s*= (.*?)(?=^  [a-z]|\Z)", body, re.M | re.S)[1]
    said = re.sub(r"\s+", " ", said.split("\n\n")[0]).strip()
    return re.sub(r"([a-z0-9_)]) (?=\w+ = )", r"\1, ", said)


def default(body):
    said = re.search(r"^  default\s*= (.*)$", body, re.M)
    return f"`{said[1]}`" if said else "required"


def tables(folder):
    inputs = sorted(blocks(folder, "variable"))
    rows = ["### Inputs", "", "| name | what it is | type | default |", "| --- | --- | --- | --- |"]
    rows += [f"| `{name}` | {description(b)} | `{shape(b)}` | {default(b)} |" for name, b in inputs]
    rows += ["", "### Outputs", "", "| name | what it is |", "| --- | --- |"]
    rows += [f"| `{name}` | {description(b)} |" for name, b in sorted(blocks(folder, "output"))]
    return "\n".join(rows) + "\n"


def unused(folder):
    source = "\n".join(path.read_text() for path in folder.glob("*.tf"))
    outside = re.sub(r'^variable "\w+" \{\n.*?^\}', "", source, flags=re.M | re.S)
    return [name for name, _ in blocks(folder, "variable") if f"var.{name}" not in outside]


def main():
    check = "--check" in sys.argv
    wrong = []
    for folder in map(pathlib.Path, (a for a in sys.argv[1:] if not a.startswith("--"))):
        wrong += [f"{folder}: nothing uses the variable {name}" for name in unused(folder)]
        readme = folder / "README.md"
        text = readme.read_text()
        before, _, after = text.partition(BEGIN)
        written = before + BEGIN + tables(folder) + END + after.partition(END)[2]
        if written != text and check:
            wrong.append(f"{readme} is not up to date: run {pathlib.Path(__file__).name} {folder}")
        elif written != text:
            readme.write_text(written)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
