#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "example/nat.hpp"
#include "example/rules.hpp"
#include "example/tuple.hpp"
#include "weir/handler.hpp"

namespace weir::example {

// The example service: counts flows, drops and gives orders by rules, tells what it saw.
class Inspector : public service::Service {
public:
    // One JSON line, without the line end.
    using Log = std::function<void(const std::string& line)>;

    // `every_packet`: log each packet, not only the first of each direction of a flow.
    Inspector(std::vector<Rule> rules, Log log, bool every_packet)
        : rules_(std::move(rules)), log_(std::move(log)), every_packet_(every_packet) {}

    service::Verdict on_packet(const service::PacketView& packet) override;

    // From now on packets that pass leave so.
    void translate_by(const Translation& translation) { translation_ = translation; }

    // Keeps what was counted.
    void replace_rules(std::vector<Rule> rules) { rules_ = std::move(rules); }

    // All counters as one JSON object.
    std::string status(const service::Counters& node) const;

    static constexpr std::size_t max_flows =
        65536;  // beyond that, flows are seen but not remembered

private:
    struct Place {  // where on which path
        std::uint32_t sci, spi;
        std::uint8_t si;
        bool reverse;
        auto operator<=>(const Place&) const = default;
    };
    struct FlowKey {
        Tuple tuple;
        std::uint32_t tenant_vni;
        bool reverse;
        bool operator<(const FlowKey& other) const {
            return std::tuple_cat(tuple.key(), std::tie(tenant_vni, reverse)) <
                   std::tuple_cat(other.tuple.key(), std::tie(other.tenant_vni, other.reverse));
        }
    };
    service::Verdict judge(const service::PacketView& packet, const Tuple& tuple);

    std::vector<Rule> rules_;
    Log log_;
    bool every_packet_;
    std::optional<Translation> translation_;
    std::map<FlowKey, std::uint64_t> flows_;  // packets
    std::map<Place, std::uint64_t> places_;   // packets
    std::uint64_t forgotten_flows_ = 0;
    std::uint64_t not_ip_ = 0;
    std::uint64_t refused_orders_ = 0;
};

}  // namespace weir::example
