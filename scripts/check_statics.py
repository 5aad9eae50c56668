#!/usr/bin/env python3
"""No mutable statics and no static constructors: looks at what the compiler put into writable
sections of the project's objects (build/release). Constants belong into constexpr, state into the
object that owns it."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
# .data.rel.ro is constant after relocation. The personality reference comes from the compiler.
WRITABLE = re.compile(r"^\.(data(?!\.rel\.ro)|bss|tdata|tbss|init_array)")
# CLI11 keeps statics in inline functions and includes <iostream>: the library's, not ours. rows_sse
# joins constexpr tables once into a const vector.
IGNORED = re.compile(r"^(DW\.ref\.|std::__ioinit|(guard variable for )?CLI::|"
                     r"(guard variable for )?softsnp::cpu::rows_sse\(\)::all)")
# objdump -t: value, seven flag characters, section, size, name.
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\s+([0-9a-f]+)\s+(?:\.hidden )?(.+)$")


def objects():
    """Only the program's own parts; tests and benchmarks register themselves with statics."""
    for folder in sorted((BUILD / "CMakeFiles").glob("softsnp*.dir")):
        for path in sorted(folder.rglob("*.o")):
            source = path.relative_to(folder).as_posix()[:-len(".o")]
            if (ROOT / source).exists():
                yield path, source


def problems(path, source):
    table = subprocess.run(["objdump", "-t", "-C", path], check=True, text=True,
                           capture_output=True).stdout
    for line in table.splitlines():
        found = SYMBOL.match(line)
        if not found or not WRITABLE.match(found[2]) or IGNORED.match(found[4]):
            continue
        if "d" in found[1] and int(found[3], 16) == 0:  # the section's own symbol
            if found[2].startswith(".init_array"):
                yield f"{source}: an object is constructed before main; make it constexpr"
            continue
        yield f"{source}: {found[4]} lies in {found[2]}; make it constexpr or give it an owner"


def main():
    count, bad = 0, []
    for path, source in objects():
        count += 1
        bad.extend(problems(path, source))
    if count == 0:
        bad.append(f"no objects below {BUILD}: build the release preset first")
    print("\n".join(sorted(set(bad))) if bad else f"{count} objects hold no mutable statics")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
