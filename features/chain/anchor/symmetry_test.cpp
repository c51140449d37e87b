#include "features/chain/anchor/symmetry.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace weir::chain {
namespace {

using Met = Symmetry::Met;

struct Watch {
    std::unique_ptr<Symmetry> symmetry = std::make_unique<Symmetry>();
    bool there(Met met, std::uint32_t flow = 7) { return symmetry->look(flow, false, met); }
    bool back(Met met, std::uint32_t flow = 7) { return symmetry->look(flow, true, met); }
};
constexpr Met both{10, 2}, one{20, 1}, other{30, 2};

TEST(Symmetry, WatchesOneFlowInSixtyFourOfEachHost) {
    for (const std::uint32_t host : {1u, 2u, 777u}) {
        int watched = 0;
        for (std::uint32_t slot = 0; slot < 64'000; ++slot)
            watched += Symmetry::watches(host, slot % 251 << 24 | slot);
        EXPECT_NEAR(watched, 1000, 100);
    }
}

TEST(Symmetry, SaysNothingOfFlowsThatMeetTheSameNodes) {
    Watch watch;
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(watch.there(both));
        EXPECT_FALSE(watch.back(both));
    }
    EXPECT_EQ(watch.symmetry->watched, 1u);
    EXPECT_EQ(watch.symmetry->asymmetric, 0u);
}

TEST(Symmetry, TellsOnceOfAFlowWhoseReverseMeetsOthers) {
    Watch watch;
    int told = 0;
    for (int i = 0; i < 100; ++i) {
        told += watch.there(both);
        told += watch.back(one);
    }
    EXPECT_EQ(told, 1);
    EXPECT_EQ(watch.symmetry->asymmetric, 1u);
}

TEST(Symmetry, AChangeOfPathIsNoAsymmetry) {
    Watch watch;
    for (int i = 0; i < 20; ++i) {
        const Met before = i % 2 ? both : other, after = i % 2 ? other : both;
        EXPECT_FALSE(watch.there(before));
        EXPECT_FALSE(watch.back(before));
        EXPECT_FALSE(watch.there(after)) << "the reply is still under way";
        EXPECT_FALSE(watch.back(before));
        EXPECT_FALSE(watch.there(after));
        EXPECT_FALSE(watch.back(after));
    }
}

TEST(Symmetry, ManyPacketsOfOneDirectionAreOneTurn) {
    Watch watch;
    watch.back(both);
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(watch.there(one));
}

TEST(Symmetry, AnotherFlowAtTheSamePlaceStartsAnew) {
    Watch watch;
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(watch.there(both, 7));
        EXPECT_FALSE(watch.back(one, 7 + Symmetry::capacity));
    }
}

// A chain of two nodes and a tap, its path the same both ways.
struct PlaneOfOne {
    Plane plane;
    PlaneOfOne() {
        Path path;
        path.spi = 9;
        path.epoch = 3;
        path.hops[0] = {hop(1), hop(5, HopAction::copy), hop(2)};
        path.hops[1] = {hop(2), hop(1)};
        Chain chain;
        chain.sci = 1;
        chain.paths.push_back(path);
        plane.chains.push_back(chain);
    }
    static Hop hop(std::uint32_t id, HopAction action = HopAction::redirect) {
        Hop out;
        out.node_id = id;
        out.action = action;
        return out;
    }
    Met met(bool reverse, std::uint8_t ttl, std::uint8_t skip = 0, std::uint8_t epoch = 3) const {
        net::Smd smd;
        smd.sci = 1;
        smd.spi = 9;
        smd.path_epoch = epoch;
        smd.reverse = reverse;
        smd.ttl = ttl;
        smd.skip_mask = skip;
        return met_by(plane, smd);
    }
};

TEST(Symmetry, NodesAreASetAndCopiesDoNotCount) {
    const PlaneOfOne one_path;
    EXPECT_NE(one_path.met(false, 60).nodes, 0u);
    EXPECT_EQ(one_path.met(false, 60), one_path.met(true, 60));
}

TEST(Symmetry, ASkippedNodeIsMissing) {
    const PlaneOfOne one_path;
    EXPECT_EQ(one_path.met(false, 61, 0b001), one_path.met(true, 61, 0b10))
        << "n1, the first there and the last back, by order";
    EXPECT_NE(one_path.met(false, 61, 0b001), one_path.met(true, 61, 0b01)) << "n1 and n2";
    EXPECT_NE(one_path.met(false, 61), one_path.met(true, 60)) << "left out on the way";
    EXPECT_NE(one_path.met(false, 61), one_path.met(true, 61, 0b10)) << "nobody knows which";
}

TEST(Symmetry, CountsFromTheTtlThatTheChainBeginsWith) {
    const PlaneOfOne usual;
    PlaneOfOne one_path;
    one_path.plane.chains[0].paths[0].initial_ttl = 30;
    EXPECT_EQ(one_path.met(false, 27), usual.met(false, 60));
    EXPECT_EQ(one_path.met(false, 30).nodes, 0u) << "it was nowhere";
}

TEST(Symmetry, WhatCannotBeToldIsNotJudged) {
    PlaneOfOne one_path;
    EXPECT_EQ(one_path.met(false, 60, 0, 4).nodes, 0u) << "another epoch";
    EXPECT_EQ(one_path.met(false, 63).nodes, 0u);
    one_path.plane.chains[0].paths[0].hops[1].pop_back();
    EXPECT_EQ(one_path.met(false, 60).nodes, 0u) << "replies are meant to meet others";
}

}  // namespace
}  // namespace weir::chain
