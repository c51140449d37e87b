#include "apps/host/vault_memory.hpp"

#include <utility>

#include "base/log.hpp"

namespace weir::host {
namespace {

std::uint32_t adoption_of(vault::Adoption adoption) {
    switch (adoption) {
        case vault::Adoption::adopted_clean:
            return weir_pool_adopted;
        case vault::Adoption::adopted_after_crash:
            return weir_pool_recovered;
        case vault::Adoption::shared:
            return weir_pool_shared;
        default:
            return weir_pool_created;
    }
}

}  // namespace

Result<std::unique_ptr<VaultMemory>> VaultMemory::open(const std::string& directory) {
    Result<vault::Vault> vault = vault::Vault::open(directory);
    if (!vault) return vault.error();
    return std::unique_ptr<VaultMemory>(new VaultMemory(std::move(*vault)));
}

void* VaultMemory::pool(const std::string& name, std::size_t bytes, std::uint32_t layout_version,
                        std::uint32_t* adoption) {
    Result<vault::Pool> pool = vault_.pool(name, bytes, layout_version);
    if (!pool) {
        log::error("vault.pool", {{"pool", name}, {"why", pool.error().text()}});
        return nullptr;
    }
    *adoption = adoption_of(pool->adoption);
    const bool is_news = pool->adoption != vault::Adoption::shared;  // every worker opens it
    log::write(is_news ? log::Level::info : log::Level::debug, "vault.pool",
               {{"pool", name}, {"bytes", bytes}, {"state", text(pool->adoption)}});
    return pool->memory.data();
}

}  // namespace weir::host
