#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "features/chain/resources.hpp"
#include "model/documents.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"
#include "net/nsh.hpp"
#include "tests/scenario/fake_host.hpp"

namespace weir::scenario {

// A service node of the scenario: what it does with frames is decided here, not in Weir.
struct NodeModel {
    bool aware = false;
    bool hung = false;
    bool corrupts = false;           // l2: damages the IP version of what it passes
    bool wrong_side = false;         // l2: sends frames back where they came in
    std::uint8_t decrements = 0;     // aware: takes that much from SI itself
    bool tampers = false;            // aware: sends packets to another path; gwlb: as another flow
    std::uint8_t action = 0;         // aware, metadata type 1: orders this (FA)
    std::uint32_t drop_port = 0;     // drops TCP/UDP to this port
    bool resets = false;             // l2: … and resets such connections
    std::uint16_t rewrite_port = 0;  // l2: forward TCP/UDP packets leave for this port instead
    net::Ip nat_from, nat_to;        // aware, l3: sources of the one leave as the other
    net::NodeControl order;          // aware: given with packets of order_port; 0: none
    std::uint32_t order_port = 0;
    bool holds = false;                                  // keeps guests' packets in `held`, by vNIC
    std::map<std::string, net::Mac> neighbours;          // l3: what it has asked and been told
    std::vector<std::pair<std::size_t, Frame>> waiting;  // l3: for an answer, by vNIC
    std::vector<std::string> visits;  // "sci=… si=… d=…" (aware) or "left"/"right" (l2), in order
    std::vector<std::pair<std::size_t, Frame>> held;
};

// Hosts, the wire between them, and service nodes, all in one process and in virtual time.
class World {
public:
    explicit World(std::uint32_t workers = 1);

    // Puts or deletes resources and lets every host apply its plan. The first refusal, or empty.
    std::string put(const std::vector<model::Document>& documents);
    std::string erase(const std::string& kind, const std::string& name);

    void send(const std::string& port, const Frame& frame, const Offload& offload = {});
    // Opens the device of a port before any resource names it; the host must exist.
    void open(const std::string& host, const std::string& port);
    // Asks the host of the port to trace `packet` (notation). The refusal, or empty.
    std::string trace(const std::string& port, const std::string& packet);
    void inject_underlay(const std::string& host,
                         const Frame& frame);             // from outside, to that host
    void advance(std::uint64_t ns);                       // ticks every millisecond on the way
    void advance(std::uint64_t ns, std::uint64_t ticks);  // with so many ticks on the way
    void release(const std::string& node);                // what the node has held goes on
    // The controller's and the operator's part when a service node moves to another host (spec
    // service-plane MB-9), step by step; see README.md. What went wrong, or empty.
    std::string move_node(const std::string& node, const std::string& to, const std::string& step);

    // A step of a port's move to another host: "begin", "freeze", "end", "undo". Empty, or why not.
    // Words: "bare" (no state goes with it), "no-stub".
    std::string move_port(const std::string& port, const std::string& to, const std::string& step,
                     const std::set<std::string>& words);

    FakeHost& host(const std::string& name);
    FakeHost& host_of(const std::string& port);
    const model::Snapshot& intent() const { return intent_; }
    const std::map<std::string, std::unique_ptr<FakeHost>>& hosts() const { return hosts_; }
    std::uint64_t drops(const std::string& reason);  // over all hosts
    std::uint64_t now_ns() const { return now_ns_; }

    // Frames that reached guests, and frames on the underlay, since the last call.
    std::vector<Sent> take_delivered() { return std::exchange(delivered_, {}); }
    std::vector<Sent> take_underlay() { return std::exchange(underlay_, {}); }
    std::map<std::string, NodeModel> nodes;                  // by service node name
    std::string complaint;  // what a story left out, met in the middle of things; empty: nothing
    std::set<std::string> cut_hosts;                         // their underlay link is down
    std::set<std::pair<std::string, std::string>> cut_ways;  // from, to: nothing passes
    // A fault of the wire, by sending host: where else a frame arrives, and how; empty: none.
    struct Bent {
        std::string to;
        Frame frame;
    };
    std::map<std::string, std::function<Bent(const Frame&)>> bends;
    std::uint32_t flows_per_worker = limits::default_flows_per_worker;  // of hosts to come
    std::set<std::string> away;              // hosts that no plan reaches
    std::set<std::string> without_underlay;  // they have no underlay device

private:
    std::string change(model::Snapshot next);
    std::string publish();
    std::uint64_t now_s() const { return now_ns_ / 1'000'000'000; }
    // As operators want it, or as they did until they deleted it.
    template <class R>
    const R* known(const std::string& name) const {
        const R* found = intent_.find<R>(name);
        return found ? found : reported_.find<R>(name);
    }
    std::vector<std::string> ports_of(const model::Snapshot& plan, const std::string& host) const;
    bool settle();
    void tick();
    void route(const Sent& sent);
    void on_node_port(const Sent& sent);
    const std::string& place_of(const chain::ServiceNode& node) const;
    std::string carry(const std::string& node, FakeHost& from, FakeHost& to);
    void give_to_node(const chain::ServiceNode& node, std::size_t vnic, const Frame& frame);
    void on_event(const std::string& host, const std::string& json);

    const std::uint32_t workers_;
    model::Registry registry_;
    model::Snapshot intent_, reported_;
    std::map<std::string, std::unique_ptr<FakeHost>> hosts_;
    std::map<std::string, std::string> opened_;  // port → host, by open()
    std::map<std::string, std::string> plugged_;  // nodes that are not where the intent says
    struct Moving {
        std::string to;
        std::uint32_t anchor = 0;  // there
        std::string handles;
    };
    std::map<std::string, Moving> moving_;  // by port
    std::uint32_t traces_ = 0, moves_ = 0;
    std::vector<Sent> delivered_, underlay_;
    std::uint64_t now_ns_ = 1'000'000'000;
    std::uint64_t revision_ = 0;
    bool replan_ = false;
};

}  // namespace weir::scenario
