#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/packet.hpp"

// A packet on one line, for scenarios, traces and the lab. Both ways.
//
//   tcp 10.0.0.1:4000 > 10.0.0.10:80 syn seq=1 len=100
//   udp [2001:db8::1]:5 > [2001:db8::2]:53 data=c0ffee
//   icmp 10.0.0.1 > 10.0.0.2 echo id=7 seq=1
//   icmp 10.0.0.254 > 10.0.0.1 time-exceeded about {udp 10.0.0.1:5 > 10.1.0.1:53 ttl=1}
//   icmp6 fd00::1 > fd00::2 too-big mtu=1400 about {…}
//   ip 10.0.0.1 > 10.0.0.2 proto=47 len=20
//   arp who-has 10.0.0.2 tell 10.0.0.1          arp 10.0.0.2 is-at 02:00:00:00:00:02 tell 10.0.0.1
//   nd who-has fd00::2 tell fd00::1             nd fd00::2 is-at 02:00:00:00:00:02 tell fd00::1
//   rarp 02:00:00:00:00:05
//   eth type=0x88cc len=20
//   geneve 10.9.0.1:50000 > 10.9.0.2 vni=9001 smd spi=7 si=2/3 sci=5 … {tcp …}
//   nsh spi=7 si=2/3 sci=5 … {tcp …}
//
// Options, in any order (numbers decimal or 0x…):
//   all      smac= dmac= vlan= (twice: outer, inner); put=OFFSET:HEX (over the finished frame, as
//            often as needed) and then cut=N (only its first N bytes), to damage it
//   IP       ttl= tos= df ipid= ipopts=HEX frag=OFFSET:more or frag=OFFSET:last, bad-ip-checksum,
//   bad-checksum payload  len=N (bytes 0 1 2 …) or data=HEX tcp      fin syn rst psh ack urg ece
//   cwr seq= ack= win= opts=HEX udp      no-checksum icmp     echo echo-reply (id= seq=)
//   time-exceeded net-unreachable host-unreachable
//            port-unreachable admin-prohibited frag-needed/too-big (mtu=), or type= code= rest=;
//            about {packet} quotes a packet, quote=N of its bytes
//   geneve, nsh   spi= si=SI/INITIAL sci= tenant= host= port= handle= tag= epoch= skip= hops= (the
//            metadata's TTL) orig-smac= orig-dmac= oam reverse at-ingress returning copy live-query
//            live-ack trace moved; geneve: vni= smd trace-id= collector= serviced=FLAGS:SCI:HOST
//            ctrl=HEX (28 bytes);
//            nsh: md1 cookie= action= control=OP:SCOPE:REASON:PARAM
namespace weir::net {

// The frame that a line describes. The error's field is the word it is about.
Result<std::vector<std::uint8_t>> parse_notation(std::string_view line);

// The line that describes a frame: parse_notation() of it gives the frame again, unless it carries
// what the notation has no word for. Such a line is no notation and says so: "+ext" (IPv6 extension
// headers), "+pad=N" (bytes behind the IP packet), "crc=…" (a payload too long to print),
// "+inexact" (anything else), and "unreadable WHY …" for what parse() refuses.
std::string describe(std::span<const std::uint8_t> frame);
std::string describe(const Packet&);

}  // namespace weir::net
