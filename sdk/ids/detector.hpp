#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>

#include "example/tuple.hpp"
#include "ids/signatures.hpp"
#include "weir/handler.hpp"

// Intrusion detection as a service of Weir. Inline it keeps the packet that completes a signature
// and orders the rest of the flow dropped; as a tap (copies) it orders the same from beside.
namespace weir::ids {

class Detector : public service::Service {
public:
    // One JSON line, without the line end.
    using Log = std::function<void(const std::string& line)>;
    Detector(Database database, Log log) : database_(std::move(database)), log_(std::move(log)) {}

    service::Verdict on_packet(const service::PacketView& packet) override;
    // Streams begin anew; flows that are condemned stay so.
    void replace(Database database);
    // All counters as one JSON object.
    std::string status(const service::Counters& node) const;

    static constexpr std::size_t max_streams = 65'536;  // the one silent longest gives way

private:
    struct Key {
        example::Tuple tuple;
        std::uint32_t tenant_vni;
        bool operator<(const Key& other) const {
            return std::tuple_cat(tuple.key(), std::tie(tenant_vni)) <
                   std::tuple_cat(other.tuple.key(), std::tie(other.tenant_vni));
        }
    };
    // One direction of one flow.
    struct Flow {
        Stream stream;
        std::uint32_t next_sequence = 0;  // TCP
        bool in_order = false;            // next_sequence stands for something
        Action verdict = Action::alert;
        std::list<Key>::iterator use;
    };
    Flow& flow_of(const Key& key);
    void look_at(const service::PacketView& packet, Flow& flow, const example::Tuple& tuple);
    void take(const Signature& match, const service::PacketView& packet, Flow& flow,
              const example::Tuple& tuple);

    Database database_;
    Log log_;
    std::map<Key, Flow> flows_;
    std::list<Key> used_;  // longest silent first
    std::uint64_t compiled_ = 1;  // how many sets of signatures there were
    std::uint64_t packets_ = 0, bytes_ = 0, alerts_ = 0, ordered_ = 0, refused_orders_ = 0;
    std::uint64_t gaps_ = 0;  // TCP bytes that never came
};

// What is behind the TCP or UDP header of an Ethernet frame; empty where there is none. Nothing is
// read beyond the frame, padding behind the IP packet is left out.
std::span<const std::uint8_t> payload_of(std::span<const std::uint8_t> frame);

}  // namespace weir::ids
