"""The names the generator uses (bench/gen/frames.hpp): what a side under test is set up for."""
CLIENT_MAC, SERVER_MAC = "02:00:00:00:0a:01", "02:00:00:00:0b:01"
ROUTER_MAC, PEER_MAC, HOST_MAC = "02:00:5a:00:00:01", "02:5b:00:00:00:02", "02:5b:00:00:00:01"
NOISE_MAC, NOISE_ADDRESS, NOISE_PORT = "02:00:00:00:0c:01", "10.1.2.1", 3
HOST_TUNNEL, PEER_TUNNEL = "10.0.0.1", "10.0.0.2"
VNI_NEAR, VNI_FAR = 5001, 5002
CLIENTS = 4


def clients(ip6: bool) -> list[str]:
    return [f"fd00:1::{i:x}" if ip6 else f"10.1.0.{i}" for i in range(1, CLIENTS + 1)]


def server(ip6: bool, routed: bool) -> str:
    if ip6:
        return "fd00:2::1:1" if routed else "fd00:1::1:1"
    return "10.2.1.1" if routed else "10.1.1.1"


def foreign_source(number: int, ip6: bool) -> str:
    """Source network of the rule `number` that fits none of the traffic."""
    high, low = divmod(number, 256)
    return f"fd77:{high:x}:{low:x}::/48" if ip6 else f"172.{16 + high % 128}.{low}.0/24"


def foreign_port(number: int) -> int:
    return 1 + number * 7919 % 60000
