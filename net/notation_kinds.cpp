#include <algorithm>
#include <string>

#include "net/arp.hpp"
#include "net/ethernet.hpp"
#include "net/nd.hpp"
#include "net/notation_draft.hpp"
#include "net/parse.hpp"

namespace weir::net::notation {
namespace {

Status expect(NotationReader& reader, std::string_view wanted) {
    const std::string_view word = reader.next();
    return word == wanted
               ? Status{}
               : bad_word(word, "stands where \"" + std::string(wanted) + "\" is needed");
}

// "SRC > DST", with ports if the protocol has them.
Status take_addresses(Draft& draft, NotationReader& reader) {
    const std::string_view from = reader.next();
    const Result<Endpoint> src = read_endpoint(from);
    if (!src) return src.error();
    if (const Status arrow = expect(reader, ">"); !arrow) return arrow;
    const std::string_view to = reader.next();
    const Result<Endpoint> dst = read_endpoint(to);
    if (!dst) return dst.error();
    if (src->ip.is4() != dst->ip.is4()) return bad_word(to, "is of another family than the source");
    const bool src_port = draft.kind & (kind_tcp | kind_udp | kind_geneve);
    const bool dst_port = draft.kind & (kind_tcp | kind_udp);
    if (src->port.has_value() != src_port)
        return bad_word(from, src_port ? "needs a port" : "has a port");
    if (dst->port.has_value() != dst_port)
        return bad_word(to, dst_port ? "needs a port" : "has a port");
    draft.spec.has_ip = true;
    draft.spec.src = src->ip;
    draft.spec.dst = dst->ip;
    draft.spec.src_port = src->port.value_or(0);
    draft.spec.dst_port = dst->port.value_or(0);
    return {};
}

// Bytes 4…7 and the quoted packet of an ICMP message.
Status finish_icmp(Draft& draft) {
    FrameSpec& spec = draft.spec;
    const words::Rest rest = draft.message ? draft.message->rest : words::Rest::number;
    const bool names = draft.identifier || draft.sequence;
    if (names && rest != words::Rest::identifier) return bad_word("id", "belongs to echo only");
    if (draft.mtu && rest != words::Rest::mtu)
        return bad_word("mtu", "belongs to frag-needed and too-big only");
    if (names)
        spec.icmp_rest = static_cast<std::uint32_t>(draft.identifier.value_or(0) << 16 |
                                                    draft.sequence.value_or(0));
    if (draft.mtu) spec.icmp_rest = static_cast<std::uint32_t>(*draft.mtu);
    if (draft.wants_inner != draft.inner.has_value())
        return bad_word("about", "needs a packet in braces behind it");
    if (!draft.inner) return {};
    Headers inner;
    Tuple tuple;
    parse_inner(*draft.inner, inner, tuple);  // the quoted packet may be broken on purpose
    if (inner.ethertype != ethertype_ip4 && inner.ethertype != ethertype_ip6)
        return bad_word("about", "quotes a packet that is not IP");
    const std::size_t bytes =
        std::min<std::size_t>(draft.inner->size() - inner.l3, draft.quote.value_or(65535));
    const auto start = draft.inner->begin() + inner.l3;
    spec.payload.assign(start, start + static_cast<std::ptrdiff_t>(bytes));
    return {};
}

Bytes with_tags(PacketBuffer buffer, const FrameSpec& spec) {
    for (std::size_t i = spec.vlans.size(); i-- > 0;)
        push_vlan(buffer.packet(), spec.vlans[i],
                  i + 1 < spec.vlans.size() ? ethertype_qinq : ethertype_vlan);
    return buffer.frame();
}

Result<Ip> take_ip(NotationReader& reader, Family family) {
    const std::string_view word = reader.next();
    const Result<Ip> ip = Ip::parse(word);
    if (!ip) return bad_word(word, ip.error().message);
    if (ip->family() != family) return bad_word(word, "is of the wrong family");
    return ip;
}

Result<Mac> take_hardware(NotationReader& reader) {
    const std::string_view word = reader.next();
    const Result<Mac> mac = Mac::parse(word);
    return mac ? mac : Result<Mac>(bad_word(word, mac.error().message));
}

// "who-has TARGET tell SENDER" or "SENDER is-at MAC tell TARGET".
struct NeighbourLine {
    bool question = false;
    Ip sender, target;
    Mac mac;
};

Result<NeighbourLine> take_neighbour(NotationReader& reader, Family family) {
    NeighbourLine line;
    NotationReader ahead = reader;
    line.question = ahead.next() == "who-has";
    if (line.question) reader = ahead;
    Result<Ip> first = take_ip(reader, family);
    if (!first) return first.error();
    if (!line.question) {
        if (const Status status = expect(reader, "is-at"); !status) return status.error();
        const Result<Mac> mac = take_hardware(reader);
        if (!mac) return mac.error();
        line.mac = *mac;
    }
    if (const Status status = expect(reader, "tell"); !status) return status.error();
    const Result<Ip> second = take_ip(reader, family);
    if (!second) return second.error();
    line.sender = line.question ? *second : *first;
    line.target = line.question ? *first : *second;
    return line;
}

}  // namespace

Result<Bytes> finish_ip(Draft& draft, NotationReader& reader) {
    if (const Status status = take_addresses(draft, reader); !status) return status.error();
    if (draft.kind == kind_icmp && draft.spec.src.is4() != (draft.spec.proto == proto_icmp))
        return bad_word(draft.spec.proto == proto_icmp ? "icmp" : "icmp6",
                        "has addresses of the other family");
    if (const Status status = take_options(draft, reader); !status) return status.error();
    if (draft.kind == kind_icmp)
        if (const Status status = finish_icmp(draft); !status) return status.error();
    return build(draft.spec);
}

Result<Bytes> finish_arp(Draft& draft, NotationReader& reader) {
    const Result<NeighbourLine> line = take_neighbour(reader, Family::ip4);
    if (!line) return line.error();
    if (const Status status = take_options(draft, reader); !status) return status.error();
    const FrameSpec& spec = draft.spec;
    PacketBuffer out;
    if (line->question)
        write_arp_request(out.packet(), spec.src_mac, line->sender, line->target);
    else
        write_arp(out.packet(), spec.dst_mac, line->mac,
                  {ArpOperation::reply, line->mac, spec.dst_mac, line->sender, line->target});
    if (draft.dst_mac_given) spec.dst_mac.store(out.packet().data);
    return with_tags(std::move(out), spec);
}

Result<Bytes> finish_nd(Draft& draft, NotationReader& reader) {
    const Result<NeighbourLine> line = take_neighbour(reader, Family::ip6);
    if (!line) return line.error();
    if (const Status status = take_options(draft, reader); !status) return status.error();
    const FrameSpec& spec = draft.spec;
    PacketBuffer out;
    if (line->question) {
        const Mac* to = draft.dst_mac_given ? &spec.dst_mac : nullptr;
        write_neighbour_solicitation(out.packet(), spec.src_mac, line->sender, line->target, to);
    } else {
        Neighbour question;
        question.src = line->target;
        question.target = line->sender;
        write_neighbour_advertisement(out.packet(), question, spec.dst_mac, line->mac, false);
    }
    return with_tags(std::move(out), spec);
}

Result<Bytes> finish_rarp(Draft& draft, NotationReader& reader) {
    const Result<Mac> mac = take_hardware(reader);
    if (!mac) return mac.error();
    if (const Status status = take_options(draft, reader); !status) return status.error();
    PacketBuffer out;
    write_rarp_announcement(out.packet(), *mac);
    return with_tags(std::move(out), draft.spec);
}

Result<Bytes> finish_eth(Draft& draft, NotationReader& reader) {
    if (const Status status = take_options(draft, reader); !status) return status.error();
    return build(draft.spec);
}

Result<Bytes> finish_geneve(Draft& draft, NotationReader& reader) {
    if (const Status status = take_addresses(draft, reader); !status) return status.error();
    if (const Status status = take_options(draft, reader); !status) return status.error();
    const FrameSpec& spec = draft.spec;
    PacketBuffer out(draft.inner.value_or(Bytes{}), 512);
    const bool oam = draft.nsh.smd.oam;
    const OuterAddresses way{spec.src, spec.dst, spec.src_mac, spec.dst_mac, spec.traffic_class};
    GeneveHeader header;
    header.vni = draft.vni;
    header.oam = oam;
    header.smd = draft.has_smd ? &draft.nsh.smd : nullptr;
    header.trace = draft.trace ? &*draft.trace : nullptr;
    header.serviced = draft.serviced ? &*draft.serviced : nullptr;
    header.ctrl[0] = draft.ctrl;
    header.ctrl_count = draft.ctrl.empty() ? 0 : 1;
    const bool fits =
        push_geneve(out.packet(), header) && push_outer(out.packet(), way, spec.src_port, spec.ttl);
    if (!fits) return bad_word("geneve", "makes the packet longer than 65535");
    return with_tags(std::move(out), spec);
}

Result<Bytes> finish_nsh(Draft& draft, NotationReader& reader) {
    if (const Status status = take_options(draft, reader); !status) return status.error();
    PacketBuffer out(draft.inner.value_or(Bytes{}), 512);
    push_nsh(out.packet(), draft.nsh);
    push_ethernet(out.packet(), draft.spec.dst_mac, draft.spec.src_mac, ethertype_nsh);
    return with_tags(std::move(out), draft.spec);
}

}  // namespace weir::net::notation
