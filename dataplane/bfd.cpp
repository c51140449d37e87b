#include "dataplane/bfd.hpp"

namespace weir::dataplane {

using net::BfdDiagnostic;

// Jitter needs no secret.
std::uint32_t BfdSession::random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_;
}

bool BfdSession::become(State state, BfdDiagnostic why, std::uint64_t now_ns) {
    if (state == state_) return false;
    if (state_ == State::up) ++downs_;
    // What we want changes with it; the other side is told and asked to confirm (§6.8.3).
    polling_ = state == State::up && times_.interval_us < slow_us;
    state_ = state;
    diagnostic_ = why;
    changed_ns_ = now_ns;
    next_ns_ = std::min(next_ns_, now_ns);
    return true;
}

// §6.8.6, the end of it.
BfdSession::State BfdSession::next_state(State heard) const {
    if (heard == State::admin_down) return State::down;
    switch (state_) {
        case State::down:
            return heard == State::down ? State::init : heard == State::init ? State::up : state_;
        case State::init:
            return heard == State::down ? state_ : State::up;
        case State::up:
            return heard == State::down ? State::down : state_;
        case State::admin_down:
            break;
    }
    return state_;
}

bool BfdSession::receive(const net::Bfd& bfd, std::uint64_t now_ns) {
    remote_ = bfd.my_discriminator;
    remote_min_rx_us_ = bfd.required_min_rx_us;
    remote_desired_us_ = bfd.desired_min_tx_us;
    remote_multiplier_ = bfd.detect_multiplier;
    heard_ns_ = now_ns;
    if (bfd.final) polling_ = false;
    answer_poll_ |= bfd.poll;
    const State next = next_state(bfd.state);
    const bool signalled = next == State::down;
    return become(next, signalled ? BfdDiagnostic::neighbour_signalled_down : BfdDiagnostic::none,
                  now_ns);
}

bool BfdSession::expire(std::uint64_t now_ns) {
    if (remote_ == 0 || now_ns < heard_ns_ + detection_ns()) return false;
    remote_ = 0;
    remote_min_rx_us_ = 1;
    return become(State::down, BfdDiagnostic::detection_time_expired, now_ns);
}

net::Bfd BfdSession::next_packet(std::uint64_t now_ns) {
    net::Bfd bfd;
    bfd.diagnostic = static_cast<std::uint8_t>(diagnostic_);
    bfd.state = state_;
    bfd.final = answer_poll_;
    bfd.poll = polling_ && !answer_poll_;  // never both (§6.8.7)
    bfd.control_plane_independent = true;
    bfd.detect_multiplier = times_.detect_multiplier;
    bfd.my_discriminator = local_;
    bfd.your_discriminator = remote_;
    bfd.desired_min_tx_us = desired_us();
    bfd.required_min_rx_us = times_.interval_us;
    // An answer to a poll does not move the rhythm. Jitter: 75 to 100 of a hundred (§6.8.7).
    if (!answer_poll_ || now_ns >= next_ns_)
        next_ns_ = now_ns + interval_ns() / 100 * (75 + random() % 26);
    answer_poll_ = false;
    return bfd;
}

}  // namespace weir::dataplane
