#!/usr/bin/env python3
"""Writes crates/ anew from a clone of the RustSec advisory database (github.com/rustsec/advisory-db): update.py CLONE.

Only facts are kept (id, package, dates, versions), and only of crates that Cargo.lock names: so that `.ci/run deny`
judges the same everywhere, also without a network. The hosted workflow asks the whole database besides.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
KEPT = {
    "advisory": ["id", "package", "date", "withdrawn", "yanked", "informational", "aliases"],
    "affected": ["os", "arch"],
    "versions": ["patched", "unaffected"],
}


def value(given):
    return json.dumps(str(given) if hasattr(given, "isoformat") else given)


def front_matter(advisory):
    lines = []
    for table, keys in KEPT.items():
        told = [(key, advisory[table][key]) for key in keys if key in advisory.get(table, {})]
        if told:
            lines += [f"[{table}]"] + [f"{key} = {value(given)}" for key, given in told] + [""]
    return "\n".join(lines).rstrip()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    git = ["git", "-C", sys.argv[1]]
    lock = tomllib.loads((HERE / "../../Cargo.lock").read_text())
    names = {package["name"] for package in lock["package"]}
    shutil.rmtree(HERE / "crates", ignore_errors=True)
    files = subprocess.check_output([*git, "ls-tree", "-r", "--name-only", "HEAD", "crates"], text=True).split()
    count = 0
    for name in files:
        path = pathlib.PurePosixPath(name)
        if path.parts[1] not in names:
            continue
        text = subprocess.check_output([*git, "show", f"HEAD:{name}"], text=True)
        advisory = tomllib.loads(text.split("```toml\n", 1)[1].split("\n```", 1)[0])
        id = advisory["advisory"]["id"]
        target = HERE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"```toml\n{front_matter(advisory)}\n```\n\n# See https://rustsec.org/advisories/{id}\n\nFacts only.\n")
        count += 1
    date = subprocess.check_output([*git, "log", "-1", "--format=%cs %H"], text=True).strip()
    (HERE / "SOURCE").write_text(f"RustSec advisory database (CC0-1.0), commit of {date}, written by update.py\n")
    print(f"{count} advisories of {len(names)} crates")


main()
