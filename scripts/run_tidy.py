#!/usr/bin/env python3
"""clang-tidy over every source of build/release. A file is looked at again only when it, a header
it includes, its command line or .clang-tidy has changed; build/tidy remembers what was clean."""
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
STAMPS = ROOT / "build/tidy"


def dependencies():
    """Object path to the project's files it was made from, as ninja recorded them."""
    result, current = {}, None
    text = subprocess.run(["ninja", "-C", BUILD, "-t", "deps"], check=True, text=True,
                          capture_output=True).stdout
    for line in text.splitlines():
        if line and not line.startswith(" ") and ": #deps" in line:
            current = result.setdefault(line.split(": #deps")[0], [])
        elif line.startswith("    ") and current is not None:
            path = (BUILD / line.strip()).resolve()
            if ROOT in path.parents:
                current.append(path)
    return result


def fingerprint(entry, files, digests):
    digest = hashlib.sha256(entry["command"].encode())
    for path in [ROOT / ".clang-tidy", Path(entry["file"])] + sorted(set(files)):
        if path not in digests:
            digests[path] = hashlib.sha256(path.read_bytes()).digest() if path.exists() else b"-"
        digest.update(str(path).encode() + digests[path])
    return digest.hexdigest()


def tidy(source):
    done = subprocess.run(["clang-tidy", "--quiet", "-p", BUILD, source], text=True,
                          capture_output=True)
    return done.returncode == 0, done.stdout + ("" if done.returncode == 0 else done.stderr)


def main():
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    only = [str(ROOT / name) for name in sys.argv[1:]]
    deps, digests, work = dependencies(), {}, []
    for entry in entries:
        source = Path(entry["file"])
        # Generated files and GoogleTest's macros are not ours to mend.
        if ROOT not in source.parents or ROOT / "build" in source.parents:
            continue
        if only and not any(str(source).startswith(name) for name in only):
            continue
        key = fingerprint(entry, deps.get(entry.get("output", ""), []), digests)
        stamp = STAMPS / (source.relative_to(ROOT).as_posix().replace("/", "__") + ".clean")
        if not stamp.exists() or stamp.read_text() != key:
            work.append((source, stamp, key))
    failed = 0
    STAMPS.mkdir(parents=True, exist_ok=True)
    jobs = int(os.environ.get("SOFTSNP_JOBS", os.cpu_count()))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for (source, stamp, key), (clean, text) in zip(work, pool.map(tidy, [w[0] for w in work])):
            if clean:
                stamp.write_text(key)
            else:
                failed += 1
                print(text.strip(), flush=True)
    print(f"{len(work)} files looked at, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
