#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "dataplane/abi.hpp"

namespace weir::host {

// Named memory for engines and for the shell itself. What lasts how long is up to the
// implementation: the vault's outlives the process, the heap's does not.
class LastingMemory {
public:
    virtual ~LastingMemory() = default;
    // The same name and layout give the same memory; null when it cannot be had. Control thread.
    virtual void* pool(const std::string& name, std::size_t bytes, std::uint32_t layout_version,
                       std::uint32_t* adoption) = 0;
};

// For shells that need not survive: tests, scenarios.
class HeapMemory final : public LastingMemory {
public:
    void* pool(const std::string& name, std::size_t bytes, std::uint32_t layout_version,
               std::uint32_t* adoption) override;
    // What the next process would find: pools are adopted again as if left behind by a dead one.
    void restart() { ++process_; }

private:
    struct Pool {
        std::unique_ptr<std::uint8_t[]> memory;
        std::size_t bytes = 0;
        std::uint32_t layout_version = 0;
        unsigned process = 0;
    };
    std::map<std::string, Pool> pools_;
    unsigned process_ = 0;
};

}  // namespace weir::host
