"""Steps on what fails: service nodes that hang, a controller that dies."""
import time
from collections.abc import Callable

from weirlab.guest import at
from weirlab.wait import wait_until

from .stage_set import Set

WITHIN = 3  # bounds of the spec are for real hosts; a busy two-core lab gets three times as long


def hung_nodes(d: Set) -> None:
    _hung(d, "n1", "kill -STOP of its process", d.fabric.n1.hang, d.fabric.n1.recover)
    _hung(d, "n2", "its bridge goes down", d.fabric.n2.hang, d.fabric.n2.recover)


def _hung(d: Set, node: str, how: str, hang: Callable, recover: Callable) -> None:
    with d.story.step(f"{node} hangs ({how}): the chain's failure policy decides"):
        hang()
        started = time.monotonic()
        wait_until(f"{node} is found dead", lambda: d.weir.node_state(node) == "down", 10)
        took = time.monotonic() - started
        d.story.expect(f"{node} is found dead within 1.5 s (lab: {1.5 * WITHIN:g} s)",
                       took < 1.5 * WITHIN, f"after {took:.1f} s, though it is still attached")
        try:
            blocked = d.fabric.g1.fetch(at(d.fabric.g2.ip4), timeout_s=1)
            d.story.expect("policy block: web traffic stops", blocked.code == 0, blocked.error)
            pinged = d.fabric.g1.ping(d.fabric.g2.ip4, count=2)
            d.story.expect("what is not for the chain goes on", pinged.all_answered)
            d.change("service-chain", "web-inspect", failure_policy="allow")
            before = d.nodes_seen()
            open_ = d.fabric.g1.fetch(at(d.fabric.g2.ip4))
            seen = sum(d.nodes_seen()) - sum(before)
            d.story.expect("policy allow, one `weir apply` later: it flows", open_.ok, open_.error)
            d.story.expect("without being serviced, and without pretending", seen == 0,
                           f"the nodes saw {seen} packets of it")
        finally:
            recover()
        started = time.monotonic()
        wait_until(f"new flows pass {node} again", lambda: _serviced(d), 5 * WITHIN)
        took = time.monotonic() - started
        d.story.expect(f"{node} is back: new flows are serviced within 5 s (lab: {5 * WITHIN} s)",
                       took < 5 * WITHIN, f"after {took:.1f} s")
        d.change("service-chain", "web-inspect", failure_policy="block")


def _serviced(d: Set) -> bool:
    before = d.nodes_seen()
    if not d.fabric.g1.fetch(at(d.fabric.g2.ip4), timeout_s=1).ok:
        return False
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        now = d.nodes_seen()
        if now[0] > before[0] and now[1] > before[1]:
            return True
    return False


def controller(d: Set) -> None:
    with d.story.step("The controller is killed and started again; a download does not notice"):
        revision = d.weir.revision()
        download = d.fabric.g1.download(at(d.fabric.g2.ip4, path="/whole"))
        download.must_grow(50_000)
        d.weir.kill_controller()
        d.story.tell("kill -9 of weir-controller")
        download.must_grow(200_000)
        d.story.expect("the download goes on without a controller", True, f"{download.size} bytes")
        d.story.expect("so do new connections", d.fabric.g1.fetch(at(d.fabric.g3.ip6)).ok)
        d.weir.start_controller()
        # A host connects first, and says what it runs next.
        wait_until("both hosts are back with what they had",
                   lambda: d.weir.connected() == {"h1", "h2"} and
                   set(d.weir.applied().values()) == {revision}, 20)
        applied = d.weir.applied()
        d.story.expect("the hosts are back at the new controller with the revision they had",
                       set(applied.values()) == {revision}, str(applied))
        whole = download.finished(60) and download.digest() == d.fabric.g2.file_digest
        d.story.expect("the download ends unharmed", whole, f"{download.size} bytes")


def second_apply(d: Set) -> None:
    with d.story.step("The same file once more changes nothing"):
        revision = d.weir.revision()
        said = d.apply_example()
        d.story.show("weir apply --prune -f examples/two-hosts.yaml", said)
        d.story.expect("the difference is empty", d.weir.revision() == revision,
                       f"still revision {revision}")
        applied = d.weir.applied()
        d.story.expect("both hosts run the same applied revision",
                       len(applied) == 2 and set(applied.values()) == {revision}, str(applied))
