#pragma once
#include <array>
#include <string_view>

#include "dataplane/no_tables.hpp"
#include "net/parse.hpp"

namespace weir::parse {

// Reads the headers of a guest's frame and sends it to the worker that owns its flow.
//
// Both directions of a flow have one owner: by the inner tuple (net/rss.hpp). Fragments gather
// first at the worker their addresses hash to (stage fragments).
struct Parse {
    static constexpr std::string_view name = "parse";
    using Tables = dataplane::NoTables;
    using State = dataplane::NoState;

    // The reasons of net::ParseError in their order (without "none"), then our own.
    enum class Exit : std::uint8_t {
        short_frame,
        bad_vlan,
        short_ip_header,
        bad_ip_version,
        bad_ip_header,
        bad_ip_length,
        bad_ip_checksum,
        bad_address,
        source_routed,
        bad_extension,
        bad_fragment,
        short_l4,
        bad_tcp_header,
        bad_udp_length,
        bad_icmp_embedded,
        port_not_realised,
        bad_l4_checksum,
        count_
    };
    static constexpr std::array<std::string_view, 17> exit_names = {
        "parse.short_frame",       "parse.bad_vlan",       "parse.short_ip_header",
        "parse.bad_ip_version",    "parse.bad_ip_header",  "parse.bad_ip_length",
        "parse.bad_ip_checksum",   "parse.bad_address",    "parse.source_routed",
        "parse.bad_extension",     "parse.bad_fragment",   "parse.short_l4",
        "parse.bad_tcp_header",    "parse.bad_udp_length", "parse.bad_icmp_embedded",
        "parse.port_not_realised", "parse.bad_l4_checksum"};
    static constexpr Exit exit_of(net::ParseError error) {
        return static_cast<Exit>(static_cast<std::uint8_t>(error) - 1);
    }
    static_assert(static_cast<int>(net::ParseError::none) == 0);
    static_assert(static_cast<int>(net::ParseError::count_) - 1 ==
                  static_cast<int>(Exit::port_not_realised));

    static Result<std::shared_ptr<const Tables>> compile(
        const dataplane::CompileInput&, const std::shared_ptr<const Tables>& previous) {
        return Tables::compile(previous);
    }
    static void run(dataplane::Burst&, const Tables&, State&, dataplane::Exits<Exit>&,
                    dataplane::Emit&);
};
static_assert(dataplane::Stage<Parse>);

}  // namespace weir::parse
