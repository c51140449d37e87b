#include "apps/host/engine_loader.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "model/json.hpp"

namespace weir::host {
namespace {

namespace fs = std::filesystem;

Error loader_error(const std::string& library, std::string field, std::string message) {
    return {Errc::unavailable, "engine " + library, std::move(field), std::move(message)};
}

Result<fs::path> copy_of(const std::string& library, const std::string& run_dir) {
    static std::atomic<unsigned> serial{0};
    const fs::path copy = fs::path(run_dir) / ("engine-" + std::to_string(getpid()) + "-" +
                                               std::to_string(serial.fetch_add(1)) + ".so");
    std::error_code error;
    fs::copy_file(library, copy, fs::copy_options::overwrite_existing, error);
    if (error) return loader_error(library, "path", "cannot be copied: " + error.message());
    return copy;
}

}  // namespace

Result<std::unique_ptr<LoadedEngine>> LoadedEngine::load(const std::string& library,
                                                         const std::string& run_dir) {
    const Result<fs::path> copy = copy_of(library, run_dir);
    if (!copy) return copy.error();
    void* object = dlopen(copy->c_str(), RTLD_NOW | RTLD_LOCAL);
    const std::string why = object ? "" : dlerror();
    std::error_code ignored;
    fs::remove(*copy, ignored);
    if (!object) return loader_error(library, "path", "cannot be loaded: " + why);

    using Entry = const weir_engine_api* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(object, "weir_engine_entry"));
    const weir_engine_api* api = entry ? entry() : nullptr;
    if (!api || api->abi_version != weir_abi_version) {
        std::string message = "is no Weir engine: weir_engine_entry is missing";
        if (api)
            message = "speaks ABI version " + std::to_string(api->abi_version) +
                      ", this host speaks " + std::to_string(weir_abi_version);
        dlclose(object);
        return loader_error(library, "abi_version", std::move(message));
    }
    return std::unique_ptr<LoadedEngine>(new LoadedEngine(object, api, library));
}

LoadedEngine::~LoadedEngine() {
    if (handle_) api_->destroy(handle_);
    dlclose(object_);
}

Status LoadedEngine::create(const weir_host_vtable& vtable, const std::string& host_name,
                            std::uint32_t instance) {
    TextSink error;
    handle_ = api_->create(&vtable, host_name.c_str(), instance, error.sink());
    if (!handle_) return engine_error(error.text());
    instance_ = instance;
    return {};
}

bool TextSink::write(void* context, const char* bytes, std::size_t count) {
    static_cast<TextSink*>(context)->text_.append(bytes, count);
    return true;
}

Error engine_error(const std::string& json) {
    const Result<model::Value> said = model::parse_json(json);
    if (!said || !said->is_object())
        return {Errc::internal, "engine", {}, json.empty() ? "refused without a reason" : json};
    const auto text = [&](std::string_view key) {
        const model::Value* value = said->find(key);
        return value ? value->as_text() : std::string();
    };
    return {Errc::invalid, text("object"), text("field"), text("message")};
}

}  // namespace weir::host
