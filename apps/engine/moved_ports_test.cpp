#include "apps/engine/moved_ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "net/packet.hpp"

namespace weir::engine {
namespace {

using dataplane::HandleMap;
using dataplane::MovedPort;

// Memory by name and layout, like a host's.
struct Memory {
    MovedPorts::OpenPool opener(std::uint32_t more_layout = 0) {
        return [this, more_layout](std::string_view name, std::size_t bytes,
                                   std::uint32_t layout) -> void* {
            auto& pool = pools[std::string(name) + "/" + std::to_string(layout + more_layout)];
            if (pool.bytes.empty()) pool.bytes.resize(bytes / sizeof(std::uint64_t) + 1);
            return pool.bytes.data();
        };
    }
    struct Pool {
        std::vector<std::uint64_t> bytes;
    };
    std::map<std::string, Pool> pools;
};

MovedPort moved(const std::string& name, std::uint32_t handles, std::uint32_t to_host = 2) {
    auto map = std::make_shared<HandleMap>();
    for (std::uint32_t i = 0; i < handles; ++i) map->emplace_back(i + 1, 1000 + i);
    const net::Mac mac{{2, 0, 0, 0, 0, 7}};
    return {name, 3, 1u << 24 | 3, 5001, mac, to_host, 9, 77, std::move(map)};
}

struct MovedPortsTest : testing::Test {
    // What an engine after this one would find.
    std::size_t again(MovedPorts& ports, std::uint32_t more_layout = 0) {
        return ports.open(memory.opener(more_layout));
    }
    Memory memory;
};

TEST_F(MovedPortsTest, TheNextEngineKnowsWhatThisOneDid) {
    MovedPorts first;
    EXPECT_EQ(again(first), 0u);
    first.add(moved("g1", 3));
    first.add(moved("g2", 0));
    first.add(moved("frozen", 3, net::no_port));
    MovedPorts next;
    EXPECT_EQ(again(next), 0u);
    ASSERT_EQ(next.all().size(), 2u) << "one that is only frozen is there still";
    const MovedPort& g1 = next.all().front();
    EXPECT_EQ(g1.name, "g1");
    EXPECT_EQ(g1.index, 3u);
    EXPECT_EQ(g1.anchor_id, 1u << 24 | 3);
    EXPECT_EQ(g1.vni, 5001u);
    EXPECT_EQ(g1.mac, moved("g1", 0).mac);
    EXPECT_EQ(g1.to_host, 2u);
    EXPECT_EQ(g1.to_anchor, 9u);
    EXPECT_EQ(g1.until_ns, 77u);
    EXPECT_EQ(*g1.handles, *moved("g1", 3).handles);
    EXPECT_EQ(g1.handle(2), 1001u);

    next.erase("g1");
    next.erase_if([](const MovedPort& one) { return one.name == "g2"; });
    MovedPorts last;
    EXPECT_EQ(again(last), 0u);
    EXPECT_TRUE(last.all().empty());
}

TEST_F(MovedPortsTest, AChangeThatCameToNothingLeavesNoTrace) {
    MovedPorts ports;
    again(ports);
    ports.add(moved("g1", 3));
    ports.add(moved("g2", 1));
    const MovedPorts::Known before = ports.all();
    ports.add(moved("g1", 0, net::no_port));  // frozen: instead of what was known of it
    ports.erase("g2");
    ports.put_back(before);
    ASSERT_EQ(ports.all().size(), 2u);
    EXPECT_EQ(ports.all()[0].to_host, 2u);
    EXPECT_EQ(ports.all()[0].handle(2), 1001u);
    EXPECT_EQ(ports.all()[1].name, "g2");
    MovedPorts next;
    EXPECT_EQ(again(next), 0u);
    EXPECT_EQ(next.all().size(), 2u) << "for the next engine neither";
}

TEST_F(MovedPortsTest, MemoryOfAnotherLayoutIsNotTakenForThis) {
    MovedPorts first;
    again(first);
    first.add(moved("g1", 3));
    MovedPorts next;
    EXPECT_EQ(again(next, 1), 0u);
    EXPECT_TRUE(next.all().empty());
}

TEST_F(MovedPortsTest, WithoutMemoryAStubEndsWithItsEngine) {
    MovedPorts ports;
    EXPECT_EQ(ports.open([](auto, auto, auto) { return nullptr; }), 0u);
    ports.add(moved("g1", 3));
    EXPECT_EQ(ports.all().size(), 1u);
    ports.erase("g1");
    EXPECT_TRUE(ports.all().empty());
}

// Whichever byte of a row or its handles changes, nothing wrong is believed.
TEST_F(MovedPortsTest, DamageIsFoundAndForgotten) {
    MovedPorts first;
    again(first);
    first.add(moved("g1", 3));
    constexpr std::size_t words_of_a_row = 15;
    auto& row = memory.pools.at("moved-ports/1").bytes;
    const std::vector<std::uint64_t> whole(row.begin(), row.begin() + words_of_a_row);
    for (const bool in_handles : {false, true}) {
        auto& pool = in_handles ? memory.pools.at("moved-handles/1").bytes : row;
        for (std::size_t bit = 0; bit < (in_handles ? 3 : words_of_a_row) * 64; ++bit) {
            pool[bit / 64] ^= std::uint64_t{1} << bit % 64;
            MovedPorts next;
            const bool as_if_unfinished = !in_handles && bit == 0;
            EXPECT_EQ(again(next), as_if_unfinished ? 0u : 1u) << bit;
            EXPECT_TRUE(next.all().empty()) << bit;
            if (in_handles) pool[bit / 64] ^= std::uint64_t{1} << bit % 64;
            std::ranges::copy(whole, row.begin());
        }
    }
    MovedPorts last;
    EXPECT_EQ(again(last), 0u);
    EXPECT_EQ(last.all().size(), 1u);
}

TEST_F(MovedPortsTest, HandlesShareOneRoomAndTheLastPortsGetWhatIsLeft) {
    constexpr std::uint32_t half = MovedPorts::max_handles / 2;
    MovedPorts first;
    again(first);
    first.add(moved("a", half));
    first.add(moved("b", half - 10));
    first.add(moved("c", 20));
    {
        MovedPorts next;
        EXPECT_EQ(again(next), 0u);
        ASSERT_EQ(next.all().size(), 3u);
        EXPECT_EQ(next.all()[1].handles->size(), half - 10);
        EXPECT_EQ(next.all()[2].handles->size(), 10u) << "ten of its flows are not known any more";
        EXPECT_EQ(next.all()[2].handle(10), 1009u);
    }
    first.erase("a");
    first.add(moved("c", 20));
    first.add(moved("d", half - 20));
    MovedPorts next;
    EXPECT_EQ(again(next), 0u);
    ASSERT_EQ(next.all().size(), 3u);
    for (const MovedPort& port : next.all())
        for (const auto& [here, there] : *port.handles) ASSERT_EQ(there, 999 + here) << port.name;
    EXPECT_EQ(next.all()[0].handles->size() + next.all()[1].handles->size() +
                  next.all()[2].handles->size(),
              half - 10 + 20 + half - 20);
}

TEST_F(MovedPortsTest, TheFirstMakesRoomWhenThereAreTooMany) {
    MovedPorts first;
    again(first);
    for (std::size_t i = 0; i <= limits::max_ports; ++i)
        first.add(moved("p" + std::to_string(i), 1));
    MovedPorts next;
    EXPECT_EQ(again(next), 0u);
    EXPECT_EQ(next.all().size(), limits::max_ports);
    for (const MovedPort& port : next.all()) EXPECT_NE(port.name, "p0");
}

}  // namespace
}  // namespace weir::engine
