"""Scenario 39: two tenants with the same addresses on service segments of their own."""
from weirlab.guest import at
from weirlab.t0 import GUESTS
from weirlab.wait import SLOWNESS, stays, wait_until

from .case import Scenario

SECOND = {"u1": ("h1", "02:00:00:00:20:11", "g1"), "u2": ("h2", "02:00:00:00:20:12", "g2")}
VNI, SVNI, SCI = 5002, 9002, 9


class Overlap(Scenario):
    @classmethod
    def prepare(cls):
        fabric = cls.t0.fabric
        for name, (host, mac, twin) in SECOND.items():
            address = GUESTS[twin][2]
            cls.t0.guests[name] = fabric.veth_guest(name, host, mac, (
                f"{address}/24", f"fd00:10::{address[-2:]}/64"))
        fabric.aware_node("m1", "h3", "02:00:00:00:91:10", every_packet=True)
        cls.weir.put(*cls.second_tenant())
        cls.weir.wait()
        cls.u1, cls.u2 = cls.t0.guests["u1"], cls.t0.guests["u2"]
        cls.g2.serve_http()
        cls.u2.serve_http()
        cls.t0.redirect("g1", "g2")
        cls.weir.put({"kind": "service-rule", "name": "second", "protocol": "tcp", "ports": ["80"],
                      "applied_to_ports": ["u1"], "chain": "c9"})
        cls.weir.wait()

    @classmethod
    def second_tenant(cls) -> list[dict]:
        def device(name: str) -> dict:
            return {"type": "af_packet", "interface": f"port-{name}"}
        guests = [{"kind": "port", "name": name, "host": host, "segment": "guests2", "mac": mac,
                   "addresses": [GUESTS[twin][2]], "device": device(name)}
                  for name, (host, mac, twin) in SECOND.items()]
        return [{"kind": "segment", "name": "guests2", "vni": VNI},
                {"kind": "service-segment", "name": "plane2", "svni": SVNI,
                 "underlay_trusted": True}, *guests,
                {"kind": "port", "name": "m1", "host": "h3", "service_segment": "plane2",
                 "mac": "02:00:00:00:91:10", "device": device("m1")},
                {"kind": "service-node", "name": "m1", "id": 11, "service": "fw", "host": "h3",
                 "mode": "aware", "service_segment": "plane2", "vnics": ["m1"]},
                {"kind": "service-chain", "name": "c9", "sci": SCI, "service_segment": "plane2",
                 "forward": ["fw"], "failure_policy": "block"}]

    def fetch(self, client):
        return client.fetch(at(GUESTS["g2"][2]), 3.0)

    def test_nobody_sees_the_other(self):
        one, two = self.t0.aware("n1"), self.t0.fabric.aware["m1"]
        self.assertEqual(self.fetch(self.g1).body, b"hello from g2\n")
        self.assertEqual(self.fetch(self.u1).body, b"hello from u2\n")
        # The same tuple in both tenants at the same time.
        request = ["curl", "-s", "--noproxy", "*", "-m", str(10 * SLOWNESS),
                   "--local-port", "40000", at(GUESTS["g2"][2])]
        self.assertEqual(self.g1.run(*request), "hello from g2\n")
        self.assertEqual(self.u1.run(*request), "hello from u2\n")
        tuples = [{v["tuple"] for v in node.visits()} for node in (one, two)]
        self.assertTrue(tuples[0] & tuples[1], "both nodes saw the same tuple")
        self.assertEqual({(v["tenant_vni"], v["sci"]) for v in one.visits()}, {(5001, 1)})
        self.assertEqual({(v["tenant_vni"], v["sci"]) for v in two.visits()}, {(VNI, SCI)})
        self.death_of_one_is_nothing_to_the_other()

    def death_of_one_is_nothing_to_the_other(self) -> None:
        def other() -> tuple:
            rows = [c for c in self.weir.ask("h1", "insert.chains") if c["name"] == "c1"]
            return [(c["path_switch"], c["blocked"], c["bypass_engaged"]) for c in rows]
        before = other()
        self.t0.fabric.aware["m1"].hang()
        wait_until("the second tenant's traffic stops", lambda: not self.fetch(self.u1).ok)
        stays("the first tenant's goes on", lambda: self.fetch(self.g1).ok, 1.0)
        self.assertEqual(other(), before)
        self.t0.fabric.aware["m1"].recover()
        wait_until("the second tenant's goes on too", lambda: self.fetch(self.u1).ok, 30)
