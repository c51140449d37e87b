#pragma once
#include <cstdint>

// Numbers that protocols fixed. Source: IANA registries and the RFCs named beside them.
namespace weir::net {

inline constexpr std::uint16_t ethertype_ip4 = 0x0800;
inline constexpr std::uint16_t ethertype_arp = 0x0806;
inline constexpr std::uint16_t ethertype_rarp = 0x8035;
inline constexpr std::uint16_t ethertype_vlan = 0x8100;
inline constexpr std::uint16_t ethertype_qinq = 0x88a8;
inline constexpr std::uint16_t ethertype_ip6 = 0x86dd;
inline constexpr std::uint16_t ethertype_nsh = 0x894f;        // RFC 8300
inline constexpr std::uint16_t ethertype_heartbeat = 0x88b5;  // service-plane LV-4, experimental
inline constexpr std::uint16_t ethertype_lldp = 0x88cc;

inline constexpr std::uint8_t proto_icmp = 1;
inline constexpr std::uint8_t proto_tcp = 6;
inline constexpr std::uint8_t proto_udp = 17;
inline constexpr std::uint8_t proto_icmp6 = 58;
inline constexpr std::uint8_t proto_sctp = 132;

inline constexpr std::uint16_t udp_port_geneve = 6081;  // RFC 8926
inline constexpr std::uint16_t geneve_proto_ethernet = 0x6558;

inline constexpr std::uint32_t ethernet_bytes = 14;
inline constexpr std::uint32_t vlan_bytes = 4;
inline constexpr std::uint32_t ip4_min_bytes = 20;
inline constexpr std::uint32_t ip6_bytes = 40;
inline constexpr std::uint32_t udp_bytes = 8;
inline constexpr std::uint32_t tcp_min_bytes = 20;
inline constexpr std::uint32_t geneve_bytes = 8;

inline constexpr std::uint8_t tcp_fin = 0x01;
inline constexpr std::uint8_t tcp_syn = 0x02;
inline constexpr std::uint8_t tcp_rst = 0x04;
inline constexpr std::uint8_t tcp_psh = 0x08;
inline constexpr std::uint8_t tcp_ack = 0x10;
inline constexpr std::uint8_t tcp_urg = 0x20;

}  // namespace weir::net
