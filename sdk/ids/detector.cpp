#include "ids/detector.hpp"

#include <algorithm>
#include <sstream>

namespace weir::ids {
namespace {

using example::Tuple;
using service::Verdict;

constexpr std::uint8_t tcp_syn = 0x02;

std::uint16_t get16(std::span<const std::uint8_t> b, std::size_t at) {
    return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}

// The IP packet without what Ethernet appended.
std::span<const std::uint8_t> ip_packet(std::span<const std::uint8_t> frame) {
    std::size_t at = 12;
    if (frame.size() < 14) return {};
    while (get16(frame, at) == 0x8100 || get16(frame, at) == 0x88a8) {
        at += 4;
        if (frame.size() < at + 2) return {};
    }
    const auto ip = frame.subspan(at + 2);
    if (ip.size() < 20) return {};
    const std::size_t bytes = ip[0] >> 4 == 4   ? get16(ip, 2)
                              : ip.size() >= 40 ? get16(ip, 4) + 40u
                                                : 0;
    return ip.first(std::min(bytes, ip.size()));
}

// Where the transport header is; extension headers of IPv6 but the fragment header end the look.
std::span<const std::uint8_t> transport(std::span<const std::uint8_t> ip, std::uint8_t& proto) {
    if (ip.size() < 20) return {};
    if (ip[0] >> 4 == 4) {
        const std::size_t header = (ip[0] & 15u) * 4;
        proto = ip[9];
        if ((get16(ip, 6) & 0x1fff) != 0 || header < 20 || header > ip.size()) return {};
        return ip.subspan(header);
    }
    if (ip.size() < 40) return {};
    proto = ip[6];
    return ip.subspan(40);
}

std::string line_of(const Signature& match, const service::Metadata& m, const Tuple& tuple) {
    std::ostringstream out;
    out << "{\"signature\":" << match.id << ",\"action\":\"" << name(match.action)
        << "\",\"tuple\":\"" << tuple.text() << "\",\"d\":" << (m.reverse ? 1 : 0)
        << ",\"copy\":" << (m.copy ? "true" : "false") << ",\"tenant_vni\":" << m.tenant_vni
        << ",\"sci\":" << m.sci << ",\"flow_handle\":" << m.flow_handle << "}";
    return out.str();
}

service::Order order_of(Action action) {
    return action == Action::reset ? service::Order::reset : service::Order::drop;
}

}  // namespace

std::span<const std::uint8_t> payload_of(std::span<const std::uint8_t> frame) {
    std::uint8_t proto = 0;
    const auto segment = transport(ip_packet(frame), proto);
    std::size_t header = 0;
    if (proto == example::proto_udp) header = 8;
    if (proto == example::proto_tcp && segment.size() >= 20) header = (segment[12] >> 4) * 4u;
    if (header < 8 || header > segment.size()) return {};
    return segment.subspan(header);
}

Detector::Flow& Detector::flow_of(const Key& key) {
    const auto known = flows_.find(key);
    if (known != flows_.end()) {
        used_.splice(used_.end(), used_, known->second.use);
        return known->second;
    }
    if (flows_.size() == max_streams) {
        flows_.erase(used_.front());
        used_.pop_front();
    }
    used_.push_back(key);
    Flow& flow = flows_[key];
    flow.use = std::prev(used_.end());
    flow.stream = database_.open();
    return flow;
}

void Detector::take(const Signature& match, const service::PacketView& packet, Flow& flow,
                    const Tuple& tuple) {
    ++alerts_;
    flow.verdict = std::max(flow.verdict, match.action);
    if (log_) log_(line_of(match, packet.metadata, tuple));
}

// A signature may begin in one segment and end in the next: what TCP repeats is left out, and
// where bytes are missing the stream begins anew. Datagrams stand alone.
void Detector::look_at(const service::PacketView& packet, Flow& flow, const Tuple& tuple) {
    auto bytes = payload_of(packet.frame);
    if (tuple.proto == example::proto_tcp) {
        const bool opens = (tuple.tcp_flags & tcp_syn) != 0;
        const std::uint32_t from = tuple.tcp_seq + (opens ? 1 : 0);
        const auto ahead = static_cast<std::int32_t>(from - flow.next_sequence);
        if (opens || !flow.in_order || ahead > 0) {
            if (flow.in_order && !opens) ++gaps_;
            database_.reset(flow.stream);
            flow.next_sequence = from;
            flow.in_order = true;
        } else {
            bytes = bytes.subspan(std::min<std::size_t>(bytes.size(),
                                                        static_cast<std::uint32_t>(-ahead)));
        }
        flow.next_sequence += static_cast<std::uint32_t>(bytes.size());
    } else {
        database_.reset(flow.stream);
    }
    bytes_ += bytes.size();
    for (const Signature* match :
         database_.scan(flow.stream, bytes.data(), static_cast<unsigned>(bytes.size())))
        take(*match, packet, flow, tuple);
}

Verdict Detector::on_packet(const service::PacketView& packet) {
    ++packets_;
    const auto tuple = example::read_tuple(packet.frame);
    if (!tuple) return Verdict::pass;
    Flow& flow = flow_of({*tuple, packet.metadata.tenant_vni});
    look_at(packet, flow, *tuple);
    if (flow.verdict == Action::alert) return Verdict::pass;
    // Nothing is acknowledged: as long as packets come, the order is given again.
    const auto error = packet.order({.order = order_of(flow.verdict)});
    ++(error == service::OrderError::none ? ordered_ : refused_orders_);
    return Verdict::drop;
}

void Detector::replace(Database database) {
    for (auto& [key, flow] : flows_) flow.stream = Stream();
    database_ = std::move(database);
    ++compiled_;
    for (auto& [key, flow] : flows_) {
        flow.stream = database_.open();
        flow.in_order = false;
    }
}

std::string Detector::status(const service::Counters& node) const {
    std::ostringstream out;
    out << "{\"received\":" << node.received << ",\"passed\":" << node.passed
        << ",\"dropped\":" << node.dropped << ",\"copies\":" << node.copies
        << ",\"compiled\":" << compiled_ << ",\"packets\":" << packets_
        << ",\"bytes\":" << bytes_ << ",\"alerts\":" << alerts_
        << ",\"orders\":" << ordered_ << ",\"refused_orders\":" << refused_orders_
        << ",\"gaps\":" << gaps_ << ",\"streams\":" << flows_.size() << "}";
    return out.str();
}

}  // namespace weir::ids
