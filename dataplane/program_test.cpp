#include "dataplane/program.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weir::dataplane {
namespace {

ActionProgram towards(std::uint32_t peer) {
    ActionProgram program;
    program.act_behind = 4;
    program.egress = Egress::tunnel;
    program.peer = peer;
    return program;
}

TEST(ProgramStore, EqualProgramsHaveOneNumber) {
    ProgramStore store;
    store.open();
    const std::uint32_t first = store.put(towards(1)), other = store.put(towards(2));
    EXPECT_NE(first, ProgramStore::none);
    EXPECT_NE(first, other);
    EXPECT_EQ(store.put(towards(1)), first);
    ASSERT_NE(store.get(first), nullptr);
    EXPECT_EQ(*store.get(first), towards(1));
    EXPECT_EQ(*store.get(other), towards(2));
    EXPECT_EQ(store.get(ProgramStore::none), nullptr);
}

TEST(ProgramStore, EveryFieldTellsProgramsApart) {
    ProgramStore store;
    store.open();
    std::vector<ActionProgram> programs(13, towards(1));
    programs[1].act_before = 1;
    programs[2].act_behind = 1;
    programs[3].behind_epoch = 1;
    programs[4].behind_engine = 1;
    programs[5].egress = Egress::local_port;
    programs[6].routed = true;
    programs[7].mtu = 1500;
    programs[8].egress_port = 3;
    programs[9].peer = 9;
    programs[10].vni = 5001;
    programs[11].new_src.bytes[5] = 1;
    programs[12].new_dst.bytes[5] = 1;
    std::vector<std::uint32_t> numbers;
    for (const ActionProgram& program : programs) numbers.push_back(store.put(program));
    for (std::size_t i = 0; i < programs.size(); ++i) {
        EXPECT_EQ(*store.get(numbers[i]), programs[i]);
        for (std::size_t k = 0; k < i; ++k) EXPECT_NE(numbers[i], numbers[k]) << i << " " << k;
    }
}

// A number may be forgotten, but never mean another program.
TEST(ProgramStore, AFullStoreForgetsAndGoesOn) {
    ProgramStore store;
    store.open();
    std::vector<std::uint32_t> numbers;
    constexpr std::uint32_t many = 5 * ProgramStore::capacity;
    std::uint32_t forgotten = 0;
    for (std::uint32_t i = 0; i < many; ++i) {
        numbers.push_back(store.put(towards(i)));
        ASSERT_EQ(*store.get(numbers.back()), towards(i));
    }
    for (std::uint32_t i = 0; i < many; ++i) {
        const ActionProgram* known = store.get(numbers[i]);
        if (known) ASSERT_EQ(*known, towards(i));
        else ++forgotten;
    }
    EXPECT_GE(forgotten, many - ProgramStore::capacity);
    EXPECT_LT(forgotten, many) << "the last ones are there";
}

}  // namespace
}  // namespace weir::dataplane
