#!/usr/bin/python3
"""Every verb of the `weir` command against a running lab: for people, programs, and mistyped."""
import json
import shlex
import signal
import subprocess
import unittest
from pathlib import Path

from weirlab import exposition, rest
from weirlab.build import SOURCE, program
from weirlab.guest import at
from weirlab.lab import Lab
from weirlab.two_hosts import EXAMPLE, TwoHosts
from weirlab.wait import wait_until
from weirlab.weir import Weir


class Command(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.fabric = TwoHosts(cls.lab)
        cls.weir = Weir(cls.fabric).start()
        cls.weir.apply(EXAMPLE)
        cls.fabric.connect_taps()
        cls.weir.wait()
        wait_until("both nodes are up", lambda: [one["state"] for one in cls.weir.call(
            "GET", "/v1/service-node-status")["items"]] == ["up", "up"])
        cls.weir.wait()
        cls.fabric.g2.serve_http()
        cls.fetched = cls.fabric.g1.fetch(at(cls.fabric.g2.ip4))
        cls.fabric.g1.can_connect(cls.fabric.g2.ip4, 22, 0.2)

    def say(self, *words: str, code: int = 0, text_in: str = "") -> tuple[str, str]:
        done = subprocess.run([program("weir"), "--server", f"unix:{self.weir.socket}", *words],
                              input=text_in, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, f"weir {words}: {done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def json(self, *words: str):
        return json.loads(self.say(*words, "-o", "json")[0])

    def refused(self, *words: str, code: int = 1, text_in: str = "") -> str:
        out, error = self.say(*words, code=code, text_in=text_in)
        self.assertEqual(out, "")
        return error

    def test_apply_is_idempotent_and_shows_differences(self):
        revision = self.weir.revision()
        for extra in ([], ["--dry-run"], ["--prune"], ["--prune", "--dry-run"]):
            said, _ = self.say("apply", "-f", str(EXAMPLE), *extra)
            self.assertEqual(said, f"unchanged, revision {revision}\n")
        port, _ = self.say("get", "port", "g1", "-o", "yaml")
        said, _ = self.say("apply", "-f", "-", "--dry-run",
                           text_in=port.replace("mtu: 0", "mtu: 1400"))
        self.assertEqual(said, "~ port/g1\n    mtu: 0 -> 1400\n"
                               f"1 change, not applied (dry run); revision is {revision}\n")
        alone = "kind: segment\nname: web\nvni: 5001\n"
        said, _ = self.say("apply", "-f", "-", "--prune", "--dry-run", text_in=alone)
        self.assertIn("- port/g1\n", said)
        self.assertTrue(said.endswith(
            f"25 changes, not applied (dry run); revision is {revision}\n"), said)
        self.assertEqual(self.json("apply", "-f", str(EXAMPLE))["changes"], [])
        self.assertEqual(self.weir.revision(), revision)

    def test_get_and_describe(self):
        table = self.say("get", "port")[0].splitlines()
        self.assertEqual(table[0].split(), ["NAME", "HOST", "SEGMENT", "SERVICE_SEGMENT", "MAC",
                                            "ADDRESSES", "LABELS", "DEVICE"])
        self.assertEqual([line.split()[0] for line in table[1:]],
                         ["g1", "g2", "g3", "n1", "n2-left", "n2-right"])
        states = self.say("get", "service-node-status")[0].splitlines()
        self.assertEqual(states[0].split()[:3], ["NAME", "NODE_ID", "STATE"])
        self.assertEqual(states[1].split()[:3], ["n1", "1", "up"])
        self.assertEqual(self.say("get", "host", "-o", "name")[0], "h1\nh2\n")
        self.assertEqual(self.json("get", "port", "g1")["mtu"], 0)
        self.assertIn("mac: 02:00:00:00:10:11\n", self.say("get", "port", "g1", "-o", "yaml")[0])
        self.assertIn("failure_policy:", self.say("describe", "service-chain", "web-inspect")[0])
        self.assertIn("nodes back             n2, n1", self.say("describe", "flow", "g1")[0])
        self.assertEqual(self.say("get", "service-exclusion")[0], "no service-exclusion\n")

    def test_paths_are_found_where_the_command_says(self):
        said = self.say("get", "service-path")[0]
        self.assertEqual(said, "no store holds a service-path: see weir show paths\n")
        self.assertIn("see weir show paths",
                      self.refused("describe", "service-path", "web-inspect.1"))
        words = said.strip().split("see weir ")[1].split()
        paths = self.json(*words)
        self.assertEqual({path["chain"] for path in paths}, {"web-inspect"})

    def test_what_hosts_know_of_the_plane(self):
        [rule] = self.json("show", "rules", "g1")
        self.assertEqual((rule["host"], rule["name"], rule["chain"]),
                         ("h1", "inspect-web", "web-inspect"))
        self.assertGreaterEqual(rule["hits"], 1)
        self.assertEqual(self.say("show", "rules", "g3")[0], "nothing to show\n")
        [path] = [p for p in self.json("show", "paths", "web-inspect") if p["host"] == "h1"]
        self.assertEqual((path["path_state"], path["nodes"]), ("active", "n1, n2"))
        self.assertEqual(self.json("show", "paths", "--state", "maintenance"), [])
        said = self.say("show", "paths", "web-inspect", "--host", "h1")[0]
        hops = [line.split() for line in said.split("\n\n")[1].splitlines()]
        self.assertEqual(hops[0], "HOST PATH DIRECTION SI NODE ON MAC ACTION MP CP DP LIVENESS "
                                  "DECREMENTS".split())
        self.assertEqual([(h[2], h[3], h[4], h[5], *h[8:11]) for h in hops[1:]], [
            ("forward", "2", "n1", "h1", "yes", "yes", "yes"),
            ("forward", "1", "n2", "h2", "yes", "yes", "yes"),
            ("reverse", "2", "n2", "h2", "yes", "yes", "yes"),
            ("reverse", "1", "n1", "h1", "yes", "yes", "yes")])
        ways = {(n["host"], n["direction"], n["si"], n["node"], n["way"])
                for n in self.json("show", "nexthops", "plane") if n["spi"] == path["spi"]}
        self.assertEqual(ways, {(host, direction, si, node, "local" if host == at else "tunnel")
                                for host in ("h1", "h2")
                                for direction, si, node, at in (("forward", 2, "n1", "h1"),
                                                                ("forward", 1, "n2", "h2"),
                                                                ("reverse", 2, "n2", "h2"),
                                                                ("reverse", 1, "n1", "h1"))})
        self.assertEqual({(n["host"], n["node"], n["state"]) for n in self.json("show", "nodes")},
                         {("h1", "n1", "up"), ("h2", "n2", "up")})
        contexts = self.json("show", "proxy-contexts", "n2")
        self.assertEqual({(c["host"], c["node"]) for c in contexts}, {("h2", "n2")})
        segments = self.say("show", "segments")[0].splitlines()
        self.assertEqual([line.split()[:4] for line in segments[1:]],
                         [["h1", "plane", "9001", "smd"], ["h2", "plane", "9001", "smd"]])
        header = self.say("show", "chains")[0].splitlines()[0]
        self.assertIn("NEW FLOWS", header)
        self.assertEqual(header.split()[-4:], ["WAITING", "SERVED", "LATE", "REFUSED"])
        self.assertEqual({row["liveness"] for row in self.json("show", "chains")}, {"asked"})
        for view in ("spi-fail", "flow-prog"):
            self.say("show", view)
        self.assertIn("there is no such view; did you mean paths?",
                      self.refused("show", "pahts", code=2))
        self.assertIn("is for paths", self.refused("show", "chains", "--state", "active", code=2))

    def hops_at_h1(self) -> list[dict]:
        said = self.say("show", "paths", "web-inspect", "--host", "h1")[0]
        header, *rows = [line.split() for line in said.split("\n\n")[1].splitlines()]
        return [dict(zip(header, row)) for row in rows]

    def test_what_one_host_shows_needs_no_other(self):
        node = {"kind": "service-node", **self.weir.get("service-node", "n2")}
        self.weir.put({**node, "maintenance": True})
        self.weir.wait()
        self.assertEqual([(hop["NODE"], hop["MP"]) for hop in self.hops_at_h1()],
                         [("n1", "yes"), ("n2", "no"), ("n2", "no"), ("n1", "yes")])
        self.weir.put({**node, "maintenance": False})
        self.weir.wait()
        other = self.weir.hosts["h2"]
        other.signal(signal.SIGSTOP)
        try:
            self.assertEqual([(hop["NODE"], hop["ON"], hop["LIVENESS"], hop["DECREMENTS"])
                              for hop in self.hops_at_h1()[:2]],
                             [("n1", "h1", "asked", "no"), ("n2", "h2", "asked", "no")])
        finally:
            other.signal(signal.SIGCONT)
        wait_until("its paths are usable again", lambda: {
            path["path_state"] for path in self.json("show", "paths")} == {"active"}, 90)

    def test_mistakes_are_answered_with_what_was_meant(self):
        cases = {
            ("aply", "-f", "x"): (2, "there is no verb aply; did you mean apply?"),
            ("get", "prot"): (1, "prot: is no kind of resource; did you mean port?"),
            ("get", "port", "n2-lft"): (1, "port/n2-lft: there is no such resource; "
                                           "did you mean n2-left?"),
            ("delete", "firewall-rule", "deny-shs"): (1, "did you mean deny-ssh?"),
            ("delete", "segment", "web"): (1, "port/g1: segment: segment/web does not exist"),
            ("flows", "n2-lef"): (1, "is neither a host nor a port; did you mean n2-left?"),
            ("flows", "h1", "--service", "tpc/80"): (2, "expected tcp/PORT"),
            ("trace", "g1", "n1"): (1, "port/n1: is no guest port"),
            ("trace", "g1", "g7"): (1, "port/g7: there is no such resource"),
            ("counters", "h9"): (1, "host/h9: there is no such host"),
            ("query", "h1", "nonsense"): (1, "nobody answers this"),
            ("wait", "--timeout", "abc"): (2, "expected 30s, 500ms or 2min"),
            ("wait", "--revision", "99999", "--timeout", "100ms"): (4, "was not applied"),
            ("get", "port", "g1", "more"): (2, "was not expected"),
            ("apply", "-f", "/nonexistent"): (2, "/nonexistent: cannot be read"),
            ("top", "--interval", "0"): (2, "expected 0.1 to 3600"),
        }
        for words, (code, told) in cases.items():
            self.assertIn(told, self.refused(*words, code=code))
        wrong = "kind: segment\nname: new\nvni: 7\nmtuu: 3\n"
        self.assertIn('segment/new: "mtuu": is unknown; did you mean mtu?',
                      self.refused("apply", "-f", "-", text_in=wrong))
        error = subprocess.run([program("weir"), "--server", "unix:/nonexistent", "hosts"],
                               capture_output=True, text=True)
        self.assertEqual(error.returncode, 3)
        self.assertIn("WEIR_SERVER", error.stderr)

    def test_states_of_the_hosts(self):
        self.assertIn("h1    yes", self.say("hosts")[0])
        self.assertEqual([h["name"] for h in self.json("hosts")["items"]], ["h1", "h2"])
        revision = self.weir.revision()
        self.assertEqual(self.say("wait")[0], f"revision {revision} is applied on 2 hosts\n")
        self.assertEqual(self.json("wait")["revision"], revision)
        events = {(e["type"], e["host"]) for e in self.json("events")}
        self.assertLessEqual({("host.connected", "h1"), ("node-up", "h2")}, events)
        self.assertIn("node-up  ", self.say("events")[0])
        self.assertIn("service-chain", self.say("kinds")[0])
        self.assertEqual(len(self.json("kinds")["kinds"]),
                         len(self.say("kinds", "-o", "name")[0].splitlines()))

    def test_doctor_finds_a_guest_that_is_down(self):
        said, _ = self.say("doctor")
        self.assertIn("  ok       port g2: running\n", said)
        self.assertTrue(said.endswith("problems: 0, warnings: 0, hosts: 2\n"), said)
        for row in self.json("doctor")["h1"]:
            self.assertLessEqual({"check", "ok", "level", "found", "why", "advice"}, set(row))
        self.fabric.g2.space.down("eth0")
        try:
            said = wait_until("the doctor sees it", lambda: self.warning("port g2: link down"))
            self.assertIn("what to do:     set the other end up", said)
        finally:
            self.fabric.g2.space.ip("address", "flush", "dev", "eth0")
            self.fabric.g2.configure()

    def warning(self, what: str) -> str:
        said = self.say("doctor", "h2")[0]
        return said if f"  warning  {what}\n" in said else ""

    def test_what_goes_on(self):
        self.assertTrue(self.fetched.ok, self.fetched.error)
        flows = self.json("flows", "g1", "--service", "tcp/80", "--address", self.fabric.g2.ip4)
        self.assertEqual({f["dst"] for f in flows}, {self.fabric.g2.ip4})
        self.assertIn("web-inspect path", self.say("flows", "g1", "--service", "tcp/80")[0])
        self.assertEqual(self.say("flows", "--address", "203.0.113.7")[0], "no such flow\n")
        drops = {(d["host"], d["reason"]) for d in self.json("drops")}
        self.assertIn(("h1", "firewall.denied"), drops)
        self.assertIn("firewall.denied", self.say("drops", "h1")[0])
        self.assertIn("weir_firewall_rule_hits_total{rule=deny-ssh}",
                      self.say("counters", "h1", "rule_hits")[0])
        self.assertGreater(self.json("counters", "h1")["weir_applied_revision"], 0)
        rates = self.json("top", "-n", "1", "--interval", "0.1")
        self.assertEqual([row["host"] for row in rates], ["h1", "h2"])
        lines = self.say("top", "-n", "2", "--interval", "0.1", "-o", "json")[0].splitlines()
        self.assertEqual(len([json.loads(line) for line in lines]), 2)
        self.assertTrue(self.say("top", "-n", "1", "--interval", "0.1")[0].startswith("HOST"))
        self.assertEqual(self.json("query", "h1", "host-engines")["rows"][0]["ports"], 4)

    def test_trace_tells_the_end(self):
        self.assertTrue(self.say("trace", "g1", "g2", "tcp/80")[0].endswith(
            "delivered to g2 on h2\n"))
        self.assertTrue(self.json("trace", "-6", "g1", "g3", "tcp/80")["delivered"])
        denied = self.json("trace", "g1", "g3", "tcp/22")
        self.assertEqual((denied["delivered"], denied["end"]),
                         (False, "dropped at firewall on h1: firewall.denied"))
        self.assertIn("no answer from node n2 on h2",
                      self.say("trace", "g1", "g2", "tcp/8080")[0])

    def test_one_host_away_does_not_hide_the_other(self):
        self.weir.stop_host("h2")
        try:
            out, error = self.say("drops", "-o", "json", code=1)
            self.assertEqual({d["host"] for d in json.loads(out)}, {"h1"})
            self.assertIn("host/h2: is not connected", error)
        finally:
            self.weir.start_host("h2")
            self.weir.wait()

    def test_what_collectors_are_served_is_well_formed(self):
        """The exposition format, and what docs/operate/metrics.md promises of names."""
        families = {}
        for path in (f"{self.weir.run_dir('h1')}/host.sock", f"{self.weir.run_dir('h2')}/host.sock",
                     self.weir.socket):
            page = rest.call(path, "GET", "/metrics")
            for name, family in exposition.parse(page).items():
                self.assertNotEqual(family.help, "", f"{name} has no help")
                self.assertRegex(name, r"^weir_[a-z0-9_]+$")
                self.assertEqual(name.endswith("_total"), family.type == "counter", name)
                self.assertNotRegex(name, r"_(ns|ms|us|microseconds|milliseconds|kilobytes)(_|$)")
                families.setdefault(name, family)  # those of h1 first
        rules = families["weir_firewall_rule_hits_total"].samples
        self.assertGreater(rules[(("rule", "deny-ssh"),)], 0)
        promised = ("weir_drops_total", "weir_port_packets_total", "weir_service_rule_hits_total",
                    "weir_service_chain_flows_total", "weir_service_path_packets_total",
                    "weir_controller_host_connected", "weir_events_lost_total")
        self.assertLessEqual(set(promised), set(families))
        ups = families["weir_service_node_up"].samples
        self.assertEqual(set(ups.values()), {1}, ups)

    def test_examples_of_the_operators_pages_run(self):
        count = 0
        for page in sorted((SOURCE / "docs" / "operate").glob("*.md")):
            for line in page.read_text().splitlines():
                if line.startswith("$ weir "):
                    words = shlex.split(line.removeprefix("$ weir "))
                    words = [str(SOURCE / w) if w.startswith("examples/") else w for w in words]
                    self.assertNotEqual(self.say(*words)[0], "", line)
                    count += 1
        self.assertGreater(count, 10)

    def test_every_verb_teaches(self):
        verbs = self.complete("weir ")
        self.assertIn("apply", verbs)
        for verb in verbs:
            help_text = self.say(verb, "--help")[0]
            self.assertIn("Usage: weir " + verb, help_text)
            if verb not in ("kinds", "hosts"):
                self.assertIn("example", help_text)

    def complete(self, line: str) -> list[str]:
        words = line.split(" ")
        script = f"""
            source <(weir completion bash)
            COMP_WORDS=({' '.join(repr(w) for w in words)}) COMP_CWORD={len(words) - 1}
            _weir; printf '%s\\n' "${{COMPREPLY[@]}}\""""
        done = subprocess.run(
            ["bash", "-euc", script], capture_output=True, text=True, check=True,
            env={"PATH": f"{Path(program('weir')).parent}:/usr/bin:/bin",
                 "WEIR_SERVER": f"unix:{self.weir.socket}"})
        return done.stdout.split()

    def test_completion_knows_verbs_kinds_and_names(self):
        self.assertEqual(self.complete("weir ap"), ["apply"])
        self.assertEqual(self.complete("weir get por"), ["port", "port-address"])
        self.assertEqual(self.complete("weir -o json get port n"), ["n1", "n2-left", "n2-right"])
        self.assertEqual(self.complete("weir trace g1 g"), ["g1", "g2", "g3"])
        self.assertEqual(self.complete("weir apply --dr"), ["--dry-run"])
        self.assertEqual(self.complete("weir doctor h1 h"), ["h1", "h2"])
        self.assertEqual(self.complete("weir show pa"), ["paths"])
        self.assertEqual(self.complete("weir show paths w"), ["web-inspect"])
        self.assertEqual(self.complete("weir get port -o y"), ["yaml"])


if __name__ == "__main__":
    unittest.main()
