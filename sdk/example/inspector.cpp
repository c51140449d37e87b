#include "example/inspector.hpp"

#include <sstream>

namespace weir::example {

using service::Verdict;

namespace {

const char* text(Verdict verdict) {
    return verdict == Verdict::pass ? "pass" : "drop";
}

// Names and rules are plain words; only what JSON forbids needs care.
std::string quoted(const std::string& plain) {
    std::string out = "\"";
    for (const char c : plain) {
        if (c == '"' || c == '\\') out += '\\';
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out + '"';
}

std::string log_line(const service::Metadata& m, const Tuple& tuple, Verdict verdict) {
    std::ostringstream out;
    out << "{\"sci\":" << m.sci << ",\"spi\":" << m.spi << ",\"si\":" << unsigned{m.si}
        << ",\"d\":" << (m.reverse ? 1 : 0) << ",\"tenant_vni\":" << m.tenant_vni
        << ",\"flow_handle\":" << m.flow_handle << ",\"tuple\":" << quoted(tuple.text())
        << ",\"tcp_seq\":" << tuple.tcp_seq << ",\"tcp_flags\":" << unsigned{tuple.tcp_flags}
        << ",\"verdict\":\"" << text(verdict) << "\"}";
    return out.str();
}

}  // namespace

Verdict Inspector::judge(const service::PacketView& packet, const Tuple& tuple) {
    for (Rule& rule : rules_) {
        if (!matches(rule, tuple)) continue;
        ++rule.hits;
        if (rule.order.order != service::Order::none &&
            packet.order(rule.order) != service::OrderError::none)
            ++refused_orders_;
        return rule.verdict;
    }
    return Verdict::pass;
}

Verdict Inspector::on_packet(const service::PacketView& packet) {
    const service::Metadata& m = packet.metadata;
    ++places_[{m.sci, m.spi, m.si, m.reverse}];
    const auto tuple = read_tuple(packet.frame);
    if (!tuple) {
        ++not_ip_;
        return Verdict::pass;
    }
    const Verdict verdict = judge(packet, *tuple);
    const FlowKey key{*tuple, m.tenant_vni, m.reverse};
    bool first = false;
    if (auto known = flows_.find(key); known != flows_.end()) {
        ++known->second;
    } else if (flows_.size() < max_flows) {
        flows_.emplace(key, 1);
        first = true;
    } else {
        ++forgotten_flows_;
    }
    if (log_ && (first || every_packet_)) log_(log_line(m, *tuple, verdict));
    if (translation_ && verdict == Verdict::pass) translate(packet.writable, *translation_);
    return verdict;
}

std::string Inspector::status(const service::Counters& node) const {
    std::ostringstream out;
    out << "{\"received\":" << node.received << ",\"passed\":" << node.passed
        << ",\"dropped\":" << node.dropped << ",\"copies\":" << node.copies
        << ",\"oam\":" << node.oam << ",\"live_answers\":" << node.live_answers
        << ",\"malformed\":" << node.malformed << ",\"ignored\":" << node.ignored
        << ",\"orders\":" << node.orders << ",\"refused_orders\":" << refused_orders_
        << ",\"send_failures\":" << node.send_failures << ",\"flows\":" << flows_.size()
        << ",\"forgotten_flows\":" << forgotten_flows_ << ",\"not_ip\":" << not_ip_
        << ",\"places\":[";
    const char* comma = "";
    for (const auto& [place, packets] : places_) {
        out << comma << "{\"sci\":" << place.sci << ",\"spi\":" << place.spi
            << ",\"si\":" << unsigned{place.si} << ",\"d\":" << (place.reverse ? 1 : 0)
            << ",\"packets\":" << packets << "}";
        comma = ",";
    }
    out << "],\"rules\":[";
    comma = "";
    for (const Rule& rule : rules_) {
        out << comma << "{\"rule\":" << quoted(rule.text) << ",\"hits\":" << rule.hits << "}";
        comma = ",";
    }
    out << "]}";
    return out.str();
}

}  // namespace weir::example
