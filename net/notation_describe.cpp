#include <algorithm>
#include <optional>
#include <string>

#include "net/arp.hpp"
#include "net/builder.hpp"
#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/hash.hpp"
#include "net/nd.hpp"
#include "net/notation.hpp"
#include "net/notation_line.hpp"
#include "net/notation_reader.hpp"
#include "net/notation_words.hpp"
#include "net/parse.hpp"
#include "net/parse_icmp.hpp"

namespace weir::net {
namespace notation {
namespace {

// `frame` as a packet of its own, parsed; an IPv4 header checksum that is wrong is mended and
// noted.
struct Opened {
    explicit Opened(Bytes frame) : buffer(frame, 0, 0) {
        error = parse(buffer.packet());
        if (error != ParseError::bad_ip_checksum) return;
        std::uint8_t* ip = buffer.packet().data + buffer.packet().headers.l3;
        fill_ip4_checksum({ip, (ip[0] & 15u) * 4});
        error = parse(buffer.packet());
        ip_checksum_was_bad = true;
    }
    PacketBuffer buffer;
    ParseError error;
    bool ip_checksum_was_bad = false;
};

std::string endpoint(const Ip& ip, std::optional<std::uint16_t> port) {
    if (!port) return ip.text();
    const std::string text = ip.is4() ? ip.text() : "[" + ip.text() + "]";
    return text + ":" + std::to_string(*port);
}

void add_tcp(Line& line, const Packet& packet) {
    const std::uint8_t* tcp = packet.data + packet.headers.l4;
    for (const words::TcpFlag& flag : words::tcp_flags)
        if (packet.headers.tcp_flags & flag.bit) line.word(flag.word);
    line.number_unless("seq", load32(tcp + 4), 0);
    line.number_unless("ack", load32(tcp + 8), 0);
    line.number_unless("win", load16(tcp + 14), FrameSpec{}.window);
    const std::uint32_t options = packet.headers.payload - packet.headers.l4 - tcp_min_bytes;
    if (options > 0) line.hex("opts", {tcp + tcp_min_bytes, options});
}

// A quoted packet, cut short or not, as a frame of its full length; what is missing counts on.
std::optional<Bytes> frame_of_quotation(std::span<const std::uint8_t> quoted, Family family) {
    FrameSpec link;
    link.ethertype = family == Family::ip4 ? ethertype_ip4 : ethertype_ip6;
    Bytes frame = build(link);
    const std::size_t needed = family == Family::ip4 ? ip4_min_bytes : ip6_bytes;
    if (quoted.size() < needed) return std::nullopt;
    const std::size_t total =
        family == Family::ip4 ? load16(quoted.data() + 2) : ip6_bytes + load16(quoted.data() + 4);
    frame.insert(frame.end(), quoted.begin(), quoted.end());
    if (total <= quoted.size()) return total == quoted.size() ? std::optional(frame) : std::nullopt;
    frame.resize(ethernet_bytes + total);
    Headers headers;
    Tuple tuple;
    if (parse_inner(frame, headers, tuple) != ParseError::none) return std::nullopt;
    for (std::size_t i = ethernet_bytes + quoted.size(); i < frame.size(); ++i)
        frame[i] = static_cast<std::uint8_t>(i - headers.payload);
    return frame;
}

void add_icmp(Line& line, const Packet& packet, unsigned depth) {
    const Headers& headers = packet.headers;
    const std::uint32_t rest = load32(packet.data + headers.l4 + 4);
    const words::IcmpMessage* known = nullptr;
    for (const words::IcmpMessage& message : words::icmp_messages)
        if (message.family == headers.family && message.type == headers.icmp_type &&
            message.code == headers.icmp_code)
            known = &message;
    if (known) {
        line.word(known->word);
    } else {
        line.number("type", headers.icmp_type);
        line.number_unless("code", headers.icmp_code, 0);
    }
    if (known && known->rest == words::Rest::identifier) {
        line.number("id", rest >> 16);
        line.number("seq", rest & 0xffff);
    } else {
        line.number_unless(known && known->rest == words::Rest::mtu ? "mtu" : "rest", rest, 0);
    }
    const std::span<const std::uint8_t> body{
        packet.data + headers.payload, static_cast<std::size_t>(headers.l3_end - headers.payload)};
    const auto quoted = is_icmp_error_type(headers.family, headers.icmp_type)
                            ? frame_of_quotation(body, headers.family)
                            : std::nullopt;
    if (!quoted || depth >= max_notation_depth) return line.payload(body);
    const bool cut = quoted->size() > ethernet_bytes + body.size();
    line.word("about");
    line.braced(describe_at_depth(*quoted, depth + 1, cut));
    if (cut) line.number("quote", body.size());
}

void add_payload(Line& line, const Packet& packet) {
    const Headers& headers = packet.headers;
    std::uint32_t end = headers.l3_end;
    if (headers.proto == proto_udp && headers.l4 != 0 && headers.fragment == Fragment::whole)
        end = std::min(end, headers.l4 + std::uint32_t{load16(packet.data + headers.l4 + 4)});
    line.payload({packet.data + headers.payload, end - headers.payload});
    if (end < headers.l3_end) line.number("+udp-pad", headers.l3_end - end);
}

void add_ip_options(Line& line, const Opened& opened, bool cut) {
    const Packet& packet = opened.buffer.packet();
    const Headers& headers = packet.headers;
    const std::uint8_t* ip = packet.data + headers.l3;
    const bool ip4 = headers.family == Family::ip4;
    line.number_unless("ttl", headers.ttl, FrameSpec{}.ttl);
    line.number_unless("tos", ip4 ? ip[1] : load16(ip) >> 4 & 0xff, 0);
    if (ip4 && (load16(ip + 6) & 0x4000)) line.word("df");
    const bool fragment = headers.fragment != Fragment::whole;
    if (fragment)
        line.pair("frag", std::to_string(headers.fragment_offset) +
                              (headers.fragment_more ? ":more" : ":last"));
    line.number_unless("ipid", headers.fragment_id, 0);
    const std::uint32_t options = ip4 ? (ip[0] & 15u) * 4 - ip4_min_bytes : 0;
    if (options > 0) line.hex("ipopts", {ip + ip4_min_bytes, options});
    const std::uint32_t plain = ip6_bytes + (fragment ? 8u : 0u);
    const std::uint32_t behind = headers.l4 != 0 ? headers.l4 : headers.payload;
    if (!ip4 && behind != headers.l3 + plain) line.word("+ext");
    if (opened.ip_checksum_was_bad) line.word("bad-ip-checksum");
    if (headers.proto == proto_udp && headers.l4 != 0 && load16(packet.data + headers.l4 + 6) == 0)
        line.word("no-checksum");
    else if (!cut && !l4_checksum_ok(packet))
        line.word("bad-checksum");
}

std::string describe_ip(const Opened& opened, unsigned depth, bool cut) {
    const Packet& packet = opened.buffer.packet();
    const Headers& headers = packet.headers;
    const bool ip4 = headers.family == Family::ip4;
    const bool known = headers.l4 != 0;
    const bool ports = known && (headers.proto == proto_tcp || headers.proto == proto_udp);
    const bool icmp = known && headers.proto == (ip4 ? proto_icmp : proto_icmp6);
    Line line("ip");
    if (ports) line = Line(headers.proto == proto_tcp ? "tcp" : "udp");
    if (icmp) line = Line(ip4 ? "icmp" : "icmp6");
    const std::uint8_t* ip = packet.data + headers.l3;
    const Ip src = ip4 ? Ip::from4(ip + 12) : Ip::from6(ip + 8);
    const Ip dst = ip4 ? Ip::from4(ip + 16) : Ip::from6(ip + 24);
    const auto port = [&](std::uint16_t value) {
        return ports ? std::optional(value) : std::nullopt;
    };
    line.word(endpoint(src, port(packet.tuple.src_port)));
    line.word(">");
    line.word(endpoint(dst, port(packet.tuple.dst_port)));
    if (!ports && !icmp) line.number("proto", headers.proto);
    if (ports && headers.proto == proto_tcp) add_tcp(line, packet);
    if (icmp) add_icmp(line, packet, depth);
    if (!icmp) {
        // A protocol whose header we do not spell out is all payload.
        Packet view = packet;
        if (!ports && known) view.headers.payload = headers.l4;
        add_payload(line, view);
    }
    add_ip_options(line, opened, cut);
    return line.text();
}

// "arp …", "rarp …" or "nd …" if that says all of the frame; it is tried out.
std::string describe_neighbour(const Packet& packet, std::span<const std::uint8_t> frame) {
    std::string text;
    if (const auto arp = read_arp(packet)) {
        if (arp->operation == ArpOperation::request)
            text = "arp who-has " + arp->target.text() + " tell " + arp->sender.text();
        if (arp->operation == ArpOperation::reply)
            text = "arp " + arp->sender.text() + " is-at " + arp->sender_mac.text() + " tell " +
                   arp->target.text();
        if (arp->operation == ArpOperation::rarp_request) text = "rarp " + arp->sender_mac.text();
    } else if (const auto message = read_neighbour(packet)) {
        if (message->solicitation)
            text = "nd who-has " + message->target.text() + " tell " + message->src.text();
        else if (message->link_address)
            text = "nd " + message->target.text() + " is-at " + message->link_address->text() +
                   " tell " + (message->solicited ? message->dst : Ip{}).text();
    }
    if (text.empty()) return text;
    for (const auto& [src, dst] :
         {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
        const std::string tried = text + link_words(frame, src, dst);
        const auto again = parse_notation(tried);
        if (again.ok() && std::equal(again->begin(), again->end(), frame.begin(), frame.end()))
            return tried;
    }
    return {};
}

std::string describe_other(std::span<const std::uint8_t> frame, const Headers& headers) {
    Line line("eth");
    line.pair("type", hex_number(headers.ethertype));
    line.payload(frame.subspan(headers.l3));
    return line.text() + unusual_link_words(frame);
}

std::string describe_unreadable(std::span<const std::uint8_t> frame, ParseError error) {
    Line line("unreadable");
    line.word(name(error));
    line.payload(frame);
    return line.text();
}

}  // namespace

std::string describe_at_depth(std::span<const std::uint8_t> frame, unsigned depth, bool cut) {
    const Opened opened(Bytes(frame.begin(), frame.end()));
    const Packet& packet = opened.buffer.packet();
    const Headers& headers = packet.headers;
    if (opened.error != ParseError::none) return describe_unreadable(frame, opened.error);
    if (std::string text = describe_neighbour(packet, frame); !text.empty()) return text;
    if (std::string text = describe_service(packet, depth); !text.empty()) return text;
    if (headers.family == Family::none) return describe_other(frame, headers);
    std::string text = describe_ip(opened, depth, cut) + unusual_link_words(frame);
    if (headers.l3_end < frame.size())
        text += " +pad=" + std::to_string(frame.size() - headers.l3_end);
    return text;
}

}  // namespace notation

std::string describe(std::span<const std::uint8_t> frame) {
    std::string text = notation::describe_at_depth(frame, 0, false);
    const Result<std::vector<std::uint8_t>> again = parse_notation(text);
    const bool exact =
        !again.ok() || std::equal(again->begin(), again->end(), frame.begin(), frame.end());
    return exact ? text : text + " +inexact";
}

std::string describe(const Packet& packet) {
    return describe(packet.bytes());
}

}  // namespace weir::net
