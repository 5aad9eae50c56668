#!/usr/bin/env python3
"""check_test_filters.py PROGRAM FILTER...: each test of a GoogleTest program must be chosen by one of
the filters that CTest runs it with, and each filter must choose a test."""
import subprocess
import sys


def tests(program, test_filter):
    lines = subprocess.run(
        [program, "--gtest_list_tests", f"--gtest_filter={test_filter}"],
        check=True, capture_output=True, text=True).stdout.splitlines()
    found, suite = set(), None
    for line in lines:
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            found.add(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return found


def main():
    program, filters = sys.argv[1], sys.argv[2:]
    chosen = set()
    problems = []
    for test_filter in filters:
        found = tests(program, test_filter)
        if not found:
            problems.append(f"the filter {test_filter} chooses no test")
        chosen |= found
    for name in sorted(tests(program, "*") - chosen):
        problems.append(f"{name} is run by no line of CMakeLists.txt")
    print("\n".join(problems) or f"{len(chosen)} tests, {len(filters)} filters")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
