#!/usr/bin/python3
"""Keys of a service segment are made and replaced while traffic goes on."""
import json
import subprocess
import unittest

from spec.case import Scenario
from weirlab.guest import at
from weirlab.metadata import AUTH_TYPE
from weirlab.t0 import SVNI


class RotateKey(Scenario):
    every_packet = False

    @classmethod
    def prepare(cls):
        cls.g2.serve_http()
        cls.t0.redirect("g1", "g2")

    def rotate(self) -> str:
        said = self.weir.command("rotate-key", "plane", "--rollover", "500ms")
        self.under.clear()
        self.download.must_grow(20_000)
        return said

    def key_ids(self) -> set[int]:
        """Of what is on the underlay now; 0: not signed."""
        legs = [leg for leg in self.under.legs() if leg.packet.vni == SVNI]
        self.assertTrue(legs)
        return {(leg.packet.content(AUTH_TYPE) or b"\0")[0] for leg in legs}

    def test_no_packet_is_lost(self):
        self.download = self.g1.download(at(self.g2.ip4, path="/slow"))
        self.download.must_grow(10_000)
        self.assertEqual(self.key_ids(), {0})
        self.assertIn("signs with key 1", self.rotate())
        self.assertEqual(self.key_ids(), {1})
        self.assertIn("key 1 is forgotten", self.rotate())
        self.assertEqual(self.key_ids(), {2})
        keys = self.weir.get("service-segment", "plane")["auth_keys"]
        self.assertEqual([(k["id"], k["secret"]) for k in keys], [(2, "hidden")])
        self.assertNotIn("auth_optional", {k for k, v in
                                           self.weir.get("service-segment", "plane").items() if v})
        drops = self.weir.drops()
        self.assertEqual(drops.get("AUTH_FAIL", 0) + drops.get("REPLAY", 0), 0)
        self.download.daemon.stop()

    def test_programs_read_one_answer_and_people_see_what_it_waits_for(self):
        self.weir.command("rotate-key", "plane", "--rollover", "500ms")
        keys = self.weir.get("service-segment", "plane")["auth_keys"]
        done = subprocess.run(
            [*self.weir.command_line().split(), "rotate-key", "plane", "--rollover", "500ms", "-o",
             "json"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        steps = [row["step"] for row in json.loads(done.stdout)]
        self.assertEqual(len(steps), 3)
        old = keys[0]["id"]
        self.assertEqual(steps[-1], f"key {old} is forgotten")
        self.assertIn(f"packets signed with key {old} may arrive for 1 s more", done.stderr)
        for step in steps:
            self.assertIn(f"waiting until {step}\n", done.stderr)

    def test_secrets_are_shown_nowhere(self):
        secret = "17" * 32
        self.weir.put({"kind": "service-segment", "name": "plane", "svni": SVNI,
                       "auth_keys": [{"id": 9, "secret": secret}]})
        self.weir.wait()
        shown = self.weir.command("get", "service-segment", "-o", "yaml")
        shown += self.weir.describe("service-segment", "plane")
        shown += self.weir.command("events", "--limit", "1000", "-o", "json")
        for log in self.lab.folder.rglob("*.log"):
            shown += log.read_text(errors="replace")
        self.assertIn("hidden", shown)
        self.assertNotIn(secret, shown)


if __name__ == "__main__":
    unittest.main(verbosity=2)
