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

void Detector::begin(Flow& flow, std::uint32_t from, bool is_joined) {
    database_.reset(flow.stream);
    flow.next_sequence = from;
    flow.seen = 0;
    flow.in_order = true;
    flow.is_joined = is_joined;
    flow.opening.reset();
    flow.times_ahead = 0;
}

void Detector::scan(Stream& stream, Bytes bytes, const service::PacketView& packet, Flow& flow,
                    const Tuple& tuple) {
    bytes_ += bytes.size();
    const auto found = database_.scan(stream, bytes.data(), static_cast<unsigned>(bytes.size()));
    if (!found) flow.verdict = std::max(flow.verdict, Action::drop), ++failures_;
    for (const Signature* match : found.value_or(std::vector<const Signature*>{}))
        take(*match, packet, flow, tuple);
}

void Detector::scan_alone(Bytes bytes, const service::PacketView& packet, Flow& flow,
                          const Tuple& tuple) {
    Stream alone = database_.open();
    scan(alone, bytes, packet, flow, tuple);
}

// Keeps the bytes of a connection in their order: a signature may begin in one segment and end in
// the next. Inline, a segment that is not the next one waits, which is to say that TCP sends it
// again, in its order; copies are looked at one by one where they are out of order. What is sent
// again is looked at again, for it may be something else.
bool Detector::follow(const service::PacketView& packet, Flow& flow, const Tuple& tuple) {
    const Bytes bytes = payload_of(packet.frame);
    const bool opens = (tuple.tcp_flags & tcp_syn) != 0, inline_ = !packet.metadata.copy;
    const std::uint32_t from = tuple.tcp_seq + (opens ? 1 : 0);
    if (!flow.in_order || (opens && flow.seen == 0)) begin(flow, from, !opens);
    if (opens) flow.opening = from;
    if (bytes.empty()) return true;  // acknowledges; says nothing of the bytes before it
    auto ahead = static_cast<std::int32_t>(from - flow.next_sequence);
    const bool is_stranger =
        ahead > 0 || static_cast<std::uint64_t>(-std::int64_t{ahead}) > flow.seen;
    if (is_stranger && flow.opening == from) {
        begin(flow, from, false);
        ahead = 0;
    } else if (is_stranger && inline_ && !(ahead < 0 && flow.is_joined)) {
        if (ahead < 0) return false;  // of a part that was given up: nobody waits for it
        const bool is_first = flow.times_ahead == 0 ||
                              static_cast<std::int32_t>(from - flow.ahead) < 0;
        flow.times_ahead = is_first ? 1 : flow.times_ahead + (from == flow.ahead ? 1 : 0);
        if (is_first) flow.ahead = from;
        if (from != flow.ahead || flow.times_ahead < times_to_believe) return false;
    }
    if (ahead > 0) {
        ++gaps_;
        begin(flow, from, false);
        ahead = 0;
    }
    const auto again = std::min<std::size_t>(bytes.size(), static_cast<std::uint32_t>(-ahead));
    if (again > 0) scan_alone(bytes, packet, flow, tuple);
    const Bytes next = bytes.subspan(again);
    if (flow.verdict == Action::alert) scan(flow.stream, next, packet, flow, tuple);
    flow.next_sequence += static_cast<std::uint32_t>(next.size());
    flow.seen += next.size();
    if (!next.empty()) flow.times_ahead = 0;
    return true;
}

// Datagrams stand alone.
bool Detector::look_at(const service::PacketView& packet, Flow& flow, const Tuple& tuple) {
    if (tuple.proto == example::proto_tcp) return follow(packet, flow, tuple);
    database_.reset(flow.stream);
    scan(flow.stream, payload_of(packet.frame), packet, flow, tuple);
    return true;
}

Verdict Detector::on_packet(const service::PacketView& packet) {
    ++packets_;
    const auto tuple = example::read_tuple(packet.frame);
    if (!tuple) return Verdict::pass;
    Flow& flow = flow_of({*tuple, packet.metadata.tenant_vni});
    const bool may_go_on = flow.verdict != Action::alert || look_at(packet, flow, *tuple);
    if (flow.verdict == Action::alert) {
        kept_back_ += may_go_on ? 0 : 1;
        return may_go_on ? Verdict::pass : Verdict::drop;
    }
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
        << ",\"gaps\":" << gaps_ << ",\"kept_back\":" << kept_back_
        << ",\"failures\":" << failures_ << ",\"streams\":" << flows_.size() << "}";
    return out.str();
}

}  // namespace weir::ids
