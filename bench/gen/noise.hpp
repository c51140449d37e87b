#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "bench/gen/frames.hpp"
#include "net/builder.hpp"

namespace weir::gen {

// Frames nobody wants, sent by side a between the others, or by a guest of its own (`apart`): what
// is broken, cut or forged, or SYNs from random sources. IPv4 only. All of them carry `noise_mark`,
// so that the sink knows those that come through.
inline constexpr std::uint8_t noise_mark = 0x04;  // class of service
inline constexpr std::uint32_t noise_mark_at = 15;

class Noise {
public:
    explicit Noise(const Settings& settings);

    // The next frame, never twice the same; `frame` has room for 192 bytes. Returns its length.
    std::uint32_t write(std::uint8_t* frame);
    std::size_t kinds() const { return kinds_.size(); }

private:
    struct Kind {
        std::vector<std::uint8_t> frame{};
        bool sealed = true;           // its IP checksum is right
        bool random_source = false;   // … address and both ports
        bool own_addresses = false;   // stand in the frame; else those of one of the flows
        std::uint32_t ip_bytes = 20;  // of its header, as far as it is there
    };
    void add(std::vector<std::uint8_t> frame, Kind kind);
    net::FrameBuilder from(const char* address) const;
    net::FrameBuilder from_guest() const { return from(apart_ ? "10.1.2.1" : "10.1.0.1"); }
    void make_bad();
    void name_flow(Kind& kind, std::uint8_t* frame);
    void name_stranger(std::uint8_t* frame);
    std::uint32_t random();

    std::vector<Kind> kinds_;
    std::size_t next_ = 0;
    std::uint32_t flows_;
    bool apart_;
    std::uint64_t state_ = 0x9e3779b97f4a7c15;
};

}  // namespace weir::gen
