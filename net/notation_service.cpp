#include <algorithm>
#include <string>

#include "net/bytes.hpp"
#include "net/geneve.hpp"
#include "net/notation_line.hpp"
#include "net/notation_reader.hpp"
#include "net/notation_words.hpp"
#include "net/nsh.hpp"

namespace weir::net::notation {
namespace {

void add_smd(Line& line, const Smd& smd) {
    for (const words::SmdNumber& number : words::smd_numbers)
        line.number_unless(number.key, number.get(smd), number.get(Smd{}));
    line.pair("si", std::to_string(smd.si) + "/" + std::to_string(smd.initial_si));
    for (const words::SmdFlag& flag : words::smd_flags)
        if (smd.*flag.member && flag.word != "oam") line.word(flag.word);
    if (smd.reserved != 0) line.number("+reserved", smd.reserved);
}

void add_inner(Line& line, std::span<const std::uint8_t> inner, unsigned depth) {
    if (inner.empty()) return;
    if (depth < max_notation_depth) line.braced(describe_at_depth(inner, depth + 1, false));
    else line.number("+inner", inner.size());
}

std::string describe_geneve(const Packet& packet, unsigned depth) {
    const Headers& headers = packet.headers;
    GeneveView view;
    const std::span<const std::uint8_t> bytes{
        packet.data + headers.payload, static_cast<std::size_t>(headers.l3_end - headers.payload)};
    if (decode(bytes, view) != GeneveError::none || view.protocol != geneve_proto_ethernet)
        return {};
    const bool ip4 = packet.tuple.src.is4();
    const std::string port = std::to_string(packet.tuple.src_port);
    Line line("geneve");
    line.word(ip4 ? packet.tuple.src.text() + ":" + port
                  : "[" + packet.tuple.src.text() + "]:" + port);
    line.word(">");
    line.word(packet.tuple.dst.text());
    line.number("vni", view.vni);
    if (view.oam) line.word("oam");
    if (view.smd) {
        line.word("smd");
        add_smd(line, *view.smd);
        if (!view.smd->original_src.is_zero())
            line.pair("orig-smac", view.smd->original_src.text());
        if (!view.smd->original_dst.is_zero())
            line.pair("orig-dmac", view.smd->original_dst.text());
    }
    if (view.trace) {
        line.number("trace-id", view.trace->trace_id);
        line.number("collector", view.trace->collector_host);
    }
    if (view.serviced)
        line.pair("serviced", std::to_string(view.serviced->flags) + ":" +
                                  std::to_string(view.serviced->sci) + ":" +
                                  std::to_string(view.serviced->anchor_host));
    if (!view.auth.empty()) line.word("+auth");
    if (view.ctrl_count == 1) line.hex("ctrl", view.ctrl[0]);
    if (view.ctrl_count > 1) line.number("+ctrl", view.ctrl_count);
    if (view.live) line.word("+live");
    line.number_unless("ttl", headers.ttl, 64);
    const std::uint8_t* ip = packet.data + headers.l3;
    line.number_unless("tos", ip4 ? ip[1] : load16(ip) >> 4 & 0xff, 0);
    add_inner(line, view.inner, depth);
    return line.text() + unusual_link_words(packet.bytes());
}

std::string describe_nsh(const Packet& packet, unsigned depth) {
    NshView view;
    if (decode_nsh(packet.bytes().subspan(packet.headers.l3), view) != NshError::none) return {};
    const Nsh& nsh = view.nsh;
    Line line("nsh");
    if (nsh.md_type == MdType::fixed) line.word("md1");
    if (nsh.smd.oam) line.word("oam");
    add_smd(line, nsh.smd);
    line.number_unless("cookie", nsh.cookie, 0);
    line.number_unless("action", nsh.flow_action, 0);
    if (nsh.control)
        line.pair("control", std::to_string(nsh.control->operation) + ":" +
                                 std::to_string(nsh.control->scope) + ":" +
                                 std::to_string(nsh.control->reason) + ":" +
                                 std::to_string(nsh.control->parameter));
    if (nsh.smd.unassigned != 0) line.number("+unassigned", nsh.smd.unassigned);
    add_inner(line, view.inner, depth);
    return line.text() + unusual_link_words(packet.bytes());
}

}  // namespace

std::string describe_service(const Packet& packet, unsigned depth) {
    const Headers& headers = packet.headers;
    if (headers.ethertype == ethertype_nsh) return describe_nsh(packet, depth);
    const bool geneve = headers.proto == proto_udp && headers.l4 != 0 &&
                        headers.fragment == Fragment::whole &&
                        packet.tuple.dst_port == udp_port_geneve;
    return geneve ? describe_geneve(packet, depth) : std::string{};
}

}  // namespace weir::net::notation
