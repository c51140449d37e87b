#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "net/builder.hpp"
#include "net/geneve.hpp"
#include "net/notation_reader.hpp"
#include "net/notation_words.hpp"
#include "net/nsh.hpp"

// A line of packet notation while it is being read. Used by notation_*.cpp only.
namespace weir::net::notation {

using Bytes = std::vector<std::uint8_t>;

enum Kind : unsigned {
    kind_tcp = 1,
    kind_udp = 2,
    kind_icmp = 4,
    kind_ip = 8,
    kind_eth = 16,
    kind_neighbour = 32,  // arp, nd, rarp
    kind_geneve = 64,
    kind_nsh = 128,
    kinds_ip = kind_tcp | kind_udp | kind_icmp | kind_ip,
    kinds_all = 255,
};

constexpr std::size_t max_payload_bytes = 65535;

// One line being read. What FrameSpec has no place for stands beside it.
struct Draft {
    Kind kind = kind_ip;
    unsigned depth = 0;
    FrameSpec spec;
    bool dst_mac_given = false;
    std::optional<std::uint64_t> identifier, sequence, mtu, quote;
    const words::IcmpMessage* message = nullptr;
    std::optional<Bytes> inner;  // frame of {…}
    bool wants_inner = false;    // "about" stood before
    // geneve, nsh
    std::uint32_t vni = 0;
    bool has_smd = false;
    Nsh nsh;
    std::optional<SmdTrace> trace;
    std::optional<Serviced> serviced;
    Bytes ctrl;  // content of a CTRL option; empty: none
    // What is done to the finished frame, in this order.
    struct Put {
        std::size_t offset = 0;
        Bytes bytes;
    };
    std::vector<Put> puts;
    std::optional<std::uint64_t> cut;
};

// The words behind the addresses, up to the end of the line.
Status take_options(Draft&, NotationReader&);

// The frame of a whole line; `depth` counts the packets it stands in.
Result<Bytes> parse_at_depth(std::string_view line, unsigned depth);

// One function per first word of a line: reads the rest and builds the frame.
Result<Bytes> finish_ip(Draft&, NotationReader&);
Result<Bytes> finish_arp(Draft&, NotationReader&);
Result<Bytes> finish_nd(Draft&, NotationReader&);
Result<Bytes> finish_rarp(Draft&, NotationReader&);
Result<Bytes> finish_eth(Draft&, NotationReader&);
Result<Bytes> finish_geneve(Draft&, NotationReader&);
Result<Bytes> finish_nsh(Draft&, NotationReader&);

}  // namespace weir::net::notation
