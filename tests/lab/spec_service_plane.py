#!/usr/bin/python3
"""Acceptance scenarios of spec service-plane §11: spec_service_plane.py NUMBER."""
import sys
import unittest

from spec import both_ends, forward, isolation, liveness, selection, tenants, verdicts

SCENARIOS = {
    1: forward.BasicForward,
    2: forward.MacHandling,
    3: forward.ReverseInversion,
    4: forward.TtlAndIndex,
    5: verdicts.FastPath,
    6: verdicts.NegativeCaching,
    7: verdicts.DoNotRedirect,
    8: forward.SameHostHop,
    9: forward.EverythingLocal,
    11: isolation.L2Contexts,
    12: isolation.WrongSide,
    15: both_ends.SameChainOnce,
    16: both_ends.DifferentChains,
    17: selection.ByWeight,
    18: selection.KeepsPath,
    19: selection.Local,
    20: selection.LostRecords,
    21: liveness.HungNodeWithAlternative,
    22: liveness.HungNodeWithoutAlternative,
    36: isolation.GuestCannotInject,
    37: isolation.SpoofedMetadata,
    39: tenants.Overlap,
}


def main() -> int:
    if len(sys.argv) != 2 or not sys.argv[1].isdigit() or int(sys.argv[1]) not in SCENARIOS:
        print(f"{__doc__}\nnumbers: {' '.join(map(str, SCENARIOS))}", file=sys.stderr)
        return 2
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(SCENARIOS[int(sys.argv[1])])
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
