#pragma once
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/abi.hpp"
#include "model/value.hpp"

namespace weir::scenario {

using Frame = std::vector<std::uint8_t>;

// A frame that left the host through a port, or was given to it.
struct Sent {
    std::string host, port;
    Frame frame;
};

// What a device with offloads left to the host (net/packet.hpp).
struct Offload {
    std::uint16_t flags = 0;
    std::uint16_t segment_bytes = 0;
};

// The smallest shell there is: an engine through its C ABI (two while one takes over), heap
// packets, memory ports, virtual time. Workers are called one after the other, so that every run is
// the same.
class FakeHost {
public:
    // `flows`: records that each worker's table holds.
    FakeHost(std::string name, std::uint32_t workers, std::uint32_t flows);
    ~FakeHost();
    FakeHost(const FakeHost&) = delete;

    // Opens the ports of `port_names` that are not open yet, closes others, publishes. Empty:
    // applied.
    std::string apply(const std::string& canonical, std::uint64_t revision,
                      const std::vector<std::string>& port_names);
    // A device comes up that no resource names yet.
    void open(const std::string& port);
    // `frame` is complete; what `offload` says was left undone is undone first.
    void receive(const std::string& port, const Frame& frame, std::uint64_t now_ns,
                 const Offload& offload = {});
    void tick(std::uint64_t now_ns);
    // Replaces the engine by a fresh one that finds the flows in the same pools (a restart).
    void restart_engine();
    // What was in the pools whose names begin so is lost.
    void lose_pools(const std::string& names_with);
    // Moves these ports, or all, to a second engine, which becomes the only one with the last port.
    void swap_engine(const std::vector<std::string>& port_names);

    // A port moves: here from another host …
    std::uint32_t prepare_arrival(const std::string& port, std::uint32_t from_host);
    std::string load(const std::string& port, const std::vector<std::string>& blobs);
    void activate(const std::string& port, std::uint32_t from_host);
    // … and to another host. To net::no_port: it is frozen, and nobody knows yet where to.
    std::vector<std::string> save_pass(const std::string& port, bool delta);
    void forward(const std::string& port, std::uint32_t to_host, std::uint32_t to_anchor,
                 const std::string& handles, std::uint64_t for_ns);
    void leave(const std::string& port);  // without a word where to
    void stay(const std::string& port);   // after all

    // The answer of the first worker.
    model::Value ask(const model::Value& request, std::uint64_t now_ns);
    model::Value query(const model::Value& request, std::uint64_t now_ns);  // rows of all workers
    std::uint64_t counter(const std::string& metric,
                          const std::map<std::string, std::string>& labels);

    // Frames that left since the last call, in order.
    std::vector<Sent> take_sent();
    // Adds the exits that this host's engines have counted, those before a restart among them.
    void add_exits(std::map<std::string, std::uint64_t>& taken);
    std::uint32_t packets_in_use() const { return in_use_; }
    const std::string& name() const { return name_; }
    std::vector<std::string> port_names() const;
    std::vector<std::string> events;
    std::uint32_t most_packets = ~0u;  // beyond that the engine gets no more

private:
    struct Pool {
        std::unique_ptr<std::byte, void (*)(void*)> memory{nullptr, std::free};
        std::byte* start = nullptr;
        std::size_t bytes = 0;
    };
    static FakeHost& of(void* host) { return *static_cast<FakeHost*>(host); }
    net::Packet* make_packet(std::uint32_t room);
    void free_packet(net::Packet* p);
    model::Value ask_worker(weir_engine* engine, std::uint32_t worker, const model::Value& request,
                            std::uint64_t now_ns);
    std::vector<weir_engine*> engines() const;
    weir_engine* owner_of(std::uint32_t port) const;
    void run(std::uint32_t worker, net::Packet* p, std::uint64_t now_ns);
    void leave(weir_engine* engine);
    void free_handed_over();
    void start_second_engine();
    void move_port(std::uint32_t index);
    void run_pending(std::uint64_t now_ns);
    void run_or_park(std::uint32_t worker, net::Packet* p, std::uint64_t now_ns);
    void thaw(std::uint32_t port);
    void* pool(const char* name, std::size_t bytes, std::uint32_t* adoption);
    weir_port_info info_of(const std::string& name, std::uint32_t index) const;
    std::string attach(const std::string& name, std::uint32_t index);

    const std::string name_;
    weir_host_vtable vtable_{};
    const weir_engine_api api_;
    weir_engine* engine_ = nullptr;
    weir_engine* second_ = nullptr;  // takes over from the other, port by port
    std::set<std::uint32_t> moved_;  // ports it has
    std::map<std::string, Pool> pools_;
    std::map<std::string, std::uint32_t> ports_;
    std::map<std::uint32_t, std::string> names_;
    std::vector<std::deque<net::Packet*>> inbox_;  // per worker, from other workers
    std::deque<std::pair<std::uint32_t, net::Packet*>> to_engine_;  // worker, packet
    std::map<std::string, std::uint32_t> arriving_;
    std::set<std::uint32_t> frozen_;
    std::vector<std::pair<std::uint32_t, net::Packet*>> parked_;  // for frozen ports
    std::vector<Sent> sent_;
    std::uint32_t in_use_ = 0;
    std::uint32_t instance_ = 0;
    std::uint32_t shared_from_ = 0;  // instance that started beside another
    std::uint64_t now_ns_ = 0;
    std::string last_snapshot_;
    std::uint64_t last_revision_ = 0;
    std::map<std::string, std::uint64_t> exits_of_past_engines_;
};

}  // namespace weir::scenario
