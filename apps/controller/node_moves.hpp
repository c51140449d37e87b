#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "apps/controller/event_log.hpp"
#include "apps/controller/host_table.hpp"
#include "apps/controller/intent.hpp"
#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::controller {

struct NodeMoveOrder {
    std::string node, to;
    bool without_state = false;  // the node begins anew: what is inside it is lost
    std::chrono::milliseconds patience{30'000};  // with the machine that is being moved
};

// Leads service nodes from host to host (spec service-plane §8.5; features/chain/nodes.md): one
// thread for each. What goes wrong before a node's ports are up at its new host leaves it where it
// was. Thread-safe.
class NodeMoves {
public:
    NodeMoves(const model::Registry& registry, Intent& intent, HostTable& hosts,
              EventLog& events);
    ~NodeMoves();

    static constexpr std::size_t max_at_once = 4;

    Status start(NodeMoveOrder order);
    Status cancel(const std::string& node);
    // How the newest move of the node stands; null: there was none.
    model::Value status(const std::string& node) const;

private:
    struct Job;
    class Lead;

    const model::Registry& registry_;
    Intent& intent_;
    HostTable& hosts_;
    EventLog& events_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Job>> jobs_;  // by node
};

}  // namespace weir::controller
