// How one engine takes over from another, as the real shell does it (apps/host/engine_swap.cpp).
#include <algorithm>

#include "base/check.hpp"
#include "tests/scenario/fake_host.hpp"
#include "tests/scenario/text_sink.hpp"

namespace weir::scenario {
std::vector<weir_engine*> FakeHost::engines() const {
    return second_ ? std::vector{engine_, second_} : std::vector{engine_};
}

weir_engine* FakeHost::owner_of(std::uint32_t port) const {
    return second_ && moved_.contains(port) ? second_ : engine_;
}

void FakeHost::run(std::uint32_t worker, net::Packet* p, std::uint64_t now_ns) {
    api_.run(owner_of(p->hand.port), worker, &p, 1, now_ns);
}

void FakeHost::start_second_engine() {
    std::string error;
    shared_from_ = ++instance_;
    second_ = api_.create(&vtable_, name_.c_str(), instance_, into(error));
    WEIR_CHECK(second_ != nullptr, error.c_str());
    for (const auto& [name, index] : ports_) {
        const weir_port_info info = info_of(name, index);
        WEIR_CHECK(api_.introduce(second_, &info, into(error)) != 0, error.c_str());
    }
    WEIR_CHECK(api_.publish(second_, last_snapshot_.data(), last_snapshot_.size(), last_revision_,
                            into(error)) != 0,
               error.c_str());
}

void FakeHost::move_port(std::uint32_t index) {
    std::string saved, error;
    api_.quiesce(engine_, index);
    WEIR_CHECK(api_.save(engine_, index, true, false, into(saved), into(error)), error.c_str());
    WEIR_CHECK(api_.restore(second_, index, true, saved.data(), saved.size(), into(error)),
               error.c_str());
    const weir_port_info info = info_of(names_.at(index), index);
    WEIR_CHECK(api_.attach(second_, &info, into(error)) != 0, error.c_str());
    moved_.insert(index);
}

void FakeHost::swap_engine(const std::vector<std::string>& port_names) {
    if (!second_) start_second_engine();
    for (const auto& [name, index] : ports_) {
        const bool wanted = port_names.empty() || std::find(port_names.begin(), port_names.end(),
                                                            name) != port_names.end();
        if (wanted && !moved_.contains(index)) move_port(index);
    }
    if (moved_.size() < ports_.size()) return;
    weir_engine* const stays = std::exchange(second_, nullptr);
    moved_.clear();
    add_exits(exits_of_past_engines_);
    weir_engine* const goes = std::exchange(engine_, stays);
    leave(goes);  // what waits there goes to the one that stays
    api_.destroy(goes);
    run_pending(now_ns_);
}

}  // namespace weir::scenario
