#!/usr/bin/python3
"""The lab's own tools work: guests on one cable, real programs, captures, cleaning up."""
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from weirlab import lab as labs
from weirlab.capture import Capture
from weirlab.guest import Guest, at
from weirlab.lab import Lab
from weirlab.process import run, start_time
from weirlab.raw import ICMP
from weirlab.wait import wait_until

CRASHING = """
import sys
from weirlab.lab import Lab
lab = Lab()
space = lab.namespace("x")
daemon = lab.start("waiting", ["tail", "-f", "/dev/null"], space)
print(lab.id, daemon.pid, flush=True)
sys.stdin.read()
"""


class GuestTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        a, b = cls.lab.namespace("a"), cls.lab.namespace("b")
        cls.lab.cable(a, "eth0", b, "eth0")
        cls.a = Guest(cls.lab, a, "eth0", "02:00:00:00:00:0a", ("10.9.0.1/24", "fd09::1/64"), ())
        cls.b = Guest(cls.lab, b, "eth0", "02:00:00:00:00:0b", ("10.9.0.2/24", "fd09::2/64"), ())
        for guest in (cls.a, cls.b):
            guest.configure()
        cls.nginx = cls.b.serve_http()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def test_ping(self):
        for address in (self.b.ip4, self.b.ip6):
            self.assertTrue(self.a.ping(address).all_answered)
        nobody = self.a.ping("10.9.0.77", count=1, wait_s=0.2)
        self.assertEqual((nobody.sent, nobody.received), (1, 0))

    def test_fetch(self):
        for address in (self.b.ip4, self.b.ip6):
            got = self.a.fetch(at(address))
            self.assertEqual((got.code, got.body), (200, b"hello from b\n"), got.error)
        self.assertEqual(self.a.fetch(at(self.b.ip4, path="/nothing")).code, 404)
        refused = self.a.fetch(at(self.b.ip4, 81))
        self.assertFalse(refused.ok)
        self.assertIn("Couldn't connect", refused.error)

    def test_a_capture_has_all_that_passed_though_tcpdump_had_no_time_yet(self):
        path = self.lab.folder / "late.pcap"
        capture = Capture(self.lab, self.b.space, "eth0", path, "-Q in udp port 9", bytes_each=128)
        capture.daemon.signal(signal.SIGSTOP)
        self.a.send_udp(self.b.ip4, 9, count=1000)
        capture.daemon.signal(signal.SIGCONT)
        self.assertEqual(len(capture.stop()), 1000)

    def test_download(self):
        download = self.a.download(at(self.b.ip4, path="/slow"))
        download.must_grow(10000)
        self.assertTrue(download.daemon.running())
        download.daemon.stop()
        whole = self.a.download(at(self.b.ip6, path="/file"))
        self.assertTrue(whole.finished())
        self.assertEqual(whole.digest(), self.b.file_digest)

    def test_connect(self):
        self.assertTrue(self.a.can_connect(self.b.ip6, 80))
        self.assertFalse(self.a.can_connect(self.b.ip4, 22))

    def test_iperf3(self):
        server = self.b.serve_iperf3()
        self.assertGreater(self.a.iperf3(self.b.ip4, 1), 0.01)
        server.stop()

    def test_capture(self):
        capture = Capture(self.lab, self.a.space, "eth0", self.lab.folder / "a.pcap", "icmp")
        self.a.ping(self.b.ip4, count=2)
        wait_until("four frames are written", lambda: len(capture.frames()) == 4)
        frames = capture.stop()
        self.assertEqual([f.tuple[:1] + (f.ip_src,) for f in frames],
                         [(ICMP, self.a.ip4), (ICMP, self.b.ip4)] * 2)


class CleaningTest(unittest.TestCase):
    def crash(self, number: int) -> tuple[str, int]:
        """A lab whose owner dies of a signal: its id, and its daemon's process id."""
        owner = subprocess.Popen([sys.executable, "-c", CRASHING], cwd=Path(__file__).parent,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lab_id, pid = owner.stdout.readline().split()
        self.assertIn(f"{lab_id}-x", run(["ip", "netns", "list"]))
        owner.send_signal(number)
        owner.communicate(timeout=20)
        return lab_id, int(pid)

    def check_gone(self, lab_id: str, pid: int):
        self.assertNotIn(f"{lab_id}-x", run(["ip", "netns", "list"]))
        self.assertFalse((labs.ROOT / lab_id).exists())
        self.assertEqual(start_time(pid), 0)

    def test_interrupt_cleans_up(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.check_gone(*self.crash(number))

    def test_next_lab_cleans_up_after_a_kill(self):
        lab_id, pid = self.crash(signal.SIGKILL)
        with Lab() as other:
            self.check_gone(lab_id, pid)
            self.assertNotEqual(other.id, lab_id)

    def test_kept_lab_stays_until_it_is_removed(self):
        kept = Lab(keep=True)
        kept.namespace("y")
        labs.sweep()
        self.assertIn(f"{kept.id}-y", run(["ip", "netns", "list"]))
        labs.remove(kept.id)
        self.assertNotIn(f"{kept.id}-y", run(["ip", "netns", "list"]))


if __name__ == "__main__":
    unittest.main()
