"""What hosts send each other, seen from the underlay's bridge: every leg once, where it is sent."""
from dataclasses import dataclass

from .fabric import Fabric
from .metadata import Smd, Tunnelled, tunnelled
from .raw import UDP, Frame, RawPort, parse
from .wait import wait_until

BFD_PORT = 3784
# All routers, and those that listen to reports of multicast listeners: a guest's kernel asks and
# tells them something whenever it likes.
KERNEL_GROUPS = ("33:33:00:00:00:02", "33:33:00:00:00:16")


@dataclass
class Leg:
    sender: str      # host
    outer: Frame
    packet: Tunnelled

    @property
    def receiver_ip(self) -> str:
        return self.outer.ip_dst

    @property
    def inner(self) -> Frame:
        return parse(self.packet.frame)

    @property
    def smd(self) -> Smd | None:
        return self.packet.smd


def _is_bfd(packet: Tunnelled) -> bool:
    inner = parse(packet.frame)
    return bool(packet.smd) and "oam" in packet.smd.flags and (inner.proto, inner.dst_port) == \
        (UDP, BFD_PORT)


def _is_chatter(packet: Tunnelled) -> bool:
    return parse(packet.frame).dst in KERNEL_GROUPS


class Underlay:
    def __init__(self, fabric: Fabric):
        self._ports = {name: RawPort(fabric.under, name) for name in fabric.hosts}
        self._legs: list[Leg] = []
        self.bfd: list[Leg] = []  # the newest of what tunnels are watched by

    def __enter__(self) -> "Underlay":
        return self

    def __exit__(self, *_) -> None:
        for port in self._ports.values():
            port.close()

    def legs(self, **inner) -> list[Leg]:
        """All legs so far whose inner frame has these values (proto, src_port, flags, …); without
        what guests' kernels say by themselves. It is an error that some are lost."""
        for name, port in self._ports.items():
            frames = port.drain()
            if lost := port.lost():
                raise AssertionError(f"{lost} frames of {name} were not read in time and are lost")
            for frame in frames:
                packet = tunnelled(frame)
                if packet and _is_bfd(packet):  # which passes all the time
                    self.bfd = [*self.bfd[-99:], Leg(name, frame, packet)]
                elif packet and not _is_chatter(packet):
                    self._legs.append(Leg(name, frame, packet))
        return [leg for leg in self._legs
                if all(getattr(leg.inner, key) == value for key, value in inner.items())]

    def clear(self) -> None:
        for port in self._ports.values():
            port.discard()
        self._legs.clear()

    def wait_for(self, count: int, **inner) -> list[Leg]:
        wait_until(f"{count} legs of {inner}", lambda: len(self.legs(**inner)) >= count, 10)
        return self.legs(**inner)
