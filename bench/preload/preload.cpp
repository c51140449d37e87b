// The generator inside whatever process uses DPDK: preloaded, it gives every net_null port that is
// started a source (what the port receives) and a sink (what is sent there): 0 and 1 the sides, 3 a
// guest that only disturbs, the others service nodes and the other host (bounce.hpp). A side with
// several queues has a source and a sink for each, with the flows that a card would give it
// (card.hpp). Public DPDK calls only. WEIR_GEN holds the settings; see bench/README.md.
#include <dlfcn.h>
#include <rte_config.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/gen/sink.hpp"
#include "bench/gen/source.hpp"
#include "bench/gen/stand_alone.hpp"
#include "bench/preload/bounce.hpp"
#include "bench/preload/card.hpp"

namespace weir::gen {
namespace {

constexpr std::uint16_t largest_burst = 64;
constexpr std::uint32_t sides = 2;

struct Side {
    Side(const Settings& settings, unsigned number, Page& page, Common& common,
         std::span<const std::uint32_t> flows)
        : source(settings, number, page, common, flows),
          sink(settings, number, page, common.dues[number ^ 1]) {}
    Source source;
    Sink sink;
    rte_mempool* pool = nullptr;
    rte_spinlock_t sending = RTE_SPINLOCK_INITIALIZER;
};

// A guest that sends noise alone, as much as is asked for.
struct Disturber {
    Disturber(const Settings& settings, Page& shared) : noise(settings), page(shared) {}
    Noise noise;
    Page& page;
    rte_mempool* pool = nullptr;
};

// Both sides of the flows that have one queue, of those that the ports have; all where they have
// one.
struct Part {
    Part(const Settings& settings, Page& shared, std::vector<std::uint32_t> named)
        : page(shared), flows(std::move(named)) {
        for (unsigned i = 0; i < sides; ++i)
            side[i] = std::make_unique<Side>(settings, i, page, *common, flows);
    }
    Page& page;
    const std::vector<std::uint32_t> flows;
    std::unique_ptr<Common> common = std::make_unique<Common>();
    std::array<std::unique_ptr<Side>, sides> side;
};

// One for the process; made when the first port starts.
struct Generator {
    Generator() {
        disturber = std::make_unique<Disturber>(settings, pages[0]);
        bounce.configure(settings);
        if (settings.parts == 1) parts.push_back(make_part(0, {}));
        for (Page& page : pages) page.magic.set(page_magic);
    }
    std::unique_ptr<Part> make_part(std::size_t number, std::vector<std::uint32_t> flows) {
        return std::make_unique<Part>(settings, pages[number], std::move(flows));
    }

    const Settings settings = settings_of_environment();
    const std::span<Page> pages = open_pages(settings, rte_get_tsc_hz());
    std::vector<std::unique_ptr<Part>> parts;  // of several, once a side has started
    std::array<rte_mempool*, sides> pools{};   // of the sides' packets
    std::unique_ptr<Disturber> disturber;
    Bounce bounce;

    // Where the memory of that port's packets is kept; null: nobody asks.
    rte_mempool** pool_of(unsigned number) {
        if (number < sides) return &pools[number];
        return number == noise_port ? &disturber->pool : nullptr;
    }

    static Generator& one() {
        static Generator generator;
        return generator;
    }
};

void answer(Side& side, rte_mbuf** packets, std::uint16_t& count) {
    const std::uint8_t* frame = side.sink.answer_due();
    if (!frame) return;
    rte_mbuf* m = rte_pktmbuf_alloc(side.pool);
    if (!m) return;
    std::memcpy(rte_pktmbuf_append(m, Sink::answer_bytes), frame, Sink::answer_bytes);
    packets[count++] = m;
}

// `from`: whoever write()s frames.
template <class From>
void write_frames(From& from, rte_mempool* pool, std::uint16_t port, rte_mbuf** packets,
                  std::uint32_t count) {
    if (rte_pktmbuf_alloc_bulk(pool, packets, count) != 0) fail("no packet memory left");
    for (std::uint32_t i = 0; i < count; ++i) {
        rte_mbuf& m = *packets[i];
        const std::uint32_t length = from.write(rte_pktmbuf_mtod(&m, std::uint8_t*));
        m.data_len = static_cast<std::uint16_t>(length);
        m.pkt_len = length;
        m.port = port;
    }
}

std::uint16_t receive(std::uint16_t port, std::uint16_t, rte_mbuf** packets, std::uint16_t count,
                      std::uint16_t max, void* user) {
    Side& side = *static_cast<Side*>(user);
    if (count < max) answer(side, packets, count);
    const std::uint32_t room = std::min<std::uint32_t>(max - count, largest_burst);
    const std::uint32_t due = side.source.offer(room);
    if (due == 0) return count;
    write_frames(side.source, side.pool, port, packets + count, due);
    side.source.end();
    return static_cast<std::uint16_t>(count + due);
}

// Its packets are counted with those of side a, whose port the same thread uses.
std::uint16_t disturb(std::uint16_t port, std::uint16_t, rte_mbuf** packets, std::uint16_t count,
                      std::uint16_t max, void* user) {
    Disturber& guest = *static_cast<Disturber*>(user);
    const bool wanted = guest.page.noise.get() != 0 && guest.noise.kinds() != 0 &&
                        guest.page.phase.get() == static_cast<std::uint64_t>(Phase::steady);
    const std::uint32_t due = std::min<std::uint32_t>(max - count, largest_burst);
    if (!wanted || due == 0) return count;
    write_frames(guest.noise, guest.pool, port, packets + count, due);
    guest.page.side[0].noise_sent.add(due);
    return static_cast<std::uint16_t>(count + due);
}

std::uint16_t transmit(std::uint16_t, std::uint16_t, rte_mbuf** packets, std::uint16_t count,
                       void* user) {
    Side& side = *static_cast<Side*>(user);
    Sink& sink = side.sink;
    // One thread forwards; others send now and then what the switch has to say itself.
    rte_spinlock_lock(&side.sending);
    sink.begin();
    for (std::uint16_t i = 0; i < count; ++i)
        sink.check(rte_pktmbuf_mtod(packets[i], const std::uint8_t*), packets[i]->data_len);
    sink.end();
    rte_spinlock_unlock(&side.sending);
    return count;
}

constexpr unsigned no_number = ~0u;

// The number in the name of a net_null port; a side's is 0 or 1.
unsigned number_of(std::uint16_t port) {
    char name[RTE_ETH_NAME_MAX_LEN] = {};
    if (rte_eth_dev_get_name_by_port(port, name) != 0) return no_number;
    unsigned number = no_number;
    return std::sscanf(name, "net_null%u", &number) == 1 ? number : no_number;
}

template <class Function>
Function* real(const char* name) {
    void* found = dlsym(RTLD_NEXT, name);
    if (!found) fail(std::string("there is no ") + name);
    return reinterpret_cast<Function*>(found);
}

// The queue of each flow's packets from that side, by number of the flow.
std::vector<std::uint16_t> queues_of(std::uint16_t port, unsigned side, const Settings& settings) {
    const bool tcp = settings.work == Work::tcp;
    const Shape shape(settings, {side == 0 ? Direction::to_b : Direction::to_a, false, tcp, 0});
    const Card card(port);
    std::vector<std::uint16_t> queues(settings.flows);
    std::array<std::uint8_t, 192> frame;
    for (std::uint32_t flow = 0; flow < settings.flows; ++flow) {
        if (tcp) shape.write_tcp(frame.data(), flow, tcp_ack, 0, 0);
        else shape.write_udp(frame.data(), flow);
        queues[flow] =
            card.queue_of(frame.data() + shape.ip(), frame.data() + shape.l4(), settings.ip6);
    }
    return queues;
}

// A part for each queue of the port that starts first.
void divide(Generator& generator, const std::vector<std::uint16_t>& queues) {
    std::vector<std::vector<std::uint32_t>> flows(generator.settings.parts);
    for (std::uint32_t flow = 0; flow < queues.size(); ++flow) {
        if (queues[flow] >= flows.size()) fail("a table of queues names one that is not there");
        flows[queues[flow]].push_back(flow);
    }
    for (std::size_t i = 0; i < flows.size(); ++i) {
        if (flows[i].empty()) fail("a queue has no flows");
        generator.parts.push_back(generator.make_part(i, std::move(flows[i])));
    }
}

void attach_queue(std::uint16_t port, unsigned number, std::uint16_t queue, Part& part) {
    Side& side = *part.side[number];
    side.pool = Generator::one().pools[number];
    rte_eth_add_rx_callback(port, queue, receive, &side);
    part.page.attached.add(1);
}

void attach(std::uint16_t port) {
    const unsigned number = number_of(port);
    if (number == no_number) return;
    Generator& generator = Generator::one();
    if (number == noise_port) {
        if (!generator.disturber->pool) fail("a port was started without a receive queue");
        rte_eth_add_rx_callback(port, 0, disturb, generator.disturber.get());
        return;
    }
    if (number >= sides) return generator.bounce.attach(port, number);
    if (!generator.pools[number]) fail("a port was started without a receive queue");
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(port, &info) != 0) fail("a port says nothing about itself");
    if (generator.settings.parts == 1) {
        // Some send on a queue for each of their threads.
        for (std::uint16_t queue = 0; queue < info.nb_tx_queues; ++queue)
            rte_eth_add_tx_callback(port, queue, transmit, generator.parts[0]->side[number].get());
        return attach_queue(port, number, 0, *generator.parts[0]);
    }
    if (info.nb_rx_queues != generator.settings.parts || info.nb_tx_queues != info.nb_rx_queues)
        fail("a port has another number of queues than there are parts");
    const std::vector<std::uint16_t> queues = queues_of(port, number, generator.settings);
    if (generator.parts.empty()) divide(generator, queues);
    for (const std::unique_ptr<Part>& part : generator.parts) {
        const std::uint16_t queue = queues[part->flows.front()];
        for (const std::uint32_t flow : part->flows)
            if (queues[flow] != queue) fail("flows of one queue at one port have two at the other");
        rte_eth_add_tx_callback(port, queue, transmit, part->side[number].get());
        attach_queue(port, number, queue, *part);
    }
}

}  // namespace
}  // namespace weir::gen

extern "C" __attribute__((visibility("default"))) int rte_eth_rx_queue_setup(
    std::uint16_t port, std::uint16_t queue, std::uint16_t descriptors, unsigned socket,
    const rte_eth_rxconf* conf, rte_mempool* pool) {
    static auto* const next = weir::gen::real<decltype(rte_eth_rx_queue_setup)>(__func__);
    const unsigned number = weir::gen::number_of(port);
    if (queue == 0 && number != weir::gen::no_number)
        if (rte_mempool** kept = weir::gen::Generator::one().pool_of(number)) *kept = pool;
    return next(port, queue, descriptors, socket, conf, pool);
}

extern "C" __attribute__((visibility("default"))) int rte_eth_dev_start(std::uint16_t port) {
    static auto* const next = weir::gen::real<decltype(rte_eth_dev_start)>(__func__);
    const int done = next(port);
    if (done == 0) weir::gen::attach(port);
    return done;
}
