#pragma once
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_thash.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/gen/frames.hpp"
#include "bench/gen/stand_alone.hpp"

namespace weir::gen {

// What a network card does with frames where a port has several queues: each goes to the one that
// key and table say, as the side under test has set them (receive-side scaling). net_null takes
// both and does nothing with them.
class Card {
public:
    explicit Card(std::uint16_t port) {
        rte_eth_dev_info info{};
        if (rte_eth_dev_info_get(port, &info) != 0 || info.reta_size == 0)
            fail("a port with several queues has no table of them");
        rte_eth_rss_conf conf{key_.data(), static_cast<std::uint8_t>(key_.size()), 0};
        constexpr std::uint64_t ports = RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
        if (rte_eth_dev_rss_hash_conf_get(port, &conf) != 0 || (conf.rss_hf & ports) != ports)
            fail("a port with several queues was not told to look at TCP and UDP ports");
        rows_.resize((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1u) / RTE_ETH_RETA_GROUP_SIZE);
        for (rte_eth_rss_reta_entry64& row : rows_) row.mask = ~std::uint64_t{0};
        if (rte_eth_dev_rss_reta_query(port, rows_.data(), info.reta_size) != 0)
            fail("a port with several queues does not tell its table of them");
        size_ = info.reta_size;
    }

    // The queue of a frame whose IP and transport headers begin there.
    std::uint16_t queue_of(const std::uint8_t* ip, const std::uint8_t* l4, bool ip6) const {
        std::array<std::uint32_t, 9> words{};  // addresses and ports, as numbers
        const std::uint32_t address_words = ip6 ? 8 : 2;
        const std::uint8_t* const addresses = ip + (ip6 ? 8 : 12);
        for (std::uint32_t i = 0; i < address_words; ++i)
            words[i] = __builtin_bswap32(load<std::uint32_t>(addresses + 4 * i));
        words[address_words] = __builtin_bswap32(load<std::uint32_t>(l4));
        const std::uint32_t hash = rte_softrss(words.data(), address_words + 1, key_.data());
        const std::uint32_t at = hash % size_;
        return rows_[at / RTE_ETH_RETA_GROUP_SIZE].reta[at % RTE_ETH_RETA_GROUP_SIZE];
    }

private:
    std::array<std::uint8_t, 40> key_{};
    std::vector<rte_eth_rss_reta_entry64> rows_;
    std::uint32_t size_ = 0;
};

}  // namespace weir::gen
