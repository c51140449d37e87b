// A shard after its process was killed.
#include "flow/crash_testing.hpp"

namespace weir::flow {
namespace {

// At each instruction the shard holds either what it held before or what it held after.
Steps all_or_nothing(const Operation& operation) {
    Shard reference(small, 2);
    prepare(reference.table);
    const auto before = contents(reference.table);
    operation(reference.table);
    const auto after = contents(reference.table);
    Steps steps;
    step_through(
        operation,
        [&](Table& table, const AdoptReport&) {
            const auto now = contents(table);
            ASSERT_TRUE(now == before || now == after) << now.size();
            steps.before += now == before;
            steps.after += now == after;
        },
        steps);
    return steps;
}

FlowPair& record(Table& table, std::uint32_t client) {
    const Key key = tcp_key(client % 2, client, 1);
    return *table.find(key.scope, key.vni, key.tuple, net::symmetric_hash(key.tuple)).pair;
}

TEST(Crash, InsertIsWholeOrNotThere) {
    const Steps steps = all_or_nothing([](Table& table) {
        const Key key = tcp_key(0, 500, 1);
        table.insert(key, net::symmetric_hash(key.tuple), 5'000'000);
    });
    EXPECT_GT(steps.before, 0u);
    EXPECT_GT(steps.after, 0u);
    EXPECT_GT(steps.torn, 0u) << "never caught while being written";
}

TEST(Crash, InsertIntoANewSlab) {
    const Steps steps = all_or_nothing([](Table& table) {
        static const std::uint32_t scope = 2;
        (void)table.open_scope("g2", scope);
        const Key key = tcp_key(scope, 500, 1);
        table.insert(key, net::symmetric_hash(key.tuple), 5'000'000);
    });
    EXPECT_GT(steps.before, 0u);
    EXPECT_GT(steps.after, 0u);
}

TEST(Crash, EraseOfARecordWithAliasAndExtension) {
    const Steps steps = all_or_nothing([](Table& table) { table.erase(record(table, 0)); });
    EXPECT_GT(steps.before, 0u);
    EXPECT_GT(steps.after, 0u);
    EXPECT_GT(steps.lost_aliases, 0u) << "never caught between record and alias";
}

TEST(Crash, ReuseOfASlotInsideOneStep) {
    Steps steps;
    const auto erase_and_insert = [](Table& table) {
        table.erase(record(table, 0));
        const Key key = tcp_key(0, 500, 1);
        table.insert(key, net::symmetric_hash(key.tuple), 5'000'000);
    };
    step_through(
        erase_and_insert,
        [&](Table& table, const AdoptReport&) {
            EXPECT_GE(table.size(), 69u);
            EXPECT_LE(table.size(), 70u);
            // Nobody inherits the alias or the extension of the record that was there before.
            table.for_each(0, [&](FlowPair& pair) {
                const bool first = pair.key == tcp_key(0, 0, 1);
                EXPECT_TRUE(first || pair.aliases == no_index);
                EXPECT_TRUE(first || pair.extension == no_index);
                EXPECT_TRUE(first || table.insertion(pair) == InsertionDecision{});
            });
        },
        steps);
}

TEST(Crash, AliasIsWholeOrNotThere) {
    Steps steps;
    std::size_t without = 0, with = 0;
    const net::Tuple tuple = key_of(0, 6, 888, 5).tuple;
    step_through(
        [&](Table& table) {
            table.add_alias(record(table, 2), tuple, 1, net::symmetric_hash(tuple));
        },
        [&](Table& table, const AdoptReport&) {
            const auto hit = table.find(0, 5001, tuple, net::symmetric_hash(tuple));
            ++(hit ? with : without);
            if (!hit) return;
            EXPECT_EQ(hit.direction, 1);
            EXPECT_EQ(hit.pair->key, tcp_key(0, 2, 1));
        },
        steps);
    EXPECT_GT(without, 0u);
    EXPECT_GT(with, 0u);
    EXPECT_EQ(steps.lost_aliases, 0u);
}

TEST(Crash, ExtensionIsWholeOrNotThere) {
    Steps steps;
    std::size_t without = 0, with = 0;
    const std::vector<std::uint8_t> bytes(200, 0x77);
    step_through([&](Table& table) { table.set_extension(record(table, 2), bytes); },
                 [&](Table& table, const AdoptReport&) {
                     const auto now = table.extension(record(table, 2));
                     ++(now.empty() ? without : with);
                     EXPECT_TRUE(now.empty() || now == bytes);
                 },
                 steps);
    EXPECT_GT(without, 0u);
    EXPECT_GT(with, 0u);
}

TEST(Crash, ScopeIsOpenOrNotAndLosesOnlyItsOwn) {
    Steps steps;
    std::size_t closed = 0, open = 0;
    step_through([](Table& table) { table.close_scope(1); },
                 [&](Table& table, const AdoptReport&) {
                     EXPECT_EQ(table.scope(0)->records, 35u);
                     ++(table.scope(1) == nullptr ? closed : open);
                 },
                 steps);
    EXPECT_GT(closed, 0u);
    EXPECT_GT(open, 0u);
    step_through([](Table& table) { (void)table.open_scope("new", 2); },
                 [&](Table& table, const AdoptReport&) {
                     EXPECT_EQ(table.size(), 70u);
                     EXPECT_TRUE(table.scope(2) == nullptr ||
                                 std::string_view("new") == table.scope(2)->name);
                 },
                 steps);
}

TEST(Crash, TakenOverIdentityIsWholeOrGone) {
    Steps steps;
    std::size_t gone = 0, old_one = 0, new_one = 0;
    const std::uint64_t fresh = std::uint64_t{9} << 56 | 4711;
    step_through([&](Table& table) { table.set_identity(record(table, 2), fresh, 42); },
                 [&](Table& table, const AdoptReport&) {
                     const Key key = tcp_key(0, 2, 1);
                     const auto hit =
                         table.find(0, key.vni, key.tuple, net::symmetric_hash(key.tuple));
                     if (!hit) ++gone;
                     else if (hit.pair->id == fresh && hit.pair->created_ns == 42) ++new_one;
                     else ++old_one;
                 },
                 steps);
    EXPECT_GT(gone, 0u);
    EXPECT_GT(old_one, 0u);
    EXPECT_GT(new_one, 0u);
}

TEST(Crash, DecisionIsOldOrNewOrUndecided) {
    Steps steps;
    std::size_t undecided = 0;
    const FirewallDecision allow{.rule_id = 7, .revision = 3, .verdict = Verdict::allow, .log = 1};
    const FirewallDecision deny{.rule_id = 8, .revision = 4, .verdict = Verdict::drop, .log = 0};
    step_through(
        [&](Table& table) {
            FlowPair& pair = record(table, 2);
            store_decision(pair.firewall, allow);
            store_decision(pair.firewall, deny);
        },
        [&](Table& table, const AdoptReport&) {
            const FirewallDecision& now = record(table, 2).firewall;
            if (now.revision == 3) {
                EXPECT_TRUE(now.rule_id == 7 && now.verdict == Verdict::allow);
            } else if (now.revision == 4) {
                EXPECT_TRUE(now.rule_id == 8 && now.verdict == Verdict::drop);
            } else {
                ++undecided;
            }
        },
        steps);
    EXPECT_GT(undecided, 0u);
}

TEST(Crash, InsertionIsOldOrNewOrUndecided) {
    Steps steps;
    std::array<std::size_t, 4> seen{};
    InsertionDecision none;
    none.verdict = {ServiceVerdict::no_service, ServiceVerdict::no_service};
    none.revision = 3;
    step_through(
        [&](Table& table) {
            FlowPair& pair = record(table, 2);
            table.set_insertion(pair, on_path(1));
            table.set_insertion(pair, on_path(2));
            table.set_insertion(pair, none);
        },
        [&](Table& table, const AdoptReport& report) {
            const InsertionDecision now = table.insertion(record(table, 2));
            ASSERT_LE(now.revision, 3u);
            ++seen[now.revision];
            const bool whole = now == (now.revision == 3 ? none : on_path(now.revision));
            EXPECT_TRUE(whole || now.revision == 0);
            EXPECT_EQ(table.insertion(record(table, 0)), on_path(7)) << "another flow's";
            EXPECT_EQ(report.lost_insertions, 0u);
        },
        steps);
    for (const std::size_t times : seen) EXPECT_GT(times, 0u);
}

TEST(Crash, AgeingLosesOnlyWhatIsDue) {
    Steps steps;
    step_through([](Table& table) { table.age(60'100'000'000, 3); },
                 [&](Table& table, const AdoptReport&) { EXPECT_GE(table.size(), 67u); }, steps);
}

TEST(Crash, EvictionLosesOnlyTheVictim) {
    Steps steps;
    const auto push = [](Table& table, std::uint32_t client) {
        const Key key = tcp_key(0, client, 1);
        InsertOutcome outcome{};
        table.insert(key, net::symmetric_hash(key.tuple), 5'000'000, &outcome);
        return outcome;
    };
    step_through([&](Table& table) { push(table, 5000); },
                 [&](Table& table, const AdoptReport&) {
                     EXPECT_GE(table.scope(0)->records, 127u);
                     EXPECT_EQ(table.scope(1)->records, 35u);
                 },
                 steps,
                 [&](Table& table) {
                     std::uint32_t client = 1000;
                     while (push(table, client) == InsertOutcome::inserted) client += 2;
                     EXPECT_EQ(table.stats().evicted[1], 1u);
                     EXPECT_EQ(table.scope(0)->records, 128u);
                 });
}

TEST(Crash, AdoptionItselfMayBeKilled) {
    const std::size_t bytes = Table::bytes_needed(small);
    Shard reference(small, 2);
    prepare(reference.table);
    const auto want = contents(reference.table);
    Steps steps;
    // The child adopts the shard in place; what it has half rebuilt is adopted again.
    step_through(
        [&](Table& table) {
            std::byte* begin = reinterpret_cast<std::byte*>(table.at(0)) +
                               small.records * sizeof(FlowPair) - bytes;  // records stand last
            (void)Table::adopt({begin, bytes});
        },
        [&](Table& table, const AdoptReport& report) {
            ASSERT_EQ(contents(table), want);
            ASSERT_EQ(report.aliases, 1u);
            ASSERT_EQ(table.extension(record(table, 0)).size(), 150u);
            ASSERT_EQ(table.insertion(record(table, 0)), on_path(7));
        },
        steps);
}

TEST(Crash, CleanShardIsAdoptedAsItStands) {
    Shard shard(small, 2);
    prepare(shard.table);
    const auto want = contents(shard.table);
    shard.table.close();
    AdoptReport report;
    Result<Table> adopted = Table::adopt(shard.memory(), &report);
    ASSERT_TRUE(adopted);
    EXPECT_FALSE(report.rebuilt);
    EXPECT_EQ(report.adopted, 70u);
    EXPECT_EQ(contents(*adopted), want);
    EXPECT_TRUE(adopted->check());
    // Without another close it is a crash.
    ASSERT_TRUE(Table::adopt(shard.memory(), &report));
    EXPECT_TRUE(report.rebuilt);
}

TEST(Crash, AShardInUseByAnotherViewIsNotClean) {
    Shard shard(small, 2);
    prepare(shard.table);
    Table second = *Table::attach(shard.memory());
    shard.table.close();
    AdoptReport report;
    const std::vector<std::byte> killed_now(shard.memory().begin(), shard.memory().end());
    second.close();
    ASSERT_TRUE(Table::adopt(shard.memory(), &report));
    EXPECT_FALSE(report.rebuilt);
    std::memcpy(shard.memory().data(), killed_now.data(), killed_now.size());
    ASSERT_TRUE(Table::adopt(shard.memory(), &report));
    EXPECT_TRUE(report.rebuilt);
}

TEST(Crash, DamageIsNamedOrDropped) {
    Shard shard(small, 2);
    prepare(shard.table);
    shard.table.at(3)->key.tuple.src_port ^= 1;  // identity torn
    shard.table.at(70)->key.scope = 2;           // belongs to nobody
    shard.table.at(5)->tcp = static_cast<TcpState>(99);
    AdoptReport report;
    Result<Table> adopted = Table::adopt(shard.memory(), &report);
    ASSERT_TRUE(adopted);
    EXPECT_EQ(report.corrupt, 3u);
    EXPECT_EQ(adopted->size(), 67u);
    EXPECT_TRUE(adopted->check());

    shard.memory()[offsetof(ShardHeader, geometry) + 8] ^= std::byte{1};
    EXPECT_EQ(Table::adopt(shard.memory()).error().field, "checksum");
    shard.memory()[0] ^= std::byte{1};
    EXPECT_EQ(Table::adopt(shard.memory()).error().field, "magic");
    EXPECT_EQ(Table::adopt(shard.memory().first(100)).error().field, "memory");
}

TEST(Crash, OpenAdoptsOnlyWhatHasTheSameLimits) {
    Shard shard(small, 2);
    prepare(shard.table);
    AdoptReport report;
    ASSERT_TRUE(Table::open(shard.memory(), small, 2, &report));
    EXPECT_FALSE(report.created);
    EXPECT_EQ(report.adopted, 70u);
    Result<Table> other = Table::open(shard.memory(), {.records = 64, .scopes = 1}, 2, &report);
    ASSERT_TRUE(other);
    EXPECT_TRUE(report.created);
    EXPECT_EQ(other->size(), 0u);
}

}  // namespace
}  // namespace weir::flow
