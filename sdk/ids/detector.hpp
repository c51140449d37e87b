#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <span>
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
    // A segment that comes so often though bytes before it lack: its receiver has those bytes.
    static constexpr unsigned times_to_believe = 3;

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
        // TCP: what stands in the stream, and what may be behind it.
        std::uint32_t next_sequence = 0;  // of the byte behind the stream's last one
        std::uint64_t seen = 0;           // bytes of the stream: these may be sent again
        bool in_order = false;            // the two above stand for something
        bool is_joined = false;           // in the middle: what was before is not known
        std::optional<std::uint32_t> opening;  // a SYN amid the stream: of the byte behind it
        std::uint32_t ahead = 0;          // the first that was kept back as bytes before it lack
        unsigned times_ahead = 0;         // how often it came
        Action verdict = Action::alert;
        std::list<Key>::iterator use;
    };
    using Bytes = std::span<const std::uint8_t>;
    Flow& flow_of(const Key& key);
    // False: the packet must not go on yet.
    bool look_at(const service::PacketView& packet, Flow& flow, const example::Tuple& tuple);
    bool follow(const service::PacketView& packet, Flow& flow, const example::Tuple& tuple);
    void begin(Flow& flow, std::uint32_t from, bool is_joined);
    void scan(Stream& stream, Bytes bytes, const service::PacketView& packet, Flow& flow,
              const example::Tuple& tuple);
    void scan_alone(Bytes bytes, const service::PacketView& packet, Flow& flow,
                    const example::Tuple& tuple);
    void take(const Signature& match, const service::PacketView& packet, Flow& flow,
              const example::Tuple& tuple);

    Database database_;
    Log log_;
    std::map<Key, Flow> flows_;
    std::list<Key> used_;  // longest silent first
    std::uint64_t compiled_ = 1;  // how many sets of signatures there were
    std::uint64_t packets_ = 0, bytes_ = 0, alerts_ = 0, ordered_ = 0, refused_orders_ = 0;
    std::uint64_t gaps_ = 0;       // TCP bytes that never came
    std::uint64_t kept_back_ = 0;  // packets that came out of order
    std::uint64_t failures_ = 0;   // packets that could not be scanned, for want of memory
};

// What is behind the TCP or UDP header of an Ethernet frame; empty where there is none. Nothing is
// read beyond the frame, padding behind the IP packet is left out.
std::span<const std::uint8_t> payload_of(std::span<const std::uint8_t> frame);

}  // namespace weir::ids
