#include "apps/engine/abi.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "flow/record.hpp"
#include "net/bytes.hpp"

// Who owns a port's records, seen through the C ABI: two engines over the same pools.
namespace weir::engine {
namespace {

using testing::HasSubstr;

weir_sink into(std::string& text) {
    text.clear();
    return {&text, [](void* context, const char* bytes, std::size_t count) {
                static_cast<std::string*>(context)->append(bytes, count);
                return true;
            }};
}

// A shell without devices: memory, and nothing that moves.
struct Shell {
    struct Pool {
        std::unique_ptr<void, decltype(&std::free)> memory{nullptr, &std::free};
    };
    std::map<std::string, Pool> pools;
    weir_host_vtable vtable{};

    Shell() {
        vtable.abi_version = weir_abi_version;
        vtable.workers = 1;
        vtable.flows_per_worker = 1024;
        vtable.host = this;
        vtable.transmit = [](void*, std::uint32_t, std::uint32_t, net::Packet**, std::uint32_t) {};
        vtable.allocate = [](void*, std::uint32_t, net::Packet**, std::uint32_t) { return 0u; };
        vtable.release = [](void*, std::uint32_t, net::Packet**, std::uint32_t) {};
        vtable.hand_to_worker = [](void*, std::uint32_t, std::uint32_t, net::Packet**,
                                   std::uint32_t) {};
        vtable.hand_to_engine = [](void*, std::uint32_t, net::Packet**, std::uint32_t) {};
        vtable.pool = [](void* host, const char* name, std::size_t bytes, std::uint32_t,
                         std::uint32_t* adoption) {
            Pool& pool = static_cast<Shell*>(host)->pools[name];
            *adoption = pool.memory ? weir_pool_shared : weir_pool_created;
            if (!pool.memory) {
                const std::size_t whole = (bytes + 63) / 64 * 64;
                pool.memory.reset(std::aligned_alloc(64, whole));
                std::memset(pool.memory.get(), 0, whole);
            }
            return pool.memory.get();
        };
        vtable.event = [](void*, const char*, std::size_t) {};
    }
};

weir_port_info port(std::uint32_t index, const char* name) {
    weir_port_info info{};
    info.index = index;
    info.incarnation = 1;
    info.mtu = 1500;
    std::strncpy(info.name, name, sizeof info.name - 1);
    return info;
}

class Abi : public testing::Test {
protected:
    Abi() {
        first = api.create(&shell.vtable, "h1", 1, into(why));
        second = api.create(&shell.vtable, "h1", 2, into(why));
    }
    ~Abi() override {
        api.destroy(first);
        api.destroy(second);
    }

    std::string saved_by(weir_engine* engine, std::uint32_t index) {
        std::string saved;
        std::string error;
        EXPECT_TRUE(api.save(engine, index, true, false, into(saved), into(error))) << error;
        return saved;
    }
    bool restore(weir_engine* engine, std::uint32_t index, const std::string& bytes) {
        return api.restore(engine, index, true, bytes.data(), bytes.size(), into(why));
    }

    const weir_engine_api api = engine_api("test", "0");
    Shell shell;
    std::string why;
    weir_engine* first = nullptr;
    weir_engine* second = nullptr;
    const weir_port_info g1 = port(3, "g1");
};

TEST_F(Abi, APortWhoseRecordsAreAnothersIsAttachedOnlyAfterRestore) {
    ASSERT_NE(api.attach(first, &g1, into(why)), 0u) << why;
    ASSERT_NE(api.introduce(second, &g1, into(why)), 0u) << why;
    EXPECT_EQ(api.attach(second, &g1, into(why)), 0u);
    EXPECT_THAT(why, HasSubstr("\"object\":\"port g1\""));
    EXPECT_THAT(why, HasSubstr("belong to engine 1; save and restore first"));

    ASSERT_NE(api.quiesce(first, g1.index), 0u);
    ASSERT_TRUE(restore(second, g1.index, saved_by(first, g1.index))) << why;
    EXPECT_NE(api.attach(second, &g1, into(why)), 0u) << why;
    // The way back is the same one.
    EXPECT_EQ(api.attach(first, &g1, into(why)), 0u);
    EXPECT_THAT(why, HasSubstr("belong to engine 2"));
    ASSERT_NE(api.quiesce(second, g1.index), 0u);
    ASSERT_TRUE(restore(first, g1.index, saved_by(second, g1.index))) << why;
    EXPECT_NE(api.attach(first, &g1, into(why)), 0u) << why;
}

TEST_F(Abi, RestoreRefusesWhatIsNotThePorts) {
    ASSERT_NE(api.attach(first, &g1, into(why)), 0u) << why;
    const weir_port_info g2 = port(4, "g2");
    ASSERT_NE(api.attach(first, &g2, into(why)), 0u) << why;
    ASSERT_NE(api.introduce(second, &g1, into(why)), 0u) << why;
    const std::string saved = saved_by(first, g1.index);

    EXPECT_FALSE(restore(second, g1.index, saved.substr(1)));
    EXPECT_THAT(why, HasSubstr("must be 8 bytes"));
    EXPECT_FALSE(restore(second, g1.index, saved + "x"));
    EXPECT_FALSE(restore(second, g1.index, ""));

    std::string other_layout = saved;
    net::store32(reinterpret_cast<std::uint8_t*>(other_layout.data()),
                 flow::record_layout_version + 1);
    EXPECT_FALSE(restore(second, g1.index, other_layout));
    EXPECT_THAT(why, HasSubstr("saved.layout"));

    EXPECT_FALSE(restore(second, g1.index, saved_by(first, g2.index)));
    EXPECT_THAT(why, HasSubstr("saved.scope"));
    EXPECT_FALSE(api.restore(second, g1.index, false, saved.data(), saved.size(), into(why)));
    EXPECT_THAT(why, HasSubstr("in place"));
    EXPECT_EQ(api.attach(second, &g1, into(why)), 0u) << "none of it may have changed hands";
}

TEST_F(Abi, PortsThatNobodyIntroducedAreUnknown) {
    std::string saved;
    EXPECT_FALSE(api.save(first, 9, true, false, into(saved), into(why)));
    EXPECT_THAT(why, HasSubstr("no such port"));
    EXPECT_FALSE(restore(first, 9, std::string(8, '\0')));
    EXPECT_THAT(why, HasSubstr("no such port"));
    EXPECT_EQ(api.quiesce(first, 9), 0u);
    EXPECT_EQ(api.detach(first, 9), 0u);
    EXPECT_FALSE(api.save(first, ~0u, true, false, into(saved), into(why)));
}

TEST_F(Abi, AnotherVersionOfTheSeamIsRefused) {
    weir_host_vtable old = shell.vtable;
    old.abi_version = weir_abi_version - 1;
    EXPECT_EQ(api.create(&old, "h1", 3, into(why)), nullptr);
    EXPECT_THAT(why, HasSubstr("abi_version"));
}

}  // namespace
}  // namespace weir::engine
