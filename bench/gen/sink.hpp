#pragma once
#include <emmintrin.h>
#include <x86intrin.h>

#include <array>
#include <cstdint>

#include "bench/gen/delay.hpp"
#include "bench/gen/frames.hpp"
#include "bench/gen/page.hpp"
#include "bench/gen/settings.hpp"

namespace weir::gen {

// Looks at what comes back at one side: every packet's headers and IP checksum, one packet in 64
// to the last byte.
class Sink {
public:
    Sink(const Settings& settings, unsigned side, Page& page, Dues& dues);

    // A burst is counted as one: begin, check…, end. Frames have 128 readable bytes.
    void begin() {
        burst_ = {};
        if (all_.rate.get() != 0) [[unlikely]]
            now_ = __rdtsc();
    }
    void check(const std::uint8_t* frame, std::uint32_t length) {
        __m128i wrong = _mm_setzero_si128();
        for (std::uint32_t i = 0; i < blocks_; ++i) {
            const __m128i came = _mm_loadu_si128(reinterpret_cast<const __m128i*>(frame) + i);
            wrong = _mm_or_si128(wrong, _mm_and_si128(_mm_xor_si128(came, expected_[i]), mask_[i]));
        }
        const bool header_ok =
            _mm_movemask_epi8(_mm_cmpeq_epi8(wrong, _mm_setzero_si128())) == 0xffff;
        if (!header_ok || length < shortest_ || length > longest_) [[unlikely]]
            return refuse(frame, length);
        if (!ip6_ && !ip_sum_ok(frame + ip_)) [[unlikely]]
            return wrong_one(Wrong::ip_checksum);
        if (now_ != 0) [[unlikely]]
            count_delay();
        ++burst_.came;
        burst_.bytes += length;
        burst_.sum += tuple_sum(frame + ip_, frame + l4_, ip6_);
        if (tcp_) burst_.opened += frame[l4_ + 13] >> 1 & 1;
        if ((++looked_ & 63) == 0) [[unlikely]]
            look_closely(frame);
    }
    void end() {
        page_.came_bytes.add(burst_.bytes);
        page_.came_sum.add(burst_.sum);
        if (burst_.opened) page_.opened.add(burst_.opened);
        page_.came.add(burst_.came);
    }

    // Somebody asked for the MAC of an address of this side: where the answer is, or null.
    const std::uint8_t* answer_due() {
        return answer_due_ ? answer_due_ = false, answer_.data() : nullptr;
    }
    static constexpr std::uint32_t answer_bytes = 60;

private:
    struct Counted {
        std::uint64_t came = 0, bytes = 0, sum = 0, opened = 0;
    };
    static bool ip_sum_ok(const std::uint8_t* ip) {
        std::uint64_t sum = load<std::uint32_t>(ip + 16);
        sum += std::uint64_t{load<std::uint32_t>(ip)} + load<std::uint32_t>(ip + 4);
        sum += std::uint64_t{load<std::uint32_t>(ip + 8)} + load<std::uint32_t>(ip + 12);
        return folded(sum) == 0xffff;
    }
    void count_delay() {
        std::uint64_t& due = dues_.of(page_.came.get() + burst_.came);
        if (due != 0) all_.delays[delay_bucket(now_ > due ? now_ - due : 0)].add(1);
        due = 0;
    }
    void wrong_one(Wrong what) { page_.wrong[static_cast<std::size_t>(what)].add(1); }
    void refuse(const std::uint8_t* frame, std::uint32_t length);
    void look_closely(const std::uint8_t* frame);
    void build_mask(const Shape& shape);

    Page& all_;
    SidePage& page_;
    Dues& dues_;
    std::uint64_t now_ = 0;
    Counted burst_;
    std::uint64_t looked_ = 0;
    static constexpr std::uint32_t max_blocks = 8;  // 128 bytes of headers
    __m128i expected_[max_blocks] = {}, mask_[max_blocks] = {};
    std::uint32_t blocks_ = 0, ip_ = 0, l4_ = 0, shortest_ = 0, longest_ = 0;
    std::uint32_t flows_ = 0;  // 0: any number
    bool ip6_ = false, tcp_ = false, at_b_ = false, checksummed_ = true, noise_ = false;
    bool answer_due_ = false;
    std::array<std::uint8_t, answer_bytes> answer_{};
};

}  // namespace weir::gen
