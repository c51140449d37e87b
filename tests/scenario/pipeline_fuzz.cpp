// Configuration, packets and time through the whole pipeline of two hosts with two workers each,
// their guests, an aware and an L2 service node, and the wire between them.
//
// Input: a list of orders, one byte each: low 3 bits what, the rest which (run() below). Frames and
// changes to frames follow as length (2 bytes) and content. The world lives on from input to input,
// as a host does, so that one input alone need not repeat what it found. If WEIR_FUZZ_TRAIL names a
// file, it holds the whole life of the present world as one input: `fuzz_pipeline FILE` repeats it.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/check.hpp"
#include "model/yaml.hpp"
#include "tests/scenario/world.hpp"

namespace {

using namespace weir;
using scenario::Frame;
using scenario::Offload;
using scenario::World;

constexpr std::uint64_t ms = 1'000'000, second = 1000 * ms;
// Orders of one input, unless it is a trail; the fuzzer makes none as long as that.
constexpr std::size_t most_orders = 16, trail_bytes = 4096;
// Orders between two that cost as much as a hundred packets (changes of the configuration, and long
// waits, at which nodes are found dead and hosts get new plans), and orders in the life of a world.
constexpr std::size_t orders_per_costly = 256, orders_per_world = 200'000;
// Packets that wait for fragments or neighbours are all that may be kept.
constexpr std::uint32_t most_kept = 256;

constexpr std::array ports = {"g1", "g3", "g2", "n1", "n2-left", "n2-right"};
constexpr std::array hosts = {"h1", "h2"};
constexpr std::array changes = {
    "{kind: firewall-rule, name: f, protocol: udp, priority: 1, action: drop}",
    "{kind: firewall-rule, name: f, protocol: any, priority: 1, action: allow}",
    "{kind: firewall-rule, name: f, protocol: tcp, ports: [1-1000], priority: 1, action: reject}",
    "{kind: segment, name: web, vni: 5001, mtu: 600}",
    "{kind: segment, name: web, vni: 5001, mtu: 1500}",
    "{kind: service-chain, name: web-inspect, sci: 1, service_segment: plane, "
    "forward: [inspect, screen], failure_policy: allow}",
    "{kind: service-chain, name: web-inspect, sci: 1, service_segment: plane, "
    "forward: [screen], failure_policy: block}",
    "{kind: service-chain, name: web-inspect, sci: 1, service_segment: plane, "
    "forward: [inspect, screen], failure_policy: block}",
};

struct Order {
    std::uint8_t what = 0, which = 0;
    Frame content{};
};

bool has_content(std::uint8_t what) {
    return what == 0 || what >= 3;
}

std::vector<Order> read(std::span<const std::uint8_t> input) {
    const std::size_t most = input.size() > trail_bytes ? input.size() : most_orders;
    std::vector<Order> orders;
    while (!input.empty() && orders.size() < most) {
        Order& order = orders.emplace_back();
        order.what = input[0] & 7;
        order.which = input[0] >> 3;
        input = input.subspan(1);
        if (!has_content(order.what) || input.size() < 2) continue;
        const std::size_t wanted = input[0] | std::size_t{input[1]} << 8;
        input = input.subspan(2);
        const auto content = input.first(std::min(wanted, input.size()));
        order.content.assign(content.begin(), content.end());
        input = input.subspan(content.size());
    }
    return orders;
}

void append(std::vector<std::uint8_t>& out, const Order& order) {
    out.push_back(static_cast<std::uint8_t>(order.what | order.which << 3));
    if (!has_content(order.what)) return;
    out.push_back(static_cast<std::uint8_t>(order.content.size()));
    out.push_back(static_cast<std::uint8_t>(order.content.size() >> 8));
    out.insert(out.end(), order.content.begin(), order.content.end());
}

class Trail {
public:
    void restart() {
        if (fd_ < 0) return;
        WEIR_CHECK(::ftruncate(fd_, 0) == 0 && ::lseek(fd_, 0, SEEK_SET) == 0, "the trail is ours");
    }
    void add(const std::vector<Order>& orders) {
        if (fd_ < 0) return;
        bytes_.clear();
        for (const Order& order : orders) append(bytes_, order);
        WEIR_CHECK(::write(fd_, bytes_.data(), bytes_.size()) >= 0, "there is room for the trail");
    }

private:
    static int open_file() {
        const char* path = std::getenv("WEIR_FUZZ_TRAIL");
        return path ? ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    }
    int fd_ = open_file();
    std::vector<std::uint8_t> bytes_;
};

void put(World& world, std::string_view yaml) {
    model::Errors errors;
    const auto documents = model::parse_documents(yaml, errors);
    WEIR_CHECK(errors.empty(), "the fuzzer's own configuration can be read");
    const std::string refused = world.put(documents);
    WEIR_CHECK(refused.empty(), refused.c_str());
}

class Life {
public:
    Life() {
        std::ifstream in(WEIR_SETUP);
        put(world_, std::string(std::istreambuf_iterator<char>(in), {}));
        world_.nodes["n1"].aware = true;
    }
    bool is_over() const { return orders_ > orders_per_world; }
    void run(const Order& order);
    void finish_input();

private:
    bool may_be_costly();
    void wait(std::size_t which);
    void misbehave(std::size_t which);
    void send_again(std::size_t which, std::span<const std::uint8_t> edits);
    void remember_wire();

    World world_{2};
    Frame wire_;  // the last frame that a host put on the underlay
    std::size_t orders_ = 0, last_costly_ = 0;
};

void Life::run(const Order& order) {
    static constexpr std::array offloads = {
        Offload{}, Offload{}, Offload{net::packet_partial_checksum, 0},
        Offload{net::packet_partial_checksum | net::packet_super_frame, 100}};
    const std::size_t which = order.which;
    ++orders_;
    switch (order.what) {
        case 0:
            return world_.inject_underlay(hosts[which & 1], order.content);
        case 1:
            return wait(which);
        case 2:
            if (which < 24) return misbehave(which);
            if (may_be_costly()) put(world_, changes[which % changes.size()]);
            return;
        case 3:
            return send_again(which, order.content);
        default:
            world_.send(ports[which % ports.size()], order.content, offloads[which >> 3]);
            return remember_wire();
    }
}

bool Life::may_be_costly() {
    if (orders_ < last_costly_ + orders_per_costly) return false;
    last_costly_ = orders_;
    return true;
}

void Life::wait(std::size_t which) {
    static constexpr std::array waits = {ms, 3 * ms, 30 * ms, second, 70 * second};
    const std::uint64_t ns = waits[which % waits.size()];
    if (ns < second) world_.advance(ns, 2);
    else if (may_be_costly()) world_.advance(ns, 10);
}

// A service node changes its ways.
void Life::misbehave(std::size_t which) {
    scenario::NodeModel& node = world_.nodes[which & 1 ? "n1" : "n2"];
    switch (which >> 1) {
        case 0:
            node.hung = true;
            break;
        case 1:
            node.wrong_side = !node.wrong_side;
            break;
        case 2:
            node.corrupts = !node.corrupts;
            break;
        case 3:
            node.decrements = !node.decrements;
            break;
        case 4:
            node.drop_port = 8080;
            break;
        case 5:
            node.rewrite_port = 81;
            break;
        default:
            node = {.aware = node.aware};
            break;
    }
}

// Somebody on the underlay repeats what a host sent, changed at (place, value) pairs.
void Life::send_again(std::size_t which, std::span<const std::uint8_t> edits) {
    Frame frame = wire_;
    for (std::size_t i = 0; i + 1 < edits.size(); i += 2)
        if (edits[i] < frame.size()) frame[edits[i]] = edits[i + 1];
    if (which & 2) frame.resize(frame.size() - std::min(frame.size(), edits.size()));
    world_.inject_underlay(hosts[which & 1], frame);
}

void Life::remember_wire() {
    std::vector<scenario::Sent> sent = world_.take_underlay();
    if (!sent.empty()) wire_ = std::move(sent.back().frame);
}

void Life::finish_input() {
    world_.take_delivered();
    world_.take_underlay();
    for (auto& [name, node] : world_.nodes) node.visits.clear();
    for (const auto& [name, host] : world_.hosts())
        WEIR_CHECK(host->packets_in_use() <= most_kept, "a packet was lost inside the pipeline");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Trail trail;
    static std::unique_ptr<Life> life;
    if (!life || life->is_over()) {
        life.reset();
        life = std::make_unique<Life>();
        trail.restart();
    }
    const std::vector<Order> orders = read({data, size});
    trail.add(orders);
    for (const Order& order : orders) life->run(order);
    life->finish_input();
    return 0;
}
