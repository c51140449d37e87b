#!/usr/bin/python3
"""What is wrong is refused as a whole, with object, field and reason; nothing of it is applied."""
import unittest

from weirlab.fabric import Fabric
from weirlab.lab import Lab
from weirlab.process import CommandFailed
from weirlab.two_hosts import EXAMPLE
from weirlab.weir import Weir

PORT = """
kind: port
name: g9
host: h1
segment: web
mac: "02:00:00:00:99:09"
addresses: [192.168.10.99]
"""
# What is sent → words that the refusal must hold: the object, the field, the reason.
BAD = {
    "YAML that ends in the middle": ("kind: port\nname: [g9", ["line"]),
    "no resource at all": ("just a text", ["expected a resource"]),
    "unknown kind": ("kind: prot\nname: g9", ["prot/g9", "kind"]),
    "unknown field": (PORT + "colour: blue", ["port/g9", "colour"]),
    "value of another type": (PORT + "mtu: large", ["port/g9", "mtu"]),
    "value out of bounds": (PORT + "mtu: 90000", ["port/g9", "mtu", "9200"]),
    "text that is no address": (PORT.replace("192.168.10.99", "192.168.10.999"),
                                ["port/g9", "addresses"]),
    "reference to nothing": (PORT.replace("segment: web", "segment: wep"),
                             ["port/g9", "segment", "wep"]),
    "address of another port": (PORT.replace("192.168.10.99", "192.168.10.11"),
                                ["port/g9", "addresses", "g1"]),
    "MAC of another port": (PORT.replace("02:00:00:00:99:09", "02:00:00:00:10:11"),
                            ["port/g9", "mac", "g1"]),
    "networks that overlap": ("kind: router\nname: r2\ninterfaces:\n"
                              "- {segment: web, addresses: [192.168.10.254/24]}",
                              ["router/r2", "segment"]),
    "VNI of another segment": ("kind: segment\nname: other\nvni: 5001",
                               ["segment/other", "vni"]),
    "chain without profiles": ("kind: service-chain\nname: c9\nsci: 9\nservice_segment: plane\n"
                               "forward: []", ["service-chain/c9", "forward"]),
    "chain without nodes": ("- {kind: service, name: s9, transports: [nsh]}\n"
                            "- {kind: service-profile, name: p9, service: s9}\n"
                            "- {kind: service-chain, name: c9, sci: 9, service_segment: plane,"
                            " forward: [p9]}", ["service-chain/c9", "forward"]),
    "service node port in a guest segment": (
        PORT + "---\nkind: service-node\nname: n9\nid: 9\nservice: inspection\nhost: h1\n"
        "service_segment: plane\nvnics: [g9]", ["service-node/n9", "vnics"]),
    "port of both planes": (PORT + "service_segment: plane", ["port/g9", "segment"]),
    "the same resource twice": (PORT + "---" + PORT, ["port/g9"]),
}


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.weir = Weir(Fabric(cls.lab, ())).start()
        cls.weir.apply(EXAMPLE)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def test_each_is_refused_and_named(self):
        revision = self.weir.revision()
        good = "kind: segment\nname: innocent\nvni: 7777\n---\n"
        for what, (text, words) in BAD.items():
            for text_in in (text, text if text.startswith("-") else good + text):
                with self.subTest(what=what, beside_a_good_one=text_in != text):
                    with self.assertRaises(CommandFailed) as refusal:
                        self.weir.command("apply", "-f", "-", text_in=text_in)
                    for word in words:
                        self.assertIn(word, refusal.exception.output)
        self.assertEqual(self.weir.revision(), revision)
        names = [s["name"] for s in self.weir.call("GET", "/v1/segment")["items"]]
        self.assertEqual(names, ["app", "web"])

    def test_dry_run_says_what_would_change_and_changes_nothing(self):
        revision = self.weir.revision()
        changed = EXAMPLE.read_text().replace("failure_policy: block", "failure_policy: allow")
        said = self.weir.command("apply", "--dry-run", "-f", "-", text_in=changed)
        for word in ("web-inspect", "failure_policy", "block", "allow"):
            self.assertIn(word, said)
        self.assertEqual(self.weir.revision(), revision)

    def test_prune_deletes_what_is_not_in_the_file(self):
        self.weir.command("apply", "-f", "-", text_in="kind: segment\nname: extra\nvni: 7778")
        self.weir.apply(EXAMPLE)
        self.assertEqual(self.weir.get("segment", "extra")["vni"], 7778)
        self.weir.apply(EXAMPLE, prune=True)
        names = [s["name"] for s in self.weir.call("GET", "/v1/segment")["items"]]
        self.assertEqual(names, ["app", "web"])


if __name__ == "__main__":
    unittest.main()
