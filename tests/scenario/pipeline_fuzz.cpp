#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>

#include "base/check.hpp"
#include "model/yaml.hpp"
#include "tests/scenario/world.hpp"

// Configuration, packets and time through the whole pipeline of two hosts and the wire between
// them.
//
// Input: a list of orders, one byte each: low 3 bits what, the rest which. Frames follow as length
// (2 bytes) and content. The world lives on from input to input, as a host does.
namespace {

using weir::scenario::Frame;
using weir::scenario::World;

constexpr const char* ports[] = {"g1", "g3", "g2", "g4"};
constexpr const char* changes[] = {
    "{kind: firewall-rule, name: f, protocol: udp, action: drop}",
    "{kind: firewall-rule, name: f, protocol: any, action: allow}",
    "{kind: firewall-rule, name: f, protocol: tcp, ports: [1-1000], action: reject}",
    "{kind: segment, name: web, vni: 5001, mtu: 600}",
    "{kind: segment, name: web, vni: 5001, mtu: 1500}",
};

void put(World& world, std::string_view yaml) {
    weir::model::Errors errors;
    const auto documents = weir::model::parse_documents(yaml, errors);
    WEIR_CHECK(errors.empty() && world.put(documents).empty(),
               "the fuzzer's own configuration is valid");
}

World& world() {
    static World* const one = [] {
        auto* made = new World(1);
        std::ifstream in(WEIR_SETUPS "/two-hosts.yaml");
        put(*made, std::string(std::istreambuf_iterator<char>(in), {}));
        return made;
    }();
    return *one;
}

struct Input {
    const std::uint8_t* at;
    std::size_t left;
    std::uint8_t byte() {
        if (left == 0) return 0;
        --left;
        return *at++;
    }
    Frame frame() {
        const std::size_t wanted = byte() | std::size_t{byte()} << 8,
                          n = wanted < left ? wanted : left;
        Frame out(at, at + n);
        at += n;
        left -= n;
        return out;
    }
};

// Packets that wait for fragments or neighbours are all that may be kept.
constexpr std::uint32_t most_kept = 256;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    World& w = world();
    Input in{data, size};
    for (int orders = 0; in.left > 0 && orders < 16; ++orders) {
        const std::uint8_t order = in.byte();
        const std::size_t which = order >> 3;
        switch (order & 7) {
            case 0:
                w.inject_underlay(which & 1 ? "h2" : "h1", in.frame());
                break;
            case 1:
                w.advance((1 + which) * 1'000'000);
                break;
            case 2:
                if (which % 16 == 0) put(w, changes[in.byte() % std::size(changes)]);
                break;
            default:
                w.send(ports[which % std::size(ports)], in.frame());
                break;
        }
    }
    w.take_delivered();
    w.take_underlay();
    for (const auto& [name, host] : w.hosts())
        WEIR_CHECK(host->packets_in_use() <= most_kept, "a packet was lost inside the pipeline");
    return 0;
}
