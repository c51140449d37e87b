#include <array>
#include <cstddef>

#include "base/check.hpp"
#include "features/chain/testing/test_modes.hpp"

// What hostile nodes of every mode may send: a frame that was given to them, changed at will, or
// anything at all. Nothing comes back onto the service plane that was not given to the node, and no
// packet is lost.
namespace {

using namespace weir;
using namespace weir::chain;
using namespace weir::chain::test;

constexpr std::uint32_t flows = 4;

// `choice` says which frame; then come (place, value) pairs, or a whole frame.
Frame frame_of(World& w, Kind kind, std::uint8_t choice, std::span<const std::uint8_t> rest) {
    const std::uint32_t number = choice & (flows - 1);
    const bool reverse = choice & 4;
    Frame frame = w.deliver(number, entry_port(kind, reverse), reverse, choice >> 3 & 1);
    if (choice & 16) return {rest.begin(), rest.end()};
    if (frame.empty()) return frame;
    frame = served(w, kind, reverse, std::move(frame));
    for (std::size_t i = 0; i + 1 < rest.size(); i += 2)
        if (rest[i] < frame.size()) frame[rest[i]] = rest[i + 1];
    if (choice & 32) frame.resize(frame.size() - std::min<std::size_t>(frame.size(), rest.size()));
    return frame;
}

void check(World& w) {
    if (w.fate == goes_on)
        WEIR_CHECK(was_given(w.returned->smd, flows), "only what was given to the node comes back");
    w.forget();
}

void drain(World& w) {
    for (std::uint32_t worker = 1; !w.machine.handed[0].empty() || !w.machine.handed[1].empty();
         worker = 1 - worker) {
        if (w.machine.handed[worker].empty()) continue;
        Packet& p = *w.machine.handed[worker].front();
        w.machine.handed[worker].pop_front();
        w.give_back(p, worker);
        check(w);
    }
}

World& world_of(Kind kind) {
    static std::array<std::unique_ptr<World>, static_cast<std::size_t>(Kind::count_)> worlds;
    auto& world = worlds[static_cast<std::size_t>(kind)];
    if (!world) world = std::make_unique<World>(2, intent_of(kind));
    return *world;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const auto kind = static_cast<Kind>(data[0] % static_cast<unsigned>(Kind::count_));
    World& w = world_of(kind);
    w.engine.now_ns += 3 * ms;
    w.engine.tick();
    const Frame frame = frame_of(w, kind, data[1], {data + 3, size - 3});
    w.give_back(frame, std::array{aware_port, left_port, right_port, guest_port}[data[2] & 3]);
    check(w);
    drain(w);
    w.machine.sent.clear();
    w.machine.events.clear();
    for (const std::uint32_t worker : {0u, 1u})
        while (Packet* p = w.engine.entered(worker)) w.machine.free(*p);
    WEIR_CHECK(w.machine.in_use == 0, "no packet is lost");
    return 0;
}
