"""What makes a router of the lab an address translator: nftables, as everybody uses it."""
import json

from .router import Router

# Only guests are translated: what the proxy sends to see whether the router lives is not.
_RULES = """
table inet translator {{
    counter translated4 {{}}
    counter translated6 {{}}
    chain out {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "right" ip saddr {inside4} counter name translated4 snat ip to {outside4}
        oifname "right" ip6 saddr {inside6} counter name translated6 snat ip6 to {outside6}
    }}
}}
"""


class Translator:
    """Who comes from `inside` leaves on the right as `outside`; IPv4 and IPv6 each."""

    def __init__(self, router: Router, inside: tuple[str, str], outside: tuple[str, str]):
        self.space = router.space
        self.space.run(["nft", "-f", "-"], text_in=_RULES.format(
            inside4=inside[0], inside6=inside[1], outside4=outside[0], outside6=outside[1]))

    def counters(self) -> dict[str, int]:
        """Connections by family."""
        listed = json.loads(self.space.run(["nft", "-j", "list", "counters"]))["nftables"]
        return {c["counter"]["name"]: c["counter"]["packets"] for c in listed if "counter" in c}
