#include "bench/gen/source.hpp"

#include <x86intrin.h>

#include <algorithm>
#include <numeric>

namespace weir::gen {
namespace {

constexpr std::uint64_t longest_lead = 1024;  // packets that one side may be ahead of the other
constexpr std::uint64_t least_doubt = 64;     // of what came, so many may have come out of order
constexpr std::uint32_t stages = 8;

bool turn_of_b(std::uint32_t stage) {
    return stage == 1 || stage == 4 || stage == 6;
}

// About the golden section of `flows`, so that neighbours in time are no neighbours in memory.
std::uint32_t stride_of(std::uint32_t flows) {
    auto stride = static_cast<std::uint32_t>(flows * 0.6180339887);
    while (stride > 1 && std::gcd(stride, flows) != 1) --stride;
    return std::max(stride, 1u);
}

std::uint32_t at_most(std::uint64_t wanted, std::uint32_t max) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, max));
}

}  // namespace

Source::Source(const Settings& s, unsigned side, Page& page, Common& common,
               std::span<const std::uint32_t> flows)
    : settings_(s),
      flows_(flows.empty() ? nullptr : flows.data()),
      count_(flows.empty() ? s.flows : static_cast<std::uint32_t>(flows.size())),
      side_(side),
      page_(page),
      mine_(page.side[side]),
      other_(page.side[side ^ 1]),
      lanes_(common.lanes),
      dues_(common.dues[side]),
      stride_(stride_of(count_)),
      noise_(s) {
    const Direction direction = side == 0 ? Direction::to_b : Direction::to_a;
    bare_ = Shape(s, {direction, false, true, 0});
    data_ = Shape(s, {direction, false, true, data_bytes});
    constexpr std::uint32_t headers = 14 + 20 + 8, sizes[3] = {60, 566, 1510};
    for (std::size_t i = 0; i < udp_.size(); ++i)
        udp_[i] = Shape(s, {direction, false, false, sizes[s.imix ? i : 0] - headers});
    const std::uint64_t each = count_;
    const bool tcp = s.work == Work::tcp;
    if (opens_first()) {
        const std::uint64_t from_a = tcp ? 2 * each : each;  // SYN and the last ACK; one packet
        setup_sent_ = side == 0 ? from_a : each;
        setup_came_ = other_setup_sent_ = side == 0 ? each : from_a;
    }
}

bool Source::opens_first() const {
    return settings_.work == Work::tcp || (settings_.work == Work::udp && settings_.answers);
}

std::uint32_t Source::offer(std::uint32_t max) {
    mine_.asked.add(1);
    std::uint32_t due = 0;
    if (page_.command.get() == static_cast<std::uint64_t>(Command::run)) {
        auto phase = static_cast<Phase>(page_.phase.get());
        if (phase == Phase::hold && side_ == 0) {
            phase = opens_first() ? Phase::setup : Phase::steady;
            page_.phase.set(static_cast<std::uint64_t>(phase));
        }
        if (phase == Phase::setup) due = offer_setup(max);
        noise_due_ = 0;
        const auto share = static_cast<std::uint32_t>(page_.noise.get());
        const bool noisy = share != 0 && side_ == 0 && !settings_.apart && noise_.kinds() != 0;
        if (phase == Phase::steady) due = noisy ? offer_with_noise(max, share) : offer_steady(max);
    }
    if (due == 0) mine_.idle.add(1);
    return due;
}

std::uint32_t Source::offer_setup(std::uint32_t max) {
    const bool tcp = settings_.work == Work::tcp;
    if (side_ == 0) return offer_opening(max);
    step_ = Step::answer;
    return due_of((tcp ? mine_.opened : mine_.came).get(), answered_, max);
}

// Of `came` packets, those that may be answered after `done` have been: all when none is under way,
// else those that cannot have overtaken another.
std::uint32_t Source::due_of(std::uint64_t came, std::uint64_t done, std::uint32_t max) const {
    if (mine_.came.get() < other_.sent.get())
        came -= std::min<std::uint64_t>(came, settings_.flight);
    return came > done ? at_most(came - done, max) : 0;
}

std::uint32_t Source::offer_opening(std::uint32_t max) {
    const bool tcp = settings_.work == Work::tcp;
    if (const std::uint32_t due = tcp ? due_of(mine_.opened.get(), finished_, max) : 0; due > 0) {
        step_ = Step::finish;
        return due;
    }
    const std::uint64_t over = tcp ? finished_ : mine_.came.get();
    if (opened_ < count_) {
        step_ = Step::open;
        const std::uint64_t open = opened_ - over;
        const std::uint64_t room = open < settings_.window ? settings_.window - open : 0;
        return at_most(std::min<std::uint64_t>(room, count_ - opened_), max);
    }
    if (over == count_ && other_.came.get() == mine_.sent.get())
        page_.phase.set(static_cast<std::uint64_t>(Phase::steady));
    return 0;
}

std::uint32_t Source::offer_steady(std::uint32_t max) {
    const std::uint64_t rate = page_.rate.get();
    paced_ = rate != 0;
    if (paced_) [[unlikely]]
        max = std::min(max, pace_.due(__rdtsc(), rate, page_.tsc_hz.get()));
    if (settings_.flight != 0) {
        const std::uint64_t under_way = mine_.sent.get() - other_.came.get();
        max = under_way < settings_.flight ? at_most(settings_.flight - under_way, max) : 0;
    }
    if (max == 0) return 0;
    if (settings_.work == Work::full_tcp) return offer_lane(max);
    if (side_ == 0 ? settings_.from_b : !settings_.from_b && !settings_.answers) return 0;
    if (settings_.work == Work::new_udp) {
        step_ = Step::fresh;
        return side_ == 0 ? max : 0;
    }
    return offer_data(max);
}

// `share` of a hundred packets are noise: of those that go out, so that it keeps step with the
// others.
std::uint32_t Source::offer_with_noise(std::uint32_t max, std::uint32_t share) {
    share = std::min(share, 99u);
    const std::uint32_t room = std::max(max * (100 - share) / 100, 1u);
    const std::uint32_t good = offer_steady(room);
    noise_owed_ += good * share;
    noise_due_ = std::min(noise_owed_ / (100 - share), max - good);
    noise_owed_ -= noise_due_ * (100 - share);
    burst_due_ = good + noise_due_;
    noise_credit_ = 0;
    return burst_due_;
}

std::uint32_t Source::offer_data(std::uint32_t max) {
    step_ = settings_.work == Work::tcp ? Step::data : Step::known;
    if (!settings_.answers) return max;
    const std::uint64_t sent = mine_.sent.get() - setup_sent_;
    const std::uint64_t answered = other_.sent.get() - other_setup_sent_;
    if (sent > answered + longest_lead) return 0;
    const std::uint64_t came = mine_.came.get() - setup_came_;
    const std::uint64_t in_doubt = std::max<std::uint64_t>(least_doubt, settings_.flight);
    const std::uint64_t sure = came > in_doubt ? came - in_doubt : 0;
    peer_round_ = static_cast<std::uint32_t>(sure / count_);
    peer_place_ = static_cast<std::uint32_t>(sure % count_);
    return max;
}

std::uint32_t Source::offer_lane(std::uint32_t max) {
    step_ = Step::lane;
    for (std::size_t tried = 0; tried < lanes_.size(); ++tried) {
        Lane& lane = lanes_[lane_now_];
        const std::uint32_t stage = lane.stage.load(std::memory_order_acquire);
        if (turn_of_b(stage) == (side_ == 1) && mine_.came.get() >= lane.wait_until)
            return std::min(max, lane_width - lane.done);
        lane_now_ = (lane_now_ + 1) % static_cast<std::uint32_t>(lanes_.size());
    }
    return 0;
}

std::uint32_t Source::write_next(std::uint8_t* frame) {
    switch (step_) {
        case Step::data:
            return write_data(frame);
        case Step::known: {
            const std::uint32_t length = udp(frame, named(flow_));
            step_on();
            return length;
        }
        case Step::fresh:
            return udp(frame, next_connection_++ & 0x7fffffff);
        case Step::lane:
            return write_lane(frame);
        default:
            return write_opening(frame);
    }
}

std::uint32_t Source::write_opening(std::uint8_t* frame) {
    const bool is_tcp = settings_.work == Work::tcp;
    std::uint32_t& next = step_ == Step::open     ? opened_
                          : step_ == Step::answer ? answered_
                                                  : finished_;
    const std::uint32_t flow = named(next++);
    if (!is_tcp) return udp(frame, flow);
    if (step_ == Step::open) return tcp(frame, bare_, flow, tcp_syn, 0, 0);
    if (step_ == Step::answer) return tcp(frame, bare_, flow, tcp_syn | tcp_ack, 0, 1);
    return tcp(frame, bare_, flow, tcp_ack, 1, 1);
}

std::uint32_t Source::write_lane(std::uint8_t* frame) {
    struct Packet {
        std::uint8_t flags;
        bool data;
        std::uint32_t sequence, acknowledged;
    };
    constexpr std::uint32_t n = data_bytes;
    static constexpr Packet packets[stages] = {{tcp_syn, false, 0, 0},
                                               {tcp_syn | tcp_ack, false, 0, 1},
                                               {tcp_ack, false, 1, 1},
                                               {tcp_psh | tcp_ack, true, 1, 1},
                                               {tcp_psh | tcp_ack, true, 1, 1 + n},
                                               {tcp_fin | tcp_ack, false, 1 + n, 1 + n},
                                               {tcp_fin | tcp_ack, false, 1 + n, 2 + n},
                                               {tcp_ack, false, 2 + n, 2 + n}};
    Lane& lane = lanes_[lane_now_];
    const std::uint32_t stage = lane.stage.load(std::memory_order_relaxed);
    if (stage == 0 && lane.done == 0) {
        lane.first = next_connection_;
        next_connection_ = (next_connection_ + lane_width) & 0x7fffffff;
    }
    const Packet& p = packets[stage];
    const std::uint32_t length = tcp(frame, p.data ? data_ : bare_, lane.first + lane.done, p.flags,
                                     p.sequence, p.acknowledged);
    if (++lane.done == lane_width) leave_stage(lane, stage);
    return length;
}

void Source::leave_stage(Lane& lane, std::uint32_t stage) {
    const std::uint32_t next = (stage + 1) % stages;
    const bool hands_over = turn_of_b(next) != turn_of_b(stage);
    if (next == 0) mine_.finished.add(lane_width);
    lane.done = 0;
    lane.wait_until = hands_over ? mine_.sent.get() + burst_packets_ + 1 : 0;
    lane.stage.store(next, std::memory_order_release);
    lane_now_ = (lane_now_ + 1) % static_cast<std::uint32_t>(lanes_.size());
}

// Seven small, four middling, one large, mixed.
std::uint32_t Source::imix_size() {
    static constexpr std::uint8_t sizes[12] = {0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0};
    const std::uint32_t size = sizes[imix_place_];
    imix_place_ = imix_place_ == 11 ? 0 : imix_place_ + 1;
    return size;
}

}  // namespace weir::gen
