#include "apps/host/engine_loader.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "apps/host/lasting_memory.hpp"
#include "apps/host/testing/rig.hpp"
#include "model/json.hpp"

namespace weir::host {
namespace {

namespace fs = std::filesystem;

class EngineLoader : public ::testing::Test {
protected:
    void SetUp() override {
        vtable_.abi_version = weir_abi_version;
        vtable_.workers = 1;
        vtable_.host = &memory_;
        vtable_.pool = [](void* host, const char* name, std::size_t bytes, std::uint32_t layout,
                          std::uint32_t* adoption) {
            return static_cast<HeapMemory*>(host)->pool(name, bytes, layout, adoption);
        };
    }

    std::unique_ptr<LoadedEngine> load(const char* library) {
        auto engine = LoadedEngine::load(library, dir_.path());
        EXPECT_TRUE(engine.ok()) << (engine ? "" : engine.error().text());
        return engine ? std::move(*engine) : nullptr;
    }
    std::uint64_t alive(LoadedEngine& engine) {
        TextSink answer;
        engine.api().query(engine.handle(), "{}", 2, answer.sink());
        return (*model::parse_json(answer.text()))["alive"].as_uint();
    }
    // Lines of /proc/self/maps that name files of our run directory.
    std::size_t mapped() {
        std::ifstream maps("/proc/self/maps");
        std::size_t lines = 0;
        for (std::string line; std::getline(maps, line);)
            lines += line.find(dir_.path()) != std::string::npos;
        return lines;
    }

    testing::TestDir dir_;
    HeapMemory memory_;
    weir_host_vtable vtable_{};
};

TEST_F(EngineLoader, TwoCopiesOfOneFileAreTwoEngines) {
    auto first = load(TEST_ENGINE), second = load(TEST_ENGINE);
    ASSERT_TRUE(first && second);
    EXPECT_NE(&first->api(), &second->api());
    ASSERT_TRUE(first->create(vtable_, "h1", 1).ok());
    EXPECT_EQ(alive(*first), 1u);
    ASSERT_TRUE(second->create(vtable_, "h1", 2).ok());
    EXPECT_EQ(alive(*first), 1u) << "globals of the second engine are those of the first";
    EXPECT_EQ(alive(*second), 1u);
}

TEST_F(EngineLoader, UnloadingRemovesTheCodeFromTheProcess) {
    auto engine = load(TEST_ENGINE);
    ASSERT_TRUE(engine);
    ASSERT_TRUE(engine->create(vtable_, "h1", 1).ok());
    EXPECT_GT(mapped(), 0u);
    engine.reset();
    EXPECT_EQ(mapped(), 0u);
}

TEST_F(EngineLoader, NoCopyStaysInTheRunDirectory) {
    auto engine = load(TEST_ENGINE);
    EXPECT_TRUE(fs::is_empty(dir_.path()));
}

TEST_F(EngineLoader, BuildsTellTheirNames) {
    auto one = load(TEST_ENGINE), two = load(TEST_ENGINE_NEXT);
    ASSERT_TRUE(one && two);
    EXPECT_EQ(one->build_id(), "one");
    EXPECT_EQ(two->build_id(), "two");
}

TEST_F(EngineLoader, AnotherAbiVersionIsRefusedAndUnloaded) {
    const auto engine = LoadedEngine::load(TEST_ENGINE_FOREIGN, dir_.path());
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().field, "abi_version");
    EXPECT_NE(engine.error().message.find("999"), std::string::npos) << engine.error().text();
    EXPECT_EQ(mapped(), 0u);
}

TEST_F(EngineLoader, WhatIsNoEngineIsRefusedByName) {
    const fs::path text = fs::path(dir_.path()) / "text.so";
    std::ofstream(text) << "no library";
    const auto engine = LoadedEngine::load(text.string(), dir_.path());
    ASSERT_FALSE(engine.ok());
    EXPECT_NE(engine.error().object.find("text.so"), std::string::npos);
    const auto missing =
        LoadedEngine::load((fs::path(dir_.path()) / "missing.so").string(), dir_.path());
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().field, "path");
}

TEST(EngineError, KeepsObjectFieldAndMessage) {
    const Error e = engine_error(R"({"object":"port/g1","field":"mtu","message":"too big"})");
    EXPECT_EQ(e.text(), "port/g1: mtu: too big");
    EXPECT_NE(engine_error("").message, "");
    EXPECT_EQ(engine_error("nonsense").message, "nonsense");
}

}  // namespace
}  // namespace weir::host
