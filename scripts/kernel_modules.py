#!/usr/bin/env python3
"""kernel_modules.py TREE OUT NAME...

Copies the named modules of an unpacked kernel package (TREE/lib/modules/RELEASE), and what they
depend on, into OUT: plain .ko files, modules.dep for modprobe, and "release".
"""
import lzma
import pathlib
import re
import sys


def module_name(path):
    return re.sub(r"\.ko(\.xz)?$", "", path.name).replace("-", "_")


def contents(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def dependencies(module):
    """Names in the module's .modinfo section."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    names = found.group(1).decode() if found else ""
    return [name.replace("-", "_") for name in names.split(",") if name]


def closure(name, available, chosen):
    """Fills chosen with name and all it needs, by name: (file name, bytes, direct dependencies)."""
    if name in chosen:
        return
    if name not in available:
        sys.exit(f"kernel_modules: the package has no module {name}")
    data = contents(available[name])
    needed = dependencies(data)
    chosen[name] = (re.sub(r"\.xz$", "", available[name].name), data, needed)
    for other in needed:
        closure(other, available, chosen)


def all_needed(name, chosen):
    """Files, nearest first, as modules.dep has them."""
    result = []
    for other in chosen[name][2]:
        result += [chosen[other][0]] + all_needed(other, chosen)
    return list(dict.fromkeys(result))


def main():
    tree, out, *wanted = sys.argv[1:]
    (root,) = pathlib.Path(tree, "lib/modules").iterdir()
    available = {module_name(path): path for path in sorted(root.rglob("*.ko*"))}
    chosen = {}
    for name in wanted:
        closure(name.replace("-", "_"), available, chosen)
    folder = pathlib.Path(out)
    folder.mkdir(parents=True)
    lines = []
    for name, (file, data, _) in sorted(chosen.items()):
        (folder / file).write_bytes(data)
        lines.append(" ".join([f"{file}:"] + all_needed(name, chosen)) + "\n")
    (folder / "modules.dep").write_text("".join(lines))
    (folder / "release").write_text(root.name + "\n")


if __name__ == "__main__":
    main()
