#include "features/chain/anchor/draws.hpp"

#include <set>

#include "features/chain/testing/test_decide.hpp"

namespace weir::chain {
namespace {

class DrawsTest : public test::DecideTest {};

TEST_F(DrawsTest, NumbersByChanceAreDrawnOnceForAFlow) {  // PS-4
    Draws chance;
    draws = &chance;
    chain([](ServiceChain& c) { c.number = FlowNumbers::random; });
    std::set<std::uint32_t> paths;
    for (int i = 0; i < 100; ++i) {
        const std::uint32_t spi = out(4000).path->spi;
        EXPECT_EQ(reply(4000).path->spi, spi);
        EXPECT_EQ(out(4000, net::tcp_ack).path->spi, spi);
        paths.insert(spi);
        host().flows.erase(*flow_);
    }
    EXPECT_EQ(paths.size(), 4u) << "the same flow finds every path";
    chain([](ServiceChain& c) { c.number = FlowNumbers::hash; });
    publish();
    paths.clear();
    for (int i = 0; i < 20; ++i) {
        paths.insert(out(4000).path->spi);
        host().flows.erase(*flow_);
    }
    EXPECT_EQ(paths.size(), 1u);
}

}  // namespace
}  // namespace weir::chain
