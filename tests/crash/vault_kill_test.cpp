// A child keeps flows in a vault and is killed with SIGKILL in the middle of its work, again and
// again. After each kill the parent adopts the vault, holds what it finds against the child's own
// journal, and the next child goes on from there.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "base/testing/patience.hpp"
#include "flow/table.hpp"
#include "flow/testing.hpp"
#include "vault/vault.hpp"

namespace weir {
namespace {

using flow::AdoptReport;
using flow::FlowPair;
using flow::Key;
using flow::Table;
using vault::Adoption;

constexpr flow::TableLimits table_limits{.records = 1024, .scopes = 4, .aliases = 32, .chunks = 16};
constexpr std::uint32_t worker = 3;
constexpr std::uint32_t keys = 600, scopes = 3;
constexpr unsigned kills = 250;

enum class Known : std::uint8_t { absent = 0, present, in_flight };

// In memory shared with the child: what it knows about each key, and how far it has come.
struct Journal {
    std::array<std::atomic<Known>, keys> state;
    std::array<std::atomic<std::uint64_t>, keys> id;
    std::atomic<std::uint64_t> operations;
};

Key key_number(std::uint32_t number) {
    return number % 2 == 0 ? flow::tcp_key(number % scopes, number, 1)
                           : flow::udp_key(number % scopes, number, 1);
}

class VaultKill : public ::testing::Test {
protected:
    void SetUp() override {
        const bool tmpfs = ::access("/dev/shm", W_OK) == 0;
        std::string pattern = std::string(tmpfs ? "/dev/shm" : "/tmp") + "/weir-kill-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        void* shared = ::mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(shared, MAP_FAILED);
        journal_ = new (shared) Journal{};
    }
    void TearDown() override {
        ::munmap(journal_, sizeof(Journal));
        std::filesystem::remove_all(directory_);
    }

    // The vault and the shard in it, as a starting process finds them.
    struct Opened {
        vault::Vault vault;
        Table table;
        Adoption adoption;
    };
    Opened open(AdoptReport& report) {
        Result<vault::Vault> vault = vault::Vault::open(directory_);
        WEIR_CHECK(vault.ok(), "nobody else owns the vault");
        Result<vault::Pool> pool =
            vault->pool("flows-3", Table::bytes_needed(table_limits), flow::pool_layout_version);
        WEIR_CHECK(pool.ok(), "there is room for the pool");
        Result<Table> table = pool->adoption == Adoption::created
                                  ? Table::create(pool->memory, table_limits, worker)
                                  : Table::open(pool->memory, table_limits, worker, &report);
        WEIR_CHECK(table.ok(), "the shard opens");
        return {std::move(*vault), *table, pool->adoption};
    }

    [[noreturn]] void work(std::uint32_t seed) {
        AdoptReport report;
        Opened opened = open(report);
        Table& table = opened.table;
        for (std::uint32_t i = 0; i < scopes; ++i)
            (void)table.open_scope("g" + std::to_string(i), i);
        std::mt19937 random{seed};
        std::uint64_t now = 1'000'000'000ull * (1 + seed);
        while (true) {
            const auto number = static_cast<std::uint32_t>(random() % keys);
            const Key key = key_number(number);
            const auto hit =
                table.find(key.scope, key.vni, key.tuple, net::symmetric_hash(key.tuple));
            auto& state = journal_->state[number];
            if (!hit) {
                state = Known::in_flight;
                FlowPair* pair = table.insert(key, net::symmetric_hash(key.tuple), ++now);
                journal_->id[number] = pair->id;
                state = Known::present;
            } else if (random() % 3 == 0) {
                state = Known::in_flight;
                table.erase(*hit.pair);
                state = Known::absent;
            } else {
                decorate(table, *hit.pair, static_cast<std::uint32_t>(random()), ++now);
            }
            journal_->operations.fetch_add(1, std::memory_order_relaxed);
        }
    }
    static void decorate(Table& table, FlowPair& pair, std::uint32_t choice, std::uint64_t now) {
        if (choice % 8 == 0) {
            const net::Tuple tuple = flow::key_of(0, 6, 5000 + choice % 500, 1).tuple;
            table.add_alias(pair, tuple, choice & 1, net::symmetric_hash(tuple));
        } else if (choice % 8 == 1) {
            const std::vector<std::uint8_t> bytes(choice % 300, 0x33);
            table.set_extension(pair, bytes);
        } else {
            pair.tcp = choice % 2 == 0 ? flow::TcpState::established : flow::TcpState::closing;
            table.touch(pair, choice & 1, flow::default_timeouts, now);
        }
    }

    // Waits until the child has done `operations` more, then kills it wherever it is.
    void run_and_kill(std::uint32_t seed, std::uint64_t operations) {
        const std::uint64_t goal = journal_->operations + operations;
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) work(seed);
        const auto deadline = std::chrono::steady_clock::now() +
                              weir::testing::patience(std::chrono::seconds(30));
        while (journal_->operations < goal && std::chrono::steady_clock::now() < deadline)
            ::sched_yield();
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child failed";
        ASSERT_GE(journal_->operations, goal) << "the child came to a halt";
    }

    void hold_against_journal(Opened& opened, const AdoptReport& report) {
        EXPECT_EQ(opened.adoption, Adoption::adopted_after_crash);
        EXPECT_TRUE(report.rebuilt);
        EXPECT_LE(report.torn, 1u);
        EXPECT_EQ(report.corrupt, 0u);
        EXPECT_EQ(report.duplicate, 0u);
        const Status sound = opened.table.check();
        ASSERT_TRUE(sound) << sound.error().text();
        for (std::uint32_t number = 0; number < keys; ++number) {
            const Key key = key_number(number);
            const std::uint32_t hash = net::symmetric_hash(key.tuple);
            const auto hit = opened.table.find(key.scope, key.vni, key.tuple, hash);
            const auto back = opened.table.find(key.scope, key.vni, key.tuple.reversed(), hash);
            ASSERT_EQ(hit.pair, back.pair) << number;
            const Known known = journal_->state[number];
            caught_ += known == Known::in_flight;
            if (known == Known::in_flight) {
                journal_->state[number] = hit ? Known::present : Known::absent;
                if (hit) journal_->id[number] = hit.pair->id;
                continue;
            }
            ASSERT_EQ(bool(hit), known == Known::present) << number;
            if (hit) {
                ASSERT_EQ(hit.pair->id, journal_->id[number]) << number;
            }
        }
        torn_ += report.torn;
    }

    std::string directory_;
    Journal* journal_ = nullptr;
    unsigned caught_ = 0, torn_ = 0;
};

TEST_F(VaultKill, FlowsSurviveKillsAtRandomPoints) {
    std::mt19937 random{20};
    const auto begin = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < kills; ++i) {
        ASSERT_NO_FATAL_FAILURE(run_and_kill(i, 1 + random() % 3000));
        AdoptReport report;
        Opened opened = open(report);
        ASSERT_NO_FATAL_FAILURE(hold_against_journal(opened, report)) << "after kill " << i;
    }
    const auto took = std::chrono::steady_clock::now() - begin;
    RecordProperty("seconds", std::to_string(std::chrono::duration<double>(took).count()));
    RecordProperty("caught_in_flight", static_cast<int>(caught_));
    RecordProperty("torn_records", static_cast<int>(torn_));
    EXPECT_GT(caught_, kills / 20) << "the kills hit nothing worth hitting";
}

TEST_F(VaultKill, OrderlyEndNeedsNoRecovery) {
    AdoptReport report;
    Opened first = open(report);
    const std::uint32_t g0 = *first.table.open_scope("g0");
    const Key key = flow::tcp_key(g0, 1, 1);
    const std::uint64_t id = first.table.insert(key, net::symmetric_hash(key.tuple), 1)->id;
    first.table.close();
    first.vault.close();

    Opened second = open(report);
    EXPECT_EQ(second.adoption, Adoption::adopted_clean);
    EXPECT_FALSE(report.rebuilt);
    const auto hit = second.table.find(g0, key.vni, key.tuple, net::symmetric_hash(key.tuple));
    ASSERT_TRUE(hit);
    EXPECT_EQ(hit.pair->id, id);
}

}  // namespace
}  // namespace weir
