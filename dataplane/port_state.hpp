#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/port_blob.hpp"
#include "dataplane/ports.hpp"

// What a stage has to do with a port that moves to another host. A stage whose state has parts that
// belong to a port gives two more functions, both called by every worker for its own state:
//
//   static bool save(PortSave&, const Tables&, State&, Emit&)   false: call again, there is more
//   static Status restore(const PortRestore&, const Tables&, State&, Emit&)
//
// save() is called in every pass with step 0, 1, … until it returns true; each call adds at most
// some tens of kilobytes. What it adds in a later pass replaces what it added before. At the
// destination every worker is given every section, in order, and takes what its own flows concern.
namespace weir::dataplane {

class PortSave {
public:
    PortSave(const PortEntry& entry, std::uint32_t at_step, std::string_view stage,
             std::vector<BlobSection>& sections)
        : port(entry), step(at_step), stage_(stage), sections_(sections) {}
    const PortEntry& port;
    const std::uint32_t step;
    void add(std::string_view what, std::vector<std::uint8_t> bytes) {
        sections_.push_back({std::string(stage_) + "." + std::string(what), std::move(bytes)});
    }

private:
    std::string_view stage_;
    std::vector<BlobSection>& sections_;
};

struct PortRestore {
    const PortEntry& port;
    std::string_view what;  // the section's name without the stage's
    std::span<const std::uint8_t> bytes;
};

}  // namespace weir::dataplane
