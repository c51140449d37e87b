#pragma once
#include <string>

#include "apps/host/shell.hpp"
#include "base/result.hpp"
#include "model/delta.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

// From resources to what a shell needs, and back to disk. Of all kinds the shell itself reads two:
// host and port.
namespace weir::host {

// The kinds of every feature and their checks.
const model::Registry& registry();

// What `host` needs to know of `intent`: every feature's plan.
model::Snapshot plan_for(const model::Snapshot& intent, const std::string& host);

// The devices of this host's ports, its underlay among them, and the words for the engine.
HostConfig config_of(const model::Snapshot& planned, const std::string& host);

// Reads, validates and plans a file of resources, for a host without controller. The error is the
// first of all; the others are logged.
Result<model::Snapshot> read_config_file(const std::string& path, const std::string& host);

// The last snapshot that was applied, for a start without anybody to ask. Replaced as a whole.
class LastGood {
public:
    explicit LastGood(std::string state_dir) : path_(std::move(state_dir) + "/snapshot.json") {}
    Status save(const model::Snapshot& planned) const;
    // not_found: there is none yet.
    Result<model::Snapshot> load() const;

private:
    std::string path_;
};

}  // namespace weir::host
