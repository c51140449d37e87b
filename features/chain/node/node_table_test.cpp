#include "features/chain/node/node_table.hpp"

#include <gtest/gtest.h>

#include "features/chain/testing/test_nodes.hpp"

namespace weir::chain {
namespace {

using namespace test;

TEST(NodeTable, HasTheNodesOfThisHostThatAreOpen) {
    const model::Snapshot intent = node_intent();
    dataplane::Topology ports = node_ports(intent);
    const NodeTable table = compile_nodes({intent, ports, 1}).value();
    ASSERT_EQ(table.nodes.size(), 2u);
    EXPECT_EQ(table.nodes[0].name, "n1");
    EXPECT_TRUE(table.nodes[0].realised());
    EXPECT_EQ(table.at(right_port)->side, Side::right);
    EXPECT_EQ(table.at(guest_port), nullptr);
    ports.ports[right_port].role = dataplane::PortRole::none;
    const NodeTable half = compile_nodes({intent, ports, 1}).value();
    EXPECT_FALSE(half.nodes[1].realised());
    EXPECT_EQ(half.at(right_port), nullptr);
    EXPECT_NE(half.digest, table.digest);
}

TEST(NodeTable, RefusesMoreNodesThanThereIsMemoryFor) {
    model::Snapshot intent = node_intent();
    for (std::uint32_t id = 1000; id < 1000 + max_local_nodes; ++id)
        add_node(intent, id, "h3", "fw", NodeMode::aware);
    const auto table = compile_nodes({intent, node_ports(intent), 1});
    ASSERT_FALSE(table.ok());
    EXPECT_EQ(table.error().code, Errc::limit);
    EXPECT_EQ(table.error().field, "host");
}

}  // namespace
}  // namespace weir::chain
