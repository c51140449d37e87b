// The generator on a core of its own, behind two memif ports: sends what side a and b have to send,
// takes what comes back. The side under test is the client of both, and copies nothing if its
// memory allows; all copying is done here. WEIR_GEN holds the settings; see bench/README.md.
//
//     weir-memif SOCKET QUEUES    ids are 0 and 1; as many queues as the side sends on
#include <rte_config.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/gen/sink.hpp"
#include "bench/gen/source.hpp"
#include "bench/gen/stand_alone.hpp"

namespace weir::gen {
namespace {

constexpr std::uint16_t burst = 32;
constexpr std::uint16_t descriptors = 1024;
constexpr unsigned settling_us = 2'000'000;
constexpr unsigned pool_size = 16384;

rte_mempool* start_eal(const std::string& socket) {
    std::vector<std::string> args = {"weir-memif", "--no-pci", "--in-memory", "-m",   "256",
                                     "--lcores",   "0@(0,1)",  "--log-level", "error"};
    for (const char* id : {"0", "1"})
        args.push_back(std::string("--vdev=net_memif") + id + ",role=server,id=" + id +
                       ",rsize=10,socket-abstract=no,socket=" + socket);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) fail("DPDK did not start");
    rte_mempool* pool =
        rte_pktmbuf_pool_create("frames", pool_size, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (!pool) fail("no memory for packets");
    return pool;
}

class Side {
public:
    Side(const Settings& settings, unsigned number, Page& page, Common& common, rte_mempool& pool,
         std::uint16_t queues)
        : source_(settings, number, page, common),
          sink_(settings, number, page, common.dues[number ^ 1]),
          pool_(pool),
          queues_(queues) {
        const std::string name = "net_memif" + std::to_string(number);
        rte_eth_conf conf{};
        if (rte_eth_dev_get_port_by_name(name.c_str(), &port_) != 0 ||
            rte_eth_dev_configure(port_, queues_, 1, &conf) != 0 || !open_queues() ||
            rte_eth_tx_queue_setup(port_, 0, descriptors, 0, nullptr) != 0 ||
            rte_eth_dev_start(port_) != 0)
            fail(name + " does not start");
    }
    ~Side() { rte_eth_dev_close(port_); }
    Side(const Side&) = delete;
    Side& operator=(const Side&) = delete;

    bool is_up() const {
        rte_eth_link link{};
        return rte_eth_link_get_nowait(port_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
    }

    void take() {
        for (std::uint16_t queue = 0; queue < queues_; ++queue) take(queue);
    }
    void give() {
        if (next_ == made_) fill();
        if (next_ == made_) return;
        next_ = static_cast<std::uint16_t>(
            next_ + rte_eth_tx_burst(port_, 0, out_.data() + next_,
                                     static_cast<std::uint16_t>(made_ - next_)));
    }

private:
    bool open_queues() {
        for (std::uint16_t queue = 0; queue < queues_; ++queue)
            if (rte_eth_rx_queue_setup(port_, queue, descriptors, 0, nullptr, &pool_) != 0)
                return false;
        return true;
    }
    void take(std::uint16_t queue) {
        std::array<rte_mbuf*, burst> came;
        const std::uint16_t n = rte_eth_rx_burst(port_, queue, came.data(), burst);
        if (n == 0) return;
        sink_.begin();
        for (std::uint16_t i = 0; i < n; ++i)
            sink_.check(rte_pktmbuf_mtod(came[i], const std::uint8_t*), came[i]->data_len);
        sink_.end();
        rte_pktmbuf_free_bulk(came.data(), n);
    }
    void fill() {
        next_ = made_ = 0;
        if (const std::uint8_t* answer = sink_.answer_due())
            std::memcpy(add(Sink::answer_bytes), answer, Sink::answer_bytes);
        const std::uint32_t due = source_.offer(burst - made_);
        for (std::uint32_t i = 0; i < due; ++i) {
            std::uint8_t* frame = add(0);
            rte_mbuf& m = *out_[made_ - 1u];
            const std::uint32_t length = source_.write(frame);
            m.data_len = static_cast<std::uint16_t>(length);
            m.pkt_len = length;
        }
        if (due > 0) source_.end();
    }
    std::uint8_t* add(std::uint32_t length) {
        rte_mbuf* m = rte_pktmbuf_alloc(&pool_);
        if (!m) fail("no packet memory left");
        m->data_len = static_cast<std::uint16_t>(length);
        m->pkt_len = length;
        out_[made_++] = m;
        return rte_pktmbuf_mtod(m, std::uint8_t*);
    }

    Source source_;
    Sink sink_;
    rte_mempool& pool_;
    const std::uint16_t queues_;
    std::uint16_t port_ = 0;
    std::array<rte_mbuf*, burst> out_{};
    std::uint16_t next_ = 0, made_ = 0;  // frames made and not sent yet
};

int run(const char* socket, std::uint16_t queues) {
    const Settings settings = settings_of_environment();
    end_when_told();
    rte_mempool* pool = start_eal(socket);
    Page& page = open_page(settings, rte_get_tsc_hz());
    const auto common = std::make_unique<Common>();
    const auto a = std::make_unique<Side>(settings, 0, page, *common, *pool, queues);
    const auto b = std::make_unique<Side>(settings, 1, page, *common, *pool, queues);
    page.magic.set(page_magic);
    while (!is_ended() && !(a->is_up() && b->is_up())) rte_delay_us_sleep(1000);
    rte_delay_us_sleep(settling_us);  // the side may look for its links now and then only
    page.attached.set(2);
    run_until_ended(*a, *b);
    return 0;
}

}  // namespace
}  // namespace weir::gen

int main(int argc, char** argv) {
    const int queues = argc == 3 ? std::atoi(argv[2]) : 0;
    if (queues < 1 || queues > 64) {
        std::fprintf(stderr, "weir-memif SOCKET QUEUES\n");
        return 2;
    }
    return weir::gen::run(argv[1], static_cast<std::uint16_t>(queues));
}
