#!/usr/bin/python3
"""Chains of services that others made: third_party_test.py NAME."""
import shutil
import sys
import unittest

from services import agents, ids, mixed, nat, proxy
from weirlab.build import build_folder

SKIPPED = 77  # what CTest is told; see CMakeLists.txt
SERVICES = {
    "nat": (nat.Nat,),
    "ids": (ids.Inline,),
    "tap": (ids.Tap,),
    "proxy": (proxy.Transparent, proxy.NotKnownAsProxy),
    "mixed": (mixed.Mixed,),
    "agents": (agents.Agents,),
}
# What ./dev installs where it can be had, by the services that need it.
NEEDED = {
    "ids": ("weir-ids", "libvectorscan-dev"),
    "tap": ("weir-ids", "libvectorscan-dev"),
    "proxy": ("haproxy", "haproxy"),
    "mixed": ("weir-ids", "libvectorscan-dev"),
}


def missing(name: str) -> str:
    """Why a service cannot be had here, or nothing."""
    program, package = NEEDED.get(name, ("", ""))
    if not program or shutil.which(program) or (build_folder() / "bin" / program).is_file():
        return ""
    return f"no {program}: Debian package {package} is not installed"


def main() -> int:
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in SERVICES:
        print(f"{__doc__}\nnames: {' '.join(SERVICES)}", file=sys.stderr)
        return 2
    if why := missing(name):
        print(f"skipped: {why}")
        return SKIPPED
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(one)
                               for one in SERVICES[name])
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
