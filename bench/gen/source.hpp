#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "bench/gen/delay.hpp"
#include "bench/gen/frames.hpp"
#include "bench/gen/noise.hpp"
#include "bench/gen/page.hpp"
#include "bench/gen/settings.hpp"

namespace weir::gen {

// First sequence numbers of a connection's two sides.
constexpr std::uint32_t first_number(std::uint32_t flow, unsigned side) {
    return side == 0 ? flow * 2654435761u : (flow * 2246822519u) ^ 0x5bd1e995u;
}

// Connections that go through their eight packets together, 32 at a time. The side whose turn it
// is owns the lane.
struct Lane {
    std::atomic<std::uint32_t> stage{0};
    std::uint32_t first = 0;
    std::uint32_t done = 0;        // packets of the stage that were sent
    std::uint64_t wait_until = 0;  // so much must have come at the side whose turn it is
};
inline constexpr std::uint32_t lane_width = 32;
using Lanes = std::array<Lane, 64>;

// What both sides of a generator know.
struct Common {
    Lanes lanes;
    std::array<Dues, 2> dues;  // by the side that sends
};

// What one side sends, packet by packet, in step with what came at the other side: nothing is sent
// that a peer could not know yet, so that whoever tracks connections may believe every packet.
class Source {
public:
    // `flows`: the ones it sends, of settings.flows; none: all of them. They must stay.
    Source(const Settings& settings, unsigned side, Page& page, Common& common,
           std::span<const std::uint32_t> flows = {});

    // How many packets are due, of up to `max`; write() each of them then.
    std::uint32_t offer(std::uint32_t max);
    // The next frame; `frame` has room for 192 bytes. Returns its length.
    std::uint32_t write(std::uint8_t* frame) {
        if (noise_due_ != 0 && is_noise_next()) [[unlikely]]
            return noise_.write(frame);
        if (paced_) dues_.of(mine_.sent.get() + burst_packets_) = pace_.take();
        const std::uint32_t length = write_next(frame);
        burst_bytes_ += length;
        ++burst_packets_;
        return length;
    }
    // After the last write() of a burst.
    void end() {
        mine_.sent_bytes.add(burst_bytes_);
        mine_.sent_sum.add(burst_sum_);
        mine_.sent.add(burst_packets_);
        burst_bytes_ = burst_sum_ = burst_packets_ = 0;
        if (noise_due_ != 0) [[unlikely]]
            mine_.noise_sent.add(noise_due_);
    }

private:
    enum class Step : std::uint8_t { known, fresh, data, open, answer, finish, lane };

    bool opens_first() const;
    std::uint32_t offer_setup(std::uint32_t max);
    std::uint32_t offer_opening(std::uint32_t max);
    std::uint32_t due_of(std::uint64_t came, std::uint64_t done, std::uint32_t max) const;
    std::uint32_t offer_steady(std::uint32_t max);
    std::uint32_t offer_with_noise(std::uint32_t max, std::uint32_t share);
    std::uint32_t offer_data(std::uint32_t max);
    std::uint32_t offer_lane(std::uint32_t max);
    std::uint32_t write_next(std::uint8_t* frame);
    std::uint32_t write_opening(std::uint8_t* frame);
    std::uint32_t write_lane(std::uint8_t* frame);
    void leave_stage(Lane& lane, std::uint32_t stage);

    std::uint32_t write_data(std::uint8_t* frame) {
        // The peer's data of this round have come already if it is ahead of us.
        const std::uint32_t peer = peer_round_ + (place_ < peer_place_);
        const std::uint32_t length = tcp(frame, data_, named(flow_), tcp_psh | tcp_ack,
                                         1 + round_ * data_bytes, 1 + peer * data_bytes);
        step_on();
        return length;
    }
    // Numbers count from the first ones of the connection.
    std::uint32_t tcp(std::uint8_t* frame, const Shape& shape, std::uint32_t flow,
                      std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledged) {
        const std::uint32_t peer = first_number(flow, side_ ^ 1);
        burst_sum_ += shape.write_tcp(frame, flow, flags, first_number(flow, side_) + sequence,
                                      flags & tcp_ack ? peer + acknowledged : 0);
        return shape.length();
    }
    std::uint32_t udp(std::uint8_t* frame, std::uint32_t flow) {
        const Shape& shape = udp_[settings_.imix ? imix_size() : 0];
        burst_sum_ += shape.write_udp(frame, flow);
        return shape.length();
    }
    std::uint32_t named(std::uint32_t flow) const { return flows_ ? flows_[flow] : flow; }
    std::uint32_t imix_size();
    // Spreads the noise of a burst evenly over it.
    bool is_noise_next() {
        noise_credit_ += noise_due_;
        if (noise_credit_ < burst_due_) return false;
        noise_credit_ -= burst_due_;
        return true;
    }
    void step_on() {  // to the next flow of the round, far from this one
        flow_ += stride_;
        if (flow_ >= count_) flow_ -= count_;
        if (++place_ == count_) {
            place_ = 0;
            ++round_;
        }
    }

    const Settings settings_;
    const std::uint32_t* const flows_;  // null: counted through
    const std::uint32_t count_;
    const unsigned side_;
    Page& page_;
    SidePage& mine_;
    const SidePage& other_;
    Lanes& lanes_;
    Dues& dues_;
    Pace pace_;
    bool paced_ = false;
    Shape bare_, data_;         // TCP
    std::array<Shape, 3> udp_;  // the second and third for IMIX
    std::uint64_t burst_sum_ = 0, burst_bytes_ = 0, burst_packets_ = 0;

    Step step_ = Step::known;
    std::uint32_t stride_ = 0;
    std::uint32_t flow_ = 0, place_ = 0, round_ = 0;          // of the packet to be sent next
    std::uint32_t peer_round_ = 0, peer_place_ = 0;           // of what came here last
    std::uint32_t opened_ = 0, answered_ = 0, finished_ = 0;  // connections, while they are made
    std::uint64_t setup_sent_ = 0, setup_came_ = 0, other_setup_sent_ = 0;
    std::uint32_t imix_place_ = 0;
    Noise noise_;
    std::uint32_t noise_due_ = 0, burst_due_ = 0;      // of the burst offered
    std::uint32_t noise_credit_ = 0, noise_owed_ = 0;  // parts of a packet
    std::uint32_t lane_now_ = 0, next_connection_ = 0;
};

}  // namespace weir::gen
