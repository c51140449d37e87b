#pragma once
#include <array>
#include <string_view>

#include "net/packet.hpp"
#include "net/smd.hpp"
#include "net/wire.hpp"

// Words that both halves of the notation share.
namespace weir::net::words {

struct TcpFlag {
    std::string_view word;
    std::uint8_t bit;
};
inline constexpr std::array<TcpFlag, 8> tcp_flags = {{{"syn", tcp_syn},
                                                      {"fin", tcp_fin},
                                                      {"rst", tcp_rst},
                                                      {"psh", tcp_psh},
                                                      {"ack", tcp_ack},
                                                      {"urg", tcp_urg},
                                                      {"ece", 0x40},
                                                      {"cwr", 0x80}}};

// What bytes 4…7 of an ICMP message mean.
enum class Rest : std::uint8_t { number, identifier, mtu };

struct IcmpMessage {
    Family family;
    std::uint8_t type, code;
    std::string_view word;
    Rest rest;
};
inline constexpr IcmpMessage icmp_messages[] = {
    {Family::ip4, 8, 0, "echo", Rest::identifier},
    {Family::ip4, 0, 0, "echo-reply", Rest::identifier},
    {Family::ip4, 3, 0, "net-unreachable", Rest::number},
    {Family::ip4, 3, 1, "host-unreachable", Rest::number},
    {Family::ip4, 3, 3, "port-unreachable", Rest::number},
    {Family::ip4, 3, 4, "frag-needed", Rest::mtu},
    {Family::ip4, 3, 13, "admin-prohibited", Rest::number},
    {Family::ip4, 11, 0, "time-exceeded", Rest::number},
    {Family::ip6, 128, 0, "echo", Rest::identifier},
    {Family::ip6, 129, 0, "echo-reply", Rest::identifier},
    {Family::ip6, 1, 0, "net-unreachable", Rest::number},
    {Family::ip6, 1, 1, "admin-prohibited", Rest::number},
    {Family::ip6, 1, 3, "host-unreachable", Rest::number},
    {Family::ip6, 1, 4, "port-unreachable", Rest::number},
    {Family::ip6, 2, 0, "too-big", Rest::mtu},
    {Family::ip6, 3, 0, "time-exceeded", Rest::number},
};

struct SmdFlag {
    std::string_view word;
    bool Smd::*member;
};
inline constexpr std::array<SmdFlag, 9> smd_flags = {{{"oam", &Smd::oam},
                                                      {"reverse", &Smd::reverse},
                                                      {"at-ingress", &Smd::at_ingress},
                                                      {"returning", &Smd::returning},
                                                      {"copy", &Smd::copy},
                                                      {"live-query", &Smd::live_query},
                                                      {"live-ack", &Smd::live_ack},
                                                      {"trace", &Smd::trace},
                                                      {"moved", &Smd::moved}}};

struct SmdNumber {
    std::string_view key;
    std::uint32_t max;
    std::uint32_t (*get)(const Smd&);
    void (*set)(Smd&, std::uint32_t);
};
inline constexpr std::array<SmdNumber, 10> smd_numbers = {{
    {"spi", 0xffffff, [](const Smd& s) { return s.spi; },
     [](Smd& s, std::uint32_t v) { s.spi = v; }},
    {"sci", 0xffffff, [](const Smd& s) { return s.sci; },
     [](Smd& s, std::uint32_t v) { s.sci = v; }},
    {"tenant", 0xffffff, [](const Smd& s) { return s.tenant_vni; },
     [](Smd& s, std::uint32_t v) { s.tenant_vni = v; }},
    {"host", 0xffffffff, [](const Smd& s) { return s.anchor_host; },
     [](Smd& s, std::uint32_t v) { s.anchor_host = v; }},
    {"port", 0xffffffff, [](const Smd& s) { return s.anchor_port; },
     [](Smd& s, std::uint32_t v) { s.anchor_port = v; }},
    {"handle", 0xffffffff, [](const Smd& s) { return s.flow_handle; },
     [](Smd& s, std::uint32_t v) { s.flow_handle = v; }},
    {"tag", 0xffffffff, [](const Smd& s) { return s.flow_tag; },
     [](Smd& s, std::uint32_t v) { s.flow_tag = v; }},
    {"epoch", 0xff, [](const Smd& s) { return std::uint32_t{s.path_epoch}; },
     [](Smd& s, std::uint32_t v) { s.path_epoch = static_cast<std::uint8_t>(v); }},
    {"skip", 0xff, [](const Smd& s) { return std::uint32_t{s.skip_mask}; },
     [](Smd& s, std::uint32_t v) { s.skip_mask = static_cast<std::uint8_t>(v); }},
    {"hops", 63, [](const Smd& s) { return std::uint32_t{s.ttl}; },
     [](Smd& s, std::uint32_t v) { s.ttl = static_cast<std::uint8_t>(v); }},
}};

}  // namespace weir::net::words
