// The engine without save and restore: it takes ports over but nothing that they own. What a swap
// to it breaks is what a swap must carry.
#include <string>

#include "apps/engine/abi.hpp"

namespace {

decltype(weir_host_vtable::pool) shell_pool = nullptr;

void* own_pool(void* host, const char* name, std::size_t bytes, std::uint32_t layout,
               std::uint32_t* adoption) {
    return shell_pool(host, ("forgetful." + std::string(name)).c_str(), bytes, layout, adoption);
}

weir_engine_api forgetful_api() {
    static const weir_engine_api whole = weir::engine::engine_api(WEIR_BUILD_ID, WEIR_VERSION);
    weir_engine_api api = whole;
    api.create = [](const weir_host_vtable* host, const char* name, std::uint32_t instance,
                    weir_sink error) {
        weir_host_vtable alone = *host;
        shell_pool = host->pool;
        alone.pool = own_pool;
        return whole.create(&alone, name, instance, error);
    };
    api.save = [](weir_engine*, std::uint32_t, bool, bool, weir_sink, weir_sink) { return true; };
    api.restore = [](weir_engine*, std::uint32_t, bool, const char*, std::size_t, weir_sink) {
        return true;
    };
    return api;
}

const weir_engine_api api = forgetful_api();

}  // namespace

extern "C" __attribute__((visibility("default"))) const weir_engine_api* weir_engine_entry(void) {
    return &api;
}
