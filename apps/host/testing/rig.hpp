#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apps/host/lasting_memory.hpp"
#include "apps/host/shell.hpp"
#include "base/testing/patience.hpp"
#include "dataplane/heap_pool.hpp"
#include "ports/memory/memory_device.hpp"

namespace weir::host::testing {

// A directory of its own for one test, removed afterwards.
class TestDir {
public:
    TestDir() {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        path_ = std::filesystem::temp_directory_path() /
                ("weir-" + std::to_string(getpid()) + "-" + test->name());
        std::filesystem::create_directories(path_);
    }
    ~TestDir() { std::filesystem::remove_all(path_); }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

// Waits for something other threads do; generous, so that a loaded machine passes.
inline bool eventually(const std::function<bool()>& done) {
    const auto until =
        std::chrono::steady_clock::now() + weir::testing::patience(std::chrono::seconds(20));
    while (!done()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::yield();
    }
    return true;
}

// A shell with memory ports and the test engine.
struct Rig {
    explicit Rig(std::uint32_t workers, bool threads = true) {
        options.host_name = "h1";
        options.run_dir = dir.path();
        options.workers.workers = workers;
        options.workers.threads = threads;
        options.pool = &pool;
        options.memory = &memory;
        options.open_device = [this](const dataplane::DeviceSpec& spec) { return open(spec); };
    }
    ~Rig() {
        shell.reset();
        EXPECT_EQ(pool.in_use(), 0u) << "packets were lost";
    }

    Result<std::unique_ptr<dataplane::Device>> open(const dataplane::DeviceSpec& spec) {
        if (missing.count(spec.interface))
            return Error{Errc::not_found, spec.text(), {}, "no such interface"};
        auto device = std::make_unique<ports::MemoryDevice>(pool, spec.mtu);
        devices[spec.interface] = device.get();
        return std::unique_ptr<dataplane::Device>(std::move(device));
    }
    void start(const char* engine = TEST_ENGINE) {
        auto started = Shell::start(options);
        ASSERT_TRUE(started.ok()) << started.error().text();
        shell = std::move(*started);
        const Status loaded = shell->load_engine(engine);
        ASSERT_TRUE(loaded.ok()) << loaded.error().text();
    }
    static PortSpec port(const std::string& name, std::uint32_t mtu = 1500) {
        PortSpec spec;
        spec.name = name;
        spec.device.kind = "memory";
        spec.device.interface = name;
        spec.device.mtu = mtu;
        return spec;
    }
    static HostConfig config(std::uint64_t revision, std::vector<PortSpec> ports,
                             std::string words = "") {
        return {revision, std::move(words), std::move(ports)};
    }
    ports::MemoryDevice& device(const std::string& name) { return *devices.at(name); }

    TestDir dir;
    dataplane::HeapPool pool{6000, 2048};
    HeapMemory memory;
    ShellOptions options;
    std::map<std::string, ports::MemoryDevice*> devices;
    std::map<std::string, int> missing;
    std::unique_ptr<Shell> shell;
};

// A frame whose last four bytes are `number`.
inline std::vector<std::uint8_t> frame(std::uint32_t number, std::size_t bytes = 64) {
    std::vector<std::uint8_t> f(bytes, 0);
    f[12] = 0x08;
    for (std::size_t i = 0; i < 4; ++i)
        f[bytes - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    return f;
}
inline std::uint32_t number_of(const std::vector<std::uint8_t>& f) {
    std::uint32_t n = 0;
    for (std::size_t i = 4; i > 0; --i) n = n << 8 | f[f.size() - i];
    return n;
}

}  // namespace weir::host::testing
