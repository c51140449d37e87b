#pragma once
#include <string>

#include "apps/host/lasting_memory.hpp"
#include "base/result.hpp"
#include "vault/vault.hpp"

namespace weir::host {

// Memory that outlives the process: pools of the vault under the run directory.
class VaultMemory final : public LastingMemory {
public:
    static Result<std::unique_ptr<VaultMemory>> open(const std::string& directory);
    // Pools are marked clean: the next process need not recover them.
    void close() { vault_.close(); }

    void* pool(const std::string& name, std::size_t bytes, std::uint32_t layout_version,
               std::uint32_t* adoption) override;

private:
    explicit VaultMemory(vault::Vault vault) : vault_(std::move(vault)) {}
    vault::Vault vault_;
};

}  // namespace weir::host
