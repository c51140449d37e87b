#!/usr/bin/python3
"""What happens while the controller is away is not lost: it knows of it when it is back."""
import unittest

from weirlab.lab import Lab
from weirlab.two_hosts import EXAMPLE, TwoHosts
from weirlab.wait import wait_until
from weirlab.weir import Weir


class ControllerAway(unittest.TestCase):
    def test_a_node_that_died_meanwhile_is_known_to_be_down_soon_after(self):
        with Lab() as lab:
            fabric = TwoHosts(lab)
            weir = Weir(fabric).start()
            weir.apply(EXAMPLE)
            fabric.connect_taps()
            weir.wait()
            states = lambda: {one["name"]: one["state"] for one in
                              weir.call("GET", "/v1/service-node-status")["items"]}
            wait_until("both nodes are up", lambda: states() == {"n1": "up", "n2": "up"})
            host = weir.hosts["h1"]
            weir.kill_controller()
            wait_until("h1 has noticed", lambda: "controller.down" in host.output())
            fabric.n1.hang()
            wait_until("h1 has found n1 dead", lambda: "what=node-down" in host.output())
            weir.start_controller()
            # The host tells states again every 30 s anyway; this must not take that long.
            wait_until("the controller knows",
                       lambda: states() == {"n1": "down", "n2": "up"}, timeout_s=8)
            wait_until("every host runs what follows from it",
                       lambda: set(weir.applied().values()) == {weir.revision()})
            self.assertEqual(weir.node_state("n1"), "down")
            self.assertEqual(weir.counters()["weir_events_lost_total",], 0)
            fabric.n1.recover()
            wait_until("n1 is back", lambda: states() == {"n1": "up", "n2": "up"})


if __name__ == "__main__":
    unittest.main()
