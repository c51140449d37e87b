// How a port moves to another host, as the real shell does it (apps/host/port_move.cpp).
#include <algorithm>

#include "base/check.hpp"
#include "tests/scenario/fake_host.hpp"
#include "tests/scenario/text_sink.hpp"

namespace weir::scenario {

std::uint32_t FakeHost::prepare_arrival(const std::string& name, std::uint32_t from_host) {
    const auto index = static_cast<std::uint32_t>(names_.size());
    names_[index] = name;
    arriving_[name] = index;
    weir_port_info info = info_of(name, index);
    info.place = weir_port_arriving;
    info.from_host = from_host;
    std::string error;
    WEIR_CHECK(api_.introduce(engine_, &info, into(error)) != 0, error.c_str());
    tick(now_ns_);
    return info.incarnation << 24 | index;
}

std::vector<std::string> FakeHost::save_pass(const std::string& name, bool delta) {
    const std::uint32_t index = ports_.at(name);
    std::vector<std::string> blobs;
    std::string nothing, error;
    WEIR_CHECK(api_.save(engine_, index, false, delta, into(nothing), into(error)), error.c_str());
    for (std::uint32_t w = 0; w < inbox_.size(); ++w)
        for (std::uint32_t said = weir_slice_more; said == weir_slice_more;) {
            std::string blob;
            said = api_.save_slice(engine_, w, index, now_ns_, into(blob), into(error));
            WEIR_CHECK(said != weir_slice_refused, error.c_str());
            if (!blob.empty()) blobs.push_back(std::move(blob));
        }
    return blobs;
}

std::string FakeHost::load(const std::string& name, const std::vector<std::string>& blobs) {
    const std::uint32_t index = arriving_.at(name);
    std::string handles, some, error;
    for (const std::string& blob : blobs) {
        WEIR_CHECK(api_.restore(engine_, index, false, blob.data(), blob.size(), into(error)),
                   error.c_str());
        for (std::uint32_t w = 0; w < inbox_.size(); ++w) {
            WEIR_CHECK(api_.restore_slice(engine_, w, index, blob.data(), blob.size(), now_ns_,
                                          into(some), into(error)),
                       error.c_str());
            handles += some;
        }
    }
    return handles;
}

void FakeHost::activate(const std::string& name, std::uint32_t from_host) {
    const std::uint32_t index = arriving_.at(name);
    arriving_.erase(name);
    weir_port_info info = info_of(name, index);
    info.place = weir_port_arrived;
    info.from_host = from_host;
    std::string error;
    WEIR_CHECK(api_.attach(engine_, &info, into(error)) != 0, error.c_str());
    ports_[name] = index;
    tick(now_ns_);
}

void FakeHost::forward(const std::string& name, std::uint32_t to_host, std::uint32_t to_anchor,
                       const std::string& handles, std::uint64_t for_ns) {
    const std::uint32_t index = ports_.at(name);
    const weir_port_move move{index, to_host, to_anchor, now_ns_ + for_ns};
    std::string error;
    WEIR_CHECK(api_.forward(engine_, &move, handles.data(), handles.size(), into(error)) != 0,
               error.c_str());
    tick(now_ns_);
    if (to_host == net::no_port) return void(frozen_.insert(index));
    ports_.erase(name);
    thaw(index);
}

void FakeHost::leave(const std::string& name) {
    const std::uint32_t index = ports_.at(name);
    api_.detach(engine_, index);
    ports_.erase(name);
    thaw(index);
}

void FakeHost::stay(const std::string& name) {
    const std::uint32_t index = ports_.at(name);
    const std::string refused = attach(name, index);
    WEIR_CHECK(refused.empty(), refused.c_str());
    tick(now_ns_);
    thaw(index);
}

void FakeHost::thaw(std::uint32_t index) {
    frozen_.erase(index);
    for (const auto& [worker, p] : std::exchange(parked_, {})) {
        if (p->hand.port == index) run(worker, p, now_ns_);
        else parked_.emplace_back(worker, p);
    }
    run_pending(now_ns_);
}

}  // namespace weir::scenario
