#include "apps/host/lasting_memory.hpp"

namespace weir::host {
namespace {

constexpr std::size_t alignment = 64;

std::uint8_t* aligned(std::uint8_t* p) {
    return p + (alignment - reinterpret_cast<std::uintptr_t>(p) % alignment) % alignment;
}

}  // namespace

void* HeapMemory::pool(const std::string& name, std::size_t bytes, std::uint32_t layout_version,
                       std::uint32_t* adoption) {
    Pool& pool = pools_[name];
    const bool fits = pool.memory && pool.bytes == bytes && pool.layout_version == layout_version;
    if (fits) {
        *adoption = pool.process == process_ ? weir_pool_shared : weir_pool_recovered;
    } else if (pool.memory && pool.process == process_) {
        return nullptr;  // in use with another layout
    } else {
        pool.memory = std::make_unique<std::uint8_t[]>(bytes + alignment);
        pool.bytes = bytes;
        pool.layout_version = layout_version;
        *adoption = weir_pool_created;
    }
    pool.process = process_;
    return aligned(pool.memory.get());
}

}  // namespace weir::host
