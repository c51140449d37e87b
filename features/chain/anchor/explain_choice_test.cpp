#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "features/chain/anchor/selection.hpp"

namespace weir::chain {
namespace {

Chain random_chain(std::mt19937& engine, PathSelection policy) {
    Chain chain;
    chain.sci = 1;
    chain.path_selection = policy;
    for (std::uint32_t i = 0; i < 1 + engine() % 6; ++i) {
        Path path;
        path.spi = i + 1;
        path.weight = static_cast<std::uint32_t>(engine() % 5 * 7);
        path.maintenance = engine() % 6 == 0;
        path.crossings = static_cast<std::uint16_t>(engine() % 2);
        path.nodes_here = static_cast<std::uint16_t>(engine() % 2);
        chain.paths.push_back(path);
    }
    return chain;
}

// What operators are told is what selection does.
TEST(Choices, RangesNameThePathThatIsSelected) {
    std::mt19937 engine(11);
    const auto health = std::make_unique<dataplane::HealthBoard>();
    const PathSelection policies[] = {PathSelection::local, PathSelection::remote,
                                      PathSelection::round_robin, PathSelection::weighted};
    for (int round = 0; round < 2000; ++round) {
        const Chain chain = random_chain(engine, policies[round % 4]);
        const auto all = choices(chain, 1, *health);
        ASSERT_EQ(all.size(), chain.paths.size());
        for (int n = 0; n < 20; ++n) {
            const auto number = static_cast<std::uint32_t>(engine());
            const Path* selected = select_path(chain, 1, *health, number);
            const auto told = std::ranges::find_if(all, [&](const Choice& choice) {
                return choice.takes_part && choice.from <= number && number < choice.to;
            });
            ASSERT_EQ(selected, told == all.end() ? nullptr : told->path) << number;
        }
        // And exactly at the edges.
        for (const Choice& choice : all) {
            if (!choice.takes_part) continue;
            const auto first = static_cast<std::uint32_t>(choice.from);
            const auto last = static_cast<std::uint32_t>(choice.to - 1);
            ASSERT_EQ(select_path(chain, 1, *health, first), choice.path);
            ASSERT_EQ(select_path(chain, 1, *health, last), choice.path);
        }
    }
}

TEST(Choices, SayWhyAPathTakesNoPart) {
    Chain chain;
    chain.path_selection = PathSelection::local;
    chain.paths.resize(3);
    for (Path& path : chain.paths) path.weight = 1;
    chain.paths[0].maintenance = true;
    chain.paths[2].crossings = 5;
    const auto all = choices(chain, 1, *std::make_unique<dataplane::HealthBoard>());
    EXPECT_FALSE(all[0].candidate);
    EXPECT_TRUE(all[1].takes_part);
    EXPECT_TRUE(all[2].candidate);
    EXPECT_FALSE(all[2].takes_part);
    EXPECT_EQ(all[1].from, 0u);
    EXPECT_EQ(all[1].to, std::uint64_t{1} << 32);
}

}  // namespace
}  // namespace weir::chain
