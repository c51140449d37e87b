#pragma once
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "bench/gen/hop_host.hpp"
#include "bench/gen/settings.hpp"

namespace weir::gen {

// Ports behind which somebody gives every packet back: service nodes, the other host. A packet goes
// back in the same memory, so that it costs the same little on every side under test.
class Bounce {
public:
    void configure(const Settings& settings) {
        nodes_ = settings.nodes;
        far_ = settings.far;
    }
    // The port is number `number` of the generator's world, and has just started.
    void attach(std::uint16_t port, unsigned number) {
        if (number >= most_ports) return;
        ends_[number] = std::make_unique<End>();
        End& end = *ends_[number];
        end.bounce = this;
        end.number = number;
        rte_eth_dev_info info{};
        if (rte_eth_dev_info_get(port, &info) != 0) return;
        rte_eth_add_rx_callback(port, 0, receive, &end);
        for (std::uint16_t queue = 0; queue < info.nb_tx_queues; ++queue)
            rte_eth_add_tx_callback(port, queue, transmit, &end);
    }

private:
    static constexpr unsigned most_ports = 64;
    static constexpr std::uint32_t capacity = 4096;  // more than may be under way

    struct End {
        Bounce* bounce = nullptr;
        unsigned number = 0;
        rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;
        std::uint32_t head = 0, tail = 0;
        std::array<rte_mbuf*, capacity> waiting;
    };

    // Which port a packet sent to port `number` comes back from.
    unsigned back_from(unsigned number) const {
        return number >= first_node_port && nodes_ == Nodes::wire ? number ^ 1 : number;
    }
    // False: nobody answers this one.
    bool work(unsigned number, std::uint8_t* frame, std::uint32_t length) const {
        if (number == far_port) return answer_as_hop_host(far_, frame, length);
        if (nodes_ == Nodes::turn) std::swap_ranges(frame, frame + 6, frame + 6);
        return nodes_ != Nodes::none;
    }
    static std::uint16_t transmit(std::uint16_t, std::uint16_t, rte_mbuf** packets,
                                  std::uint16_t count, void* user) {
        const End& from = *static_cast<End*>(user);
        End* to = from.bounce->ends_[from.bounce->back_from(from.number)].get();
        if (!to) return count;
        rte_spinlock_lock(&to->lock);
        for (std::uint16_t i = 0; i < count; ++i) {
            rte_mbuf& m = *packets[i];
            const bool whole = m.nb_segs == 1 && rte_mbuf_refcnt_read(&m) == 1;
            if (!whole || to->tail - to->head == capacity ||
                !from.bounce->work(from.number, rte_pktmbuf_mtod(&m, std::uint8_t*), m.data_len))
                continue;
            rte_mbuf_refcnt_update(&m, 1);  // the driver frees it once, as it must
            to->waiting[to->tail++ % capacity] = &m;
        }
        rte_spinlock_unlock(&to->lock);
        return count;
    }
    static std::uint16_t receive(std::uint16_t port, std::uint16_t, rte_mbuf** packets,
                                 std::uint16_t count, std::uint16_t max, void* user) {
        End& end = *static_cast<End*>(user);
        if (end.head == end.tail) return count;
        rte_spinlock_lock(&end.lock);
        while (count < max && end.head != end.tail) {
            rte_mbuf& m = *end.waiting[end.head++ % capacity];
            m.port = port;
            m.ol_flags = 0;
            m.packet_type = 0;
            m.vlan_tci = 0;
            m.tx_offload = 0;
            packets[count++] = &m;
        }
        rte_spinlock_unlock(&end.lock);
        return count;
    }

    Nodes nodes_ = Nodes::none;
    Far far_ = Far::none;
    std::array<std::unique_ptr<End>, most_ports> ends_;
};

}  // namespace weir::gen
