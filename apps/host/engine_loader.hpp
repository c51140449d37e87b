#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "dataplane/abi.hpp"

namespace weir::host {

// One engine: its own copy of the library file, its own globals, unloaded when this object goes.
class LoadedEngine {
public:
    // Copies `library` into `run_dir`, opens the copy and removes its name: opening one file twice
    // would give the same engine twice.
    static Result<std::unique_ptr<LoadedEngine>> load(const std::string& library,
                                                      const std::string& run_dir);
    ~LoadedEngine();
    LoadedEngine(const LoadedEngine&) = delete;
    LoadedEngine& operator=(const LoadedEngine&) = delete;

    // `vtable` must outlive the engine; `instance` is never 0 and never repeats on one host.
    Status create(const weir_host_vtable& vtable, const std::string& host_name,
                  std::uint32_t instance);

    const weir_engine_api& api() const { return *api_; }
    weir_engine* handle() const { return handle_; }
    std::uint32_t instance() const { return instance_; }
    std::string build_id() const { return api_->build_id; }
    std::string version() const { return api_->version; }
    const std::string& library() const { return library_; }

private:
    LoadedEngine(void* object, const weir_engine_api* api, std::string library)
        : object_(object), api_(api), library_(std::move(library)) {}

    void* object_;
    const weir_engine_api* api_;
    std::string library_;
    weir_engine* handle_ = nullptr;
    std::uint32_t instance_ = 0;
};

// Collects what an engine writes into a weir_sink.
class TextSink {
public:
    weir_sink sink() { return {this, &TextSink::write}; }
    const std::string& text() const { return text_; }
    std::string take() { return std::move(text_); }

private:
    static bool write(void* context, const char* bytes, std::size_t count);
    std::string text_;
};

// The Error an engine wrote as {"object":…,"field":…,"message":…}.
Error engine_error(const std::string& json);

}  // namespace weir::host
