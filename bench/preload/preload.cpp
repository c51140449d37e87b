// The generator inside whatever process uses DPDK: preloaded, it gives every net_null port that is
// started a source (what the port receives) and a sink (what is sent there): 0 and 1 the sides, 3 a
// guest that only disturbs, the others service nodes and the other host (bounce.hpp). Public DPDK
// calls only. WEIR_GEN holds the settings; see bench/README.md.
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
#include <string>

#include "bench/gen/sink.hpp"
#include "bench/gen/source.hpp"
#include "bench/gen/stand_alone.hpp"
#include "bench/preload/bounce.hpp"

namespace weir::gen {
namespace {

constexpr std::uint16_t largest_burst = 64;
constexpr std::uint32_t sides = 2;

struct Side {
    Side(const Settings& settings, unsigned number, Page& page, Common& common)
        : source(settings, number, page, common),
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

// One for the process; made when the first port starts.
struct Generator {
    Generator() {
        const Settings settings = settings_of_environment();
        page = &open_page(settings, rte_get_tsc_hz());
        for (unsigned i = 0; i < sides; ++i)
            side[i] = std::make_unique<Side>(settings, i, *page, *common);
        disturber = std::make_unique<Disturber>(settings, *page);
        bounce.configure(settings);
        page->magic.set(page_magic);
    }
    Page* page;
    std::unique_ptr<Common> common = std::make_unique<Common>();
    std::array<std::unique_ptr<Side>, sides> side;
    std::unique_ptr<Disturber> disturber;
    Bounce bounce;

    // Where the memory of that port's packets is kept; null: nobody asks.
    rte_mempool** pool_of(unsigned number) {
        if (number < sides) return &side[number]->pool;
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
    Side& side = *generator.side[number];
    if (!side.pool) fail("a port was started without a receive queue");
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(port, &info) != 0) fail("a port says nothing about itself");
    rte_eth_add_rx_callback(port, 0, receive, &side);
    // Some send on a queue for each of their threads.
    for (std::uint16_t queue = 0; queue < info.nb_tx_queues; ++queue)
        rte_eth_add_tx_callback(port, queue, transmit, &side);
    generator.page->attached.add(1);
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
