#include <cstddef>

#include "base/check.hpp"
#include "features/chain/testing/test_nodes.hpp"

// What a hostile node may send: a frame that was given to it, changed at will, or anything at all.
// Nothing comes back onto the service plane that was not given to the node, and no packet is lost.
namespace {

using namespace weir;
using namespace weir::chain;
using namespace weir::chain::test;

constexpr std::uint32_t flows = 4;

// `choice` says which frame; then come (place, value) pairs, or a whole frame.
Frame frame_of(World& w, std::uint8_t choice, std::span<const std::uint8_t> rest) {
    const std::uint32_t number = choice & (flows - 1);
    const bool reverse = choice & 4;
    if (choice & 8) return {rest.begin(), rest.end()};
    const bool aware = choice & 16;
    Frame frame = w.deliver(number, aware ? aware_port : left_port, reverse);
    if (aware) frame = echoed(frame);
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    static World w(2);
    w.engine.now_ns += 3 * ms;
    w.engine.tick();
    const Frame frame = frame_of(w, data[0], {data + 2, size - 2});
    w.give_back(frame, std::array{aware_port, left_port, right_port, guest_port}[data[1] & 3]);
    check(w);
    while (!w.machine.handed[1].empty()) {
        Packet& p = *w.machine.handed[1].front();
        w.machine.handed[1].pop_front();
        w.give_back(p, 1);
        check(w);
    }
    w.machine.sent.clear();
    w.machine.events.clear();
    for (const std::uint32_t worker : {0u, 1u})
        while (Packet* p = w.engine.entered(worker)) w.machine.free(*p);
    WEIR_CHECK(w.machine.in_use == 0, "no packet is lost");
    return 0;
}
