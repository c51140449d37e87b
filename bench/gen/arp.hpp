#pragma once
#include <algorithm>
#include <cstdint>

#include "net/address.hpp"

namespace weir::gen {

inline constexpr std::uint32_t arp_bytes = 42;

// Turns a request for an address into the answer of whoever has it. `answer` has room for
// arp_bytes, and may be where the request is.
inline void answer_arp(const std::uint8_t* request, const net::Mac& own, std::uint8_t* answer) {
    std::uint8_t asked[4];
    std::copy_n(request + 38, 4, asked);
    std::uint8_t asker[10];  // MAC and address
    std::copy_n(request + 22, 10, asker);
    std::uint8_t sender[6];
    std::copy_n(request + 6, 6, sender);
    if (answer != request) std::copy_n(request, arp_bytes, answer);
    std::copy_n(sender, 6, answer);
    own.store(answer + 6);
    answer[21] = 2;  // RFC 826: a reply
    own.store(answer + 22);
    std::copy_n(asked, 4, answer + 28);
    std::copy_n(asker, 10, answer + 32);
}

}  // namespace weir::gen
