#include "tests/scenario/tunnel_frames.hpp"

#include <span>

#include "net/bfd.hpp"
#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/geneve.hpp"
#include "net/notation.hpp"
#include "net/nsh.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"
#include "tests/scenario/line.hpp"

namespace weir::scenario {

bool is_tunnel(const Frame& frame) {
    net::Headers headers;
    net::Tuple tuple;
    return net::parse_inner(frame, headers, tuple) == net::ParseError::none &&
           tuple.proto == net::proto_udp && tuple.dst_port == net::udp_port_geneve;
}

bool is_bfd(const Frame& frame) {
    net::Headers outer;
    net::Tuple tuple;
    net::GeneveView view;
    if (net::parse_inner(frame, outer, tuple) != net::ParseError::none) return false;
    const auto payload = std::span(frame).subspan(outer.payload, outer.l3_end - outer.payload);
    if (net::decode(payload, view) != net::GeneveError::none || !view.oam) return false;
    auto bytes = payload.subspan(view.header_bytes);
    net::NshView nsh;
    if (bytes.size() > net::ethernet_bytes && net::load16(&bytes[12]) == net::ethertype_nsh &&
        net::decode_nsh(bytes.subspan(net::ethernet_bytes), nsh) == net::NshError::none)
        bytes = nsh.inner;
    net::PacketBuffer inner(bytes);
    return net::parse(inner.packet()) == net::ParseError::none && net::bfd_payload(inner.packet());
}

Frame bent(const Frame& frame, const std::string& instead_of, const std::string& to,
           const std::vector<std::string>& changes) {
    if (!is_tunnel(frame)) return {};
    const std::string description = net::describe(frame);
    std::vector<std::string> rest;
    for (const std::string& change : changes) {
        if (!change.starts_with("only=")) rest.push_back(change);
        else if (!missing_word(change.substr(5), description).empty()) return {};
    }
    auto words = words_of(changed(description, rest));
    if (words.size() < 4 || words[3] != instead_of) return {};
    words[1] = instead_of + ":50000";
    words[3] = to;
    std::string notation;
    for (const std::string& word : words) notation += word + " ";
    auto made = net::parse_notation(notation);
    return made ? *std::move(made) : Frame{};
}

}  // namespace weir::scenario
