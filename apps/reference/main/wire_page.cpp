#include "apps/reference/main/wire_page.hpp"

#include <algorithm>
#include <cstdio>

#include "apps/reference/main/wire_layout.hpp"
#include "features/chain/orders/ctrl.hpp"
#include "net/auth.hpp"
#include "net/builder.hpp"
#include "net/gwlb.hpp"
#include "net/nsh.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::reference {
namespace {

using net::Smd;

constexpr std::uint32_t all24 = 0xffffff, all32 = 0xffffffff;

Smd blank_smd() {
    Smd smd;
    smd.ttl = 0;
    return smd;
}

template <class T, std::size_t N, class Encode>
Bytes written(const T& header, Encode&& encode) {
    Bytes out(N);
    encode(header, std::span<std::uint8_t, N>(out.data(), N));
    return out;
}

// Flags have the same places in the SMD option and in NSH contexts.
std::vector<Probe<Smd>> flag_probes() {
    const auto flag = [](std::string name, std::string by, std::string meaning, bool Smd::*member) {
        return Probe<Smd>{{std::move(name), std::move(by), std::move(meaning)},
                          [member](Smd& s) { s.*member = true; }};
    };
    return {
        {{"Ver", "anchor", "0; anything else is `BAD_SMD`."}, [](Smd& s) { s.version = 3; }},
        flag("O", "anchor, proxy", "Control packet; never resumed.", &Smd::oam),
        flag("D", "anchor", "0 forward, 1 reverse.", &Smd::reverse),
        flag("P", "anchor", "Call point to resume at: 0 egress, 1 ingress.", &Smd::at_ingress),
        flag("R", "last resolver", "On the way back to the anchor; set exactly when SI is 0.",
             &Smd::returning),
        flag("C", "resolver", "A copy; ends at its node.", &Smd::copy),
        flag("L", "proxy", "Liveness question, between proxy and node only.", &Smd::live_query),
        flag("A", "node", "Liveness answer, between node and proxy only.", &Smd::live_ack),
        flag("T", "anchor", "Traced: every stage notes it.", &Smd::trace),
        flag("M", "former anchor", "Sent on once by an anchor whose port has moved.", &Smd::moved),
    };
}

std::vector<Probe<Smd>> smd_probes() {
    auto probes = flag_probes();
    const std::vector<Probe<Smd>> rest = {
        {{"ZZ", "anchor", "0; anything else is `BAD_SMD`."}, [](Smd& s) { s.zz = 3; }},
        {{"TTL", "every resolver −1", "Legs that are left; 0 on arrival is `TTL_EXPIRED`."},
         [](Smd& s) { s.ttl = 63; }},
        {{"InitSI", "anchor", "Hops of this direction, at most 8."},
         [](Smd& s) { s.initial_si = 255; }},
        {{"SPI", "anchor", "Service path."}, [](Smd& s) { s.spi = all24; }},
        {{"SI", "proxy or node −1", "Hops that are left."}, [](Smd& s) { s.si = 255; }},
        {{"SCI", "anchor", "Service chain."}, [](Smd& s) { s.sci = all24; }},
        {{"PathEpoch", "anchor", "Generation of the path's hops."},
         [](Smd& s) { s.path_epoch = 255; }},
        {{"TenantVNI", "anchor", "The guests' segment."}, [](Smd& s) { s.tenant_vni = all24; }},
        {{"SkipMask", "anchor", "Bit i: the hop with ordinal i is left out."},
         [](Smd& s) { s.skip_mask = 255; }},
        {{"AnchorHostId", "anchor", "Host the packet returns to."},
         [](Smd& s) { s.anchor_host = all32; }},
        {{"AnchorPort", "anchor", "Incarnation (8 bits) and index (24) of the anchor's port."},
         [](Smd& s) { s.anchor_port = all32; }},
        {{"FlowHandle", "anchor", "Nonce (8 bits) and slot (24) of the flow's record."},
         [](Smd& s) { s.flow_handle = all32; }},
        {{"FlowTag", "anchor; nodes by SET_TAG", "Opaque mark."},
         [](Smd& s) { s.flow_tag = all32; }},
        {{"OriginalDst", "anchor", "Destination MAC of the guest's frame."},
         [](Smd& s) { s.original_dst.bytes.fill(0xff); }},
        {{"OriginalSrc", "anchor", "Source MAC of the guest's frame."},
         [](Smd& s) { s.original_src.bytes.fill(0xff); }},
    };
    probes.insert(probes.end(), rest.begin(), rest.end());
    return probes;
}

Result<std::vector<Place>> smd_layout() {
    return layout(smd_probes(), blank_smd(), [](const Smd& smd) {
        return written<Smd, net::smd_bytes>(smd,
                                            [](const Smd& s, auto out) { net::encode(s, out); });
    });
}

Result<std::vector<Place>> auth_layout() {
    using net::Auth;
    Auth nothing;
    nothing.algorithm = 0;
    const std::vector<Probe<Auth>> probes = {
        {{"KeyId", "sender", "Which of the segment's keys."}, [](Auth& a) { a.key_id = 255; }},
        {{"Alg", "sender", "1: HMAC-SHA256, cut to 128 bits."}, [](Auth& a) { a.algorithm = 255; }},
        {{"Sequence", "sender", "Of this sender to this receiver; never used twice."},
         [](Auth& a) { a.sequence = net::auth_sequence_mask; }},
        {{"MAC", "sender", "See docs/decisions/auth.md."}, [](Auth& a) { a.mac.fill(0xff); }}};
    return layout(probes, nothing, [](const Auth& auth) {
        return written<Auth, net::auth_bytes>(auth,
                                              [](const Auth& a, auto out) { net::encode(a, out); });
    });
}

Result<std::vector<Place>> ctrl_layout() {
    using chain::Ctrl;
    Ctrl nothing;
    nothing.scope = 0;
    const std::vector<Probe<Ctrl>> probes = {
        {{"Ver", "proxy", "0."}, [](Ctrl& c) { c.version = 15; }},
        {{"Op", "proxy", "What is ordered; see below."}, [](Ctrl& c) { c.op = 255; }},
        {{"Scope", "proxy", "1 forward, 2 reverse, 4 node."}, [](Ctrl& c) { c.scope = 255; }},
        {{"Reason", "proxy", "Why, for operators."}, [](Ctrl& c) { c.reason = 255; }},
        {{"FlowHandle", "proxy", "From the metadata; 0: node scope."},
         [](Ctrl& c) { c.flow_handle = all32; }},
        {{"IssuerNodeId", "proxy", "Node that orders."}, [](Ctrl& c) { c.issuer = all32; }},
        {{"IssuerSeq", "proxy", "Serial number (RFC 1982) of the issuer."},
         [](Ctrl& c) { c.sequence = all32; }},
        {{"ValidSec", "proxy", "How long; 0: for the life of the flow."},
         [](Ctrl& c) { c.valid_s = 0xffff; }},
        {{"HopOrdinal", "proxy", "Place of the issuer in the path."}, [](Ctrl& c) { c.hop = 255; }},
        {{"Param", "proxy", "Depends on the operation."}, [](Ctrl& c) { c.parameter = all32; }},
        {{"FlowDigest", "proxy", "CRC-32C of the flow's canonical tuple and tenant."},
         [](Ctrl& c) { c.digest = all32; }}};
    return layout(probes, nothing, [](const Ctrl& ctrl) {
        return written<Ctrl, net::ctrl_bytes>(
            ctrl, [](const Ctrl& c, auto out) { chain::encode(c, out); });
    });
}

// The content of the one option that a Geneve header has.
Bytes only_option(const net::GeneveHeader& header) {
    constexpr std::size_t before = net::geneve_bytes + 4;
    net::PacketBuffer buffer(Bytes{}, net::max_geneve_bytes, 0);
    net::push_geneve(buffer.packet(), header);
    return {buffer.packet().data + before, buffer.packet().data + buffer.packet().length};
}

Result<std::vector<Place>> live_layout() {
    const std::vector<Probe<net::Live>> probes = {
        {{"NodeId", "proxy", "Node that is looked after."}, [](auto& l) { l.node = all32; }},
        {{"Seq", "proxy", "Counts up."}, [](auto& l) { l.sequence = all32; }},
        {{"TxMs", "proxy", "When it was sent."}, [](auto& l) { l.sent_ms = all32; }}};
    return layout(probes, net::Live{}, [](const net::Live& live) {
        net::GeneveHeader header;
        header.live = &live;
        return only_option(header);
    });
}

Result<std::vector<Place>> trace_layout() {
    const std::vector<Probe<net::SmdTrace>> probes = {
        {{"TraceId", "who asked", "Number of the trace."}, [](auto& t) { t.trace_id = all32; }},
        {{"Collector", "who asked", "Host the question was put to."},
         [](auto& t) { t.collector_host = all32; }}};
    return layout(probes, net::SmdTrace{}, [](const net::SmdTrace& trace) {
        net::GeneveHeader header;
        header.trace = &trace;
        return only_option(header);
    });
}

Result<std::vector<Place>> serviced_layout() {
    const std::vector<Probe<net::Serviced>> probes = {
        {{"Flags", "anchor", "1 serviced, 2 exempted, 0x80 reverse."},
         [](auto& s) { s.flags = 255; }},
        {{"SCI", "anchor", "Chain that the packet has passed."}, [](auto& s) { s.sci = all24; }},
        {{"AnchorHostId", "anchor", "Host that had it serviced."},
         [](auto& s) { s.anchor_host = all32; }}};
    return layout(probes, net::Serviced{}, [](const net::Serviced& serviced) {
        net::GeneveHeader header;
        header.serviced = &serviced;
        return only_option(header);
    });
}

net::Nsh blank_nsh(net::MdType type) {
    net::Nsh nsh;
    nsh.md_type = type;
    nsh.smd = blank_smd();
    return nsh;
}

// What stands behind the base and service path headers and, for MD type 2, the context's header.
Bytes context_of(const net::Nsh& nsh) {
    const std::size_t before = nsh.md_type == net::MdType::fixed ? 8 : 12;
    net::PacketBuffer buffer(Bytes(1, 0), net::nsh_max_bytes, 0);
    net::push_nsh(buffer.packet(), nsh);
    return {buffer.packet().data + before, buffer.packet().data + buffer.packet().length - 1};
}

using Wanted = std::vector<std::string>;

// Of the metadata's fields those that the context has; O stands in the base header.
std::vector<Probe<net::Nsh>> nsh_probes(const Wanted& without) {
    std::vector<Probe<net::Nsh>> out;
    for (const Probe<Smd>& probe : smd_probes())
        if (std::ranges::find(without, probe.field.name) == without.end())
            out.push_back({probe.field, [fill = probe.fill](net::Nsh& n) { fill(n.smd); }});
    out.push_back({{"Cookie", "proxy", "Proves the rest unchanged; 0 between hosts."},
                   [](net::Nsh& n) { n.cookie = all32; }});
    return out;
}

Result<std::vector<Place>> md2_layout() {
    return layout(nsh_probes({"O", "ZZ", "TTL", "SPI", "SI", "OriginalDst", "OriginalSrc"}),
                  blank_nsh(net::MdType::variable), context_of);
}

Result<std::vector<Place>> md1_layout() {
    auto probes = nsh_probes({"O", "ZZ", "TTL", "SPI", "SI", "OriginalDst", "OriginalSrc",
                              "TenantVNI", "SkipMask", "AnchorHostId", "AnchorPort", "FlowHandle"});
    probes.push_back({{"FA", "node",
                       "Flow action: 1 allow, 2 drop, 3 reset, 4 skip me, 5 another "
                       "path, 6 restore."},
                      [](net::Nsh& n) { n.flow_action = 15; }});
    return layout(probes, blank_nsh(net::MdType::fixed), context_of);
}

Result<std::vector<Place>> control_layout() {
    const std::vector<Probe<net::Nsh>> probes = {
        {{"Op", "node", "As in CTRL."}, [](net::Nsh& n) { n.control->operation = 255; }},
        {{"Scope", "node", "As in CTRL."}, [](net::Nsh& n) { n.control->scope = 255; }},
        {{"Reason", "node", "As in CTRL."}, [](net::Nsh& n) { n.control->reason = 255; }},
        {{"Param", "node", "As in CTRL."}, [](net::Nsh& n) { n.control->parameter = all32; }}};
    net::Nsh nothing = blank_nsh(net::MdType::variable);
    nothing.control = net::NodeControl{};
    return layout(probes, nothing, [](const net::Nsh& nsh) {
        constexpr std::size_t before = 32 + 4;  // the other context, and this one's header
        const Bytes all = context_of(nsh);
        return Bytes(all.begin() + before, all.end());
    });
}

// Behind Geneve's fixed part.
Result<std::vector<Place>> gwlb_layout() {
    const std::vector<Probe<net::Gwlb>> probes = {
        {{"EndpointId", "proxy", "Option type 1: SVNI (32 bits), then the tenant's VNI."},
         [](net::Gwlb& g) { g.endpoint = ~std::uint64_t{0}; }},
        {{"AttachmentId", "proxy", "Option type 2: SCI."},
         [](net::Gwlb& g) { g.attachment = ~std::uint64_t{0}; }},
        {{"FlowCookie", "proxy", "Option type 3: names the flow and direction at the proxy."},
         [](net::Gwlb& g) { g.cookie = all32; }}};
    return layout(probes, net::Gwlb{}, [](const net::Gwlb& gwlb) {
        net::PacketBuffer buffer(Bytes{}, net::gwlb_bytes, 0);
        net::push_gwlb(buffer.packet(), gwlb, net::ethertype_ip4);
        return Bytes(buffer.packet().data + net::geneve_bytes,
                     buffer.packet().data + buffer.packet().length);
    });
}

struct Section {
    std::string title, text;
    std::size_t bytes;
    Result<std::vector<Place>> (*layout)();
    WireField between = reserved;
};

std::string hex(unsigned value) {
    char text[16];
    std::snprintf(text, sizeof text, "0x%02x", value);
    return text;
}

std::string option(const char* name, unsigned type) {
    return std::string(name) + " — option " + hex(type);
}

std::vector<Section> sections() {
    const std::string twice = " At most one in a packet.";
    return {
        {option("SMD", net::option_smd), "Service metadata; critical." + twice, net::smd_bytes,
         smd_layout},
        {option("AUTH", net::option_auth),
         "Signature of the sending host, in segments with keys; critical." + twice, net::auth_bytes,
         auth_layout},
        {option("CTRL", net::option_ctrl),
         "An order to the anchor; critical. At most " + std::to_string(net::max_ctrl_options) +
             " in a packet. Operations: 1 FLOW_ALLOW, 2 FLOW_DROP, 3 FLOW_RESET, 4 NODE_SKIP, "
             "5 PATH_CHANGE, 6 CHAIN_CHANGE, 7 SET_TAG, 8 RESTORE, 9 OVERLOAD, 10 NODE_DOWN, "
             "11 STALE_PATH.",
         net::ctrl_bytes, ctrl_layout},
        {option("LIVE", net::option_live), "Heartbeat." + twice, 12, live_layout},
        {option("TRACE", net::option_trace), "The packet is traced." + twice, 12, trace_layout},
        {option("SERVICED", net::option_serviced),
         "On guest segments only: the packet has had its services." + twice, 8, serviced_layout},
        {"NSH, MD type 2 — context class " + hex(net::nsh_class) + " type " +
             std::to_string(net::nsh_context),
         "Between proxy and aware node, and between hosts where the segment says `encap: nsh`. "
         "Content of the context header; TTL, SPI, SI and O stand in the base and service path "
         "headers of RFC 8300. NSH is " +
             std::to_string(net::nsh_md2_bytes) + " bytes long then.",
         32, md2_layout},
        {"NSH, MD type 2 — context class " + hex(net::nsh_class) + " type " +
             std::to_string(net::nsh_control),
         "What a node orders; its proxy makes CTRL of it.", 8, control_layout},
        {"NSH, MD type 1 — the fixed context",
         "For nodes that read no context headers. NSH is " + std::to_string(net::nsh_md1_bytes) +
             " bytes long then.",
         16, md1_layout},
        {"GWLB — options of class " + hex(net::gwlb_class),
         "Between proxy and an appliance that speaks the Geneve of AWS Gateway Load Balancers: "
         "VNI 0, the protocol type of the IP packet that follows. The appliance returns the "
         "options "
         "unchanged. All options, with their headers:",
         net::gwlb_bytes - net::geneve_bytes,
         gwlb_layout,
         {"option header", "proxy", ""}},
    };
}

}  // namespace

Result<std::string> wire_page() {
    std::string out =
        "<!-- Generated from the codecs; do not edit. -->\n\n# Headers of the service plane\n\n"
        "Between hosts: Ethernet, IP, UDP to port " +
        std::to_string(net::udp_port_geneve) +
        ", Geneve (RFC 8926) with the VNI of the service segment, options of class " +
        hex(net::option_class) +
        " in the order SMD, AUTH, CTRL, LIVE, TRACE, SERVICED, the inner frame. Numbers are "
        "big-endian; bits are counted from the most significant one, in words of 32 (w0, w1, …). "
        "Sizes are without the 4 bytes of an option's or context's own header.\n\n";
    for (const Section& section : sections()) {
        const auto places = section.layout();
        if (!places) return places.error();
        out += "## " + section.title + "\n\n" + section.text + " " + std::to_string(section.bytes) +
               " bytes.\n\n" + layout_table(*places, section.bytes, section.between);
    }
    out.pop_back();
    return out;
}

}  // namespace weir::reference
