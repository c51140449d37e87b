#include "apps/controller/rollout.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "apps/controller/testing.hpp"

namespace weir::controller {
namespace {

using namespace std::chrono_literals;
using model::ResourceKey;

// Nobody relies on what a bystander has.
bool is_no_bystander(const model::Snapshot&, const std::string&, std::string_view host) {
    return host != "bystander";
}
// Segments stand for what is built upon, routers of the same names for what builds on them, groups
// for what waits with them.
constexpr features::Order orders[] = {{"segment", "router", is_no_bystander}};

std::vector<ResourceKey> groups_wait(const model::Snapshot& planned,
                                     std::span<const ResourceKey> held) {
    std::vector<ResourceKey> out;
    for (const ResourceKey& key : held)
        if (planned.find<model::Group>(key.name)) out.push_back({"group", key.name});
    return out;
}

const features::Feature feature{
    "ordered",  model::add_core_kinds, testing::accept, testing::plan_all, nullptr, orders,
    groups_wait};

using Names = std::vector<std::string>;

class RolloutTest : public ::testing::Test {
protected:
    RolloutTest() { model::add_core_kinds(registry); }

    // "segment/a": what the host should run from now on.
    void plan(Standing& host, const Names& names) {
        rollout->leave(host);
        model::Snapshot next;
        for (const std::string& name : names) put(next, name);
        Rollout::replace_plan(registry, host, std::move(next));
        rollout->join(host, now);
    }
    void put(model::Snapshot& out, const std::string& name) {
        const auto slash = name.find('/');
        const std::string kind = name.substr(0, slash), own = name.substr(slash + 1);
        if (kind == "segment") out.put(named<model::Segment>(own));
        if (kind == "router") out.put(named<model::Router>(own));
        if (kind == "group") out.put(named<model::Group>(own));
    }
    template <class R>
    static R named(const std::string& name) {
        R resource;
        resource.name = name;
        return resource;
    }
    Names target(Standing& host) {
        Names out;
        for (const auto& row : rollout->target(host, now).digests) out.push_back(row.first.text());
        return out;
    }
    // The host says that it runs what it is told.
    Names apply(Standing& host) {
        auto digests = rollout->target(host, now).digests;
        rollout->leave(host);
        host.running = std::move(digests);
        rollout->join(host, now);
        return target(host);
    }

    model::Registry registry;
    static constexpr RolloutTimes times{30s, 10s};
    std::optional<Rollout> rollout{std::in_place, std::span(&feature, 1), times};
    Rollout::Time now{1h};
    Standing anchor, hop;
};

TEST_F(RolloutTest, WhatIsBuiltUponIsEverywhereBeforeAnybodyBuilds) {
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    EXPECT_EQ(target(anchor), Names{"segment/a"});
    EXPECT_EQ(rollout->target(anchor, now).held, (std::vector<ResourceKey>{{"router", "a"}}));
    apply(anchor);
    EXPECT_EQ(target(anchor), Names{"segment/a"}) << "the hop has not said that it is ready";
    apply(hop);
    EXPECT_EQ(target(anchor), (Names{"router/a", "segment/a"}));
}

TEST_F(RolloutTest, AHostThatNobodyReliesOnHoldsNobodyUp) {
    Standing other;
    other.name = "bystander";
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    plan(other, {"segment/a", "router/a"});
    apply(hop);
    EXPECT_EQ(target(anchor), (Names{"router/a", "segment/a"})) << "the other one may be away";
    apply(anchor);
    apply(other);
    plan(anchor, {});
    plan(hop, {});
    apply(anchor);
    now += 30s;
    EXPECT_EQ(target(hop), Names{"segment/a"}) << "the other one uses it";
}

TEST_F(RolloutTest, OneHostAloneGetsBothAtOnce) {
    plan(anchor, {"segment/a", "router/a"});
    EXPECT_EQ(target(anchor), (Names{"router/a", "segment/a"}));
}

TEST_F(RolloutTest, WhatIsUsedStaysUntilTheLastUserIsGoneAndAWhileLonger) {
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    apply(hop), apply(anchor);
    plan(anchor, {});
    plan(hop, {});
    EXPECT_EQ(target(hop), Names{"segment/a"}) << "the anchor still builds on it";
    EXPECT_EQ(apply(hop), Names{"segment/a"});
    now += 60s;
    EXPECT_EQ(target(hop), Names{"segment/a"}) << "however long that takes";
    EXPECT_EQ(target(anchor), Names{"segment/a"}) << "the user goes at once, its own part lingers";
    apply(anchor);
    EXPECT_EQ(rollout->target(hop, now).look_again, now + 30s);
    now += 29s;
    EXPECT_EQ(target(hop), Names{"segment/a"});
    now += 1s;
    EXPECT_EQ(target(hop), Names());
    EXPECT_EQ(target(anchor), Names());
}

TEST_F(RolloutTest, TheOldOneStaysInUseUntilTheNewOneIsReady) {
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    apply(hop), apply(anchor);
    plan(anchor, {"segment/b", "router/b"});
    plan(hop, {"segment/b"});
    EXPECT_EQ(target(anchor), (Names{"router/a", "segment/a", "segment/b"}));
    apply(anchor);
    EXPECT_EQ(apply(hop), (Names{"segment/a", "segment/b"})) << "both while packets are under way";
    EXPECT_EQ(target(anchor), (Names{"router/b", "segment/a", "segment/b"}));
    apply(anchor);
    now += 30s;
    EXPECT_EQ(target(hop), Names{"segment/b"});
}

TEST_F(RolloutTest, AHostThatDoesNotAnswerHoldsUpWhatNeedsItAndNothingElseForLong) {
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    apply(hop), apply(anchor);
    plan(anchor, {"segment/b", "router/b", "group/b", "group/c"});
    plan(hop, {"segment/b"});
    EXPECT_EQ(target(anchor), (Names{"group/c", "router/a", "segment/a", "segment/b"}));
    EXPECT_EQ(rollout->target(anchor, now).look_again, now + 10s);
    now += 10s;
    EXPECT_EQ(target(anchor), (Names{"group/b", "group/c", "segment/a", "segment/b"}))
        << "what waited goes, what would use an unready host does not";
}

TEST_F(RolloutTest, WhatIsInUseAgainDoesNotGo) {
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    apply(hop), apply(anchor);
    plan(anchor, {});
    plan(hop, {});
    apply(anchor);
    now += 20s;
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    apply(anchor);
    plan(anchor, {});
    plan(hop, {});
    now += 20s;
    EXPECT_EQ(target(hop), Names{"segment/a"}) << "counted from its last use";
    apply(anchor);
    now += 30s;
    EXPECT_EQ(target(hop), Names());
}

TEST_F(RolloutTest, AHostThatLeavesHoldsNobodyUp) {
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a"});
    EXPECT_EQ(target(anchor), Names{"segment/a"});
    rollout->leave(hop);
    rollout->join(anchor, now);
    EXPECT_EQ(target(anchor), (Names{"router/a", "segment/a"}));
}

TEST_F(RolloutTest, AControllerThatJustStartedTakesNothingAway) {
    put(anchor.plan, "segment/old");
    put(anchor.plan, "router/old");
    anchor.running = model::digests(registry, anchor.plan);  // said by the host
    anchor.plan = {};
    rollout->join(anchor, now);
    EXPECT_EQ(target(anchor), Names{"segment/old"});
    apply(anchor);
    now += 30s;
    EXPECT_EQ(target(anchor), Names());
}

// Groups stay with segments of the same name that stay for others.
std::vector<ResourceKey> groups_stay(const model::Snapshot& left,
                                     std::span<const ResourceKey> lingering) {
    std::vector<ResourceKey> out;
    for (const ResourceKey& key : lingering)
        if (left.find<model::Group>(key.name)) out.push_back({"group", key.name});
    return out;
}

const features::Feature keeping{
    "keeping", model::add_core_kinds, testing::accept, testing::plan_all, nullptr,
    orders,    groups_wait,           nullptr,         groups_stay};

TEST_F(RolloutTest, WhatLingersKeepsWhatItNeeds) {
    rollout.emplace(std::span(&keeping, 1), times);
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a", "group/a", "group/b"});
    apply(hop), apply(anchor);
    plan(anchor, {});
    plan(hop, {});
    EXPECT_EQ(target(hop), (Names{"group/a", "segment/a"})) << "the anchor uses it still";
    apply(hop), apply(anchor);
    now += 29s;
    plan(hop, {});  // another revision, about something else
    EXPECT_EQ(target(hop), (Names{"group/a", "segment/a"}));
    now += 1s;
    EXPECT_EQ(target(hop), Names()) << "both go together";
}

TEST_F(RolloutTest, WithoutSuchANeedOnlyTheFirstLingers) {
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a", "group/a"});
    apply(hop), apply(anchor);
    plan(anchor, {});
    plan(hop, {});
    EXPECT_EQ(target(hop), Names{"segment/a"});
}

TEST_F(RolloutTest, WhatIsPlannedAnewIsNotKeptAsItWas) {
    rollout.emplace(std::span(&keeping, 1), times);
    plan(anchor, {"segment/a", "router/a"});
    plan(hop, {"segment/a", "group/a"});
    apply(hop), apply(anchor);
    plan(anchor, {});
    plan(hop, {"group/a"});
    EXPECT_FALSE(hop.left.find<model::Group>("a"));
    EXPECT_EQ(target(hop), (Names{"group/a", "segment/a"}));
}

}  // namespace
}  // namespace weir::controller
