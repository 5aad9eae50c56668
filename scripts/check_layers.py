#!/usr/bin/env python3
"""Compares every #include with scripts/layers.txt. Prints what is wrong and what would be right."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Libraries by the first part of their include path.
LIBRARIES = {
    "openssl": "openssl", "Zydis": "zydis", "Zycore": "zydis", "fmt": "fmt",
    "CLI": "cli11", "nlohmann": "json", "gtest": "gtest", "gmock": "gtest", "benchmark": "benchmark",
    "httplib.h": "cpp-httplib",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def read_layers():
    layers = {}
    for line in (ROOT / "scripts/layers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            folder, allowed = line.split(":", 1)
            layers[folder.strip()] = set(allowed.split())
    return layers


def folder_of(path, layers):
    """The nearest enclosing folder that has a line."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in layers:
            return "/".join(parts)
        parts.pop()
    return None


def target_of(quote, included, layers):
    """The folder or library an include belongs to; None: the standard library or the system."""
    folder = folder_of(included, layers)
    if folder or quote == '"':
        return folder or included
    return LIBRARIES.get(re.split("[/.]", included)[0])


def problems(path, layers):
    folder = folder_of(path, layers)
    if folder is None:
        yield f"{path}: its folder has no line in scripts/layers.txt"
        return
    allowed = layers[folder]
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        target = target_of(found[1], found[2], layers)
        if target in (None, folder) or target in allowed or "*" in allowed:
            continue
        yield (f"{path}:{number}: {folder} may not include {found[2]} ({target}); "
               f"allowed: {' '.join(sorted(allowed)) or 'nothing'}")


def main():
    layers = read_layers()
    known = set(layers) | set(LIBRARIES.values()) | {"*"}
    bad = [f"scripts/layers.txt: {folder}: {name} is neither a folder with a line nor a library"
           for folder, allowed in layers.items() for name in sorted(allowed - known)]
    files = subprocess.run([ROOT / "scripts/sources.sh", "cpp", "hpp", "inc"], check=True, text=True,
                           capture_output=True).stdout.split()
    for path in files:
        bad.extend(problems(path, layers))
    print("\n".join(bad) if bad else f"{len(files)} files keep to scripts/layers.txt")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
