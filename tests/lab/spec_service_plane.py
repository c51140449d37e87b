#!/usr/bin/python3
"""Acceptance scenarios of spec service-plane §11: spec_service_plane.py NUMBER [PROFILE].

PROFILE: how packets of the service segment travel: plain, signed, nsh or l3."""
import sys
import unittest

from spec import (authentic, both_ends, case, control, forward, index, isolation, liveness, loops,
                  mobility, node_mobility, orders, routed, selection, sizes, tenants, tracing,
                  translated, tunnels, verdicts)

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
    10: index.ServiceIndex,
    11: (isolation.L2Contexts, isolation.LostContext),
    12: isolation.WrongSide,
    13: routed.RoutedNode,
    14: both_ends.DestinationAnchor,
    15: both_ends.SameChainOnce,
    16: both_ends.DifferentChains,
    17: selection.ByWeight,
    18: selection.KeepsPath,
    19: selection.Local,
    20: selection.LostRecords,
    21: liveness.HungNodeWithAlternative,
    22: liveness.HungNodeWithoutAlternative,
    23: tunnels.HostCrash,
    24: tunnels.AnchorHasNotHeard,
    25: orders.FlowDropEmbedded,
    26: orders.FlowDropAlone,
    27: orders.NodeSkip,
    28: orders.AllowPrivilege,
    29: (orders.ForgedOrders, authentic.ForgedControl),
    30: orders.LostOrder,
    31: orders.CopyHop,
    32: (mobility.LiveFlow, mobility.Failures),
    33: (mobility.ReturnsInFlight, mobility.StubsLast),
    34: mobility.Precheck,
    35: node_mobility.NodeMigration,
    36: isolation.GuestCannotInject,
    37: isolation.SpoofedMetadata,
    38: loops.Loop,
    39: tenants.Overlap,
    40: control.UpdateAtomicity,
    41: control.ControllerLoss,
    42: translated.NatService,
    43: (sizes.Fragments, sizes.NarrowUnderlay),
    45: tracing.Trace,
}


KEY = {"id": 1, "secret": "5a" * 32}
PROFILES = {"plain": {}, "signed": {"auth_keys": [KEY]}, "nsh": {"encap": "nsh"},
            "l3": {"transport": "l3"}}


def main() -> int:
    number, profile = (sys.argv[1:] + ["plain"])[:2] if sys.argv[1:] else ("", "plain")
    if not number.isdigit() or int(number) not in SCENARIOS or profile not in PROFILES:
        print(f"{__doc__}\nnumbers: {' '.join(map(str, SCENARIOS))}", file=sys.stderr)
        return 2
    case.Scenario.plane = PROFILES[profile]
    cases = SCENARIOS[int(number)]
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(one)
                               for one in (cases if isinstance(cases, tuple) else (cases,)))
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
