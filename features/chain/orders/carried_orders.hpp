#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/stage.hpp"
#include "net/geneve.hpp"
#include "net/packet.hpp"

namespace weir::chain {

// What the proxies of a host remember of orders beyond one packet: a pool of the host's vault,
// shared by all workers and engines. Zeroed memory is a valid start; no pointers.
struct ProxyOrderMemory {
    static constexpr std::string_view pool_name = "proxy-orders";
    static constexpr std::uint32_t layout_version = 1;

    struct Issuer {
        std::atomic<std::uint32_t> node_id{0};   // 0: free
        std::atomic<std::uint32_t> sequence{0};  // of the node's last message
    };
    // Orders of earlier hops while their packet is inside a node.
    struct Carried {
        std::atomic<std::uint32_t> state{0};
        std::uint32_t node_id = 0;
        std::uint32_t handle = 0;
        bool reverse = false;
        std::uint8_t count = 0;
        std::uint64_t until_ns = 0;
        std::array<std::array<std::uint8_t, net::ctrl_bytes>, net::max_ctrl_options> ctrl;
    };
    std::array<Issuer, dataplane::HealthBoard::capacity> issuers;
    std::atomic<std::uint32_t> carrying{0};  // at most this many of `carried` are in use
    std::array<Carried, 256> carried;
};

// One worker's view of it.
class ProxyOrders {
public:
    void open(const dataplane::OpenInput& input);
    // Larger than in every message of the node before. 0: there is no memory.
    std::uint32_t next_sequence(std::uint32_t node_id, std::uint64_t now_ns);

    // No message of the node had a larger one; 0: there is no memory. And: what its former host has
    // used (MB-8).
    std::uint32_t last_sequence(std::uint32_t node_id, std::uint64_t now_ns) const;
    void raise_sequence(std::uint32_t node_id, std::uint32_t last, std::uint64_t now_ns);

    // Later hops pass orders on untouched (CT-4), but a node gets none: put() takes them off a
    // packet on its way into the node, give_back() gives them to the next packet of the flow's
    // direction that comes out. What finds no place or is not fetched within a second is lost; its
    // issuer repeats it (CT-8).
    void put(net::Packet& p, std::uint32_t node_id, std::uint64_t now_ns);
    void give_back(net::Packet& p, std::uint32_t node_id, std::uint64_t now_ns) {
        if (is_carrying()) [[unlikely]]
            find(p, node_id, now_ns);
    }
    // Whether there is anything to give back.
    bool is_carrying() const {
        return memory_ && memory_->carrying.load(std::memory_order_relaxed) != 0;
    }

private:
    void find(net::Packet& p, std::uint32_t node_id, std::uint64_t now_ns);
    ProxyOrderMemory::Issuer* issuer(std::uint32_t node_id, std::uint32_t now_ms);
    ProxyOrderMemory* memory_ = nullptr;
};

}  // namespace weir::chain
