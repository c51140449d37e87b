#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "flow/testing.hpp"

// A child is stepped through an operation one machine instruction at a time, and after every single
// one the memory as it then stands is adopted.
namespace weir::flow {

inline constexpr TableLimits small{.records = 192,
                                   .scopes = 3,
                                   .aliases = 4,
                                   .chunks = 4,
                                   .insertions = 4,
                                   .first_id = 1,
                                   .seed = 1};

// Memory that a child shares with its parent.
struct SharedMemory {
    explicit SharedMemory(std::size_t size)
        : bytes(size),
          at(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() { ::munmap(at, bytes); }
    std::span<std::byte> span() { return {static_cast<std::byte*>(at), bytes}; }
    std::size_t bytes;
    void* at;
};

inline net::Tuple rewritten() {
    return key_of(0, 6, 777, 5).tuple;
}

inline InsertionDecision on_path(std::uint32_t revision) {
    InsertionDecision decision;
    decision.verdict = {ServiceVerdict::redirect, ServiceVerdict::redirect};
    decision.revision = revision;
    decision.spi = revision * 10;
    return decision;
}

// Three scopes; g0 and g1 with records, one of them with alias, extension and services.
inline void prepare(Table& table) {
    for (const char* name : {"g0", "g1"}) ASSERT_TRUE(table.open_scope(name));
    for (std::uint32_t i = 0; i < 70; ++i) {
        const Key key = tcp_key(i % 2, i, 1);
        FlowPair* pair = table.insert(key, net::symmetric_hash(key.tuple), 1'000'000 + i);
        ASSERT_NE(pair, nullptr);
    }
    const Key key = tcp_key(0, 0, 1);
    FlowPair* first = table.find(0, key.vni, key.tuple, net::symmetric_hash(key.tuple)).pair;
    ASSERT_TRUE(table.add_alias(*first, rewritten(), 0, net::symmetric_hash(rewritten())));
    const std::vector<std::uint8_t> extension(150, 0x5a);
    ASSERT_TRUE(table.set_extension(*first, extension));
    ASSERT_TRUE(table.set_insertion(*first, on_path(7)));
}

inline std::map<std::uint64_t, Key> contents(Table& table) {
    std::map<std::uint64_t, Key> all;
    table.for_each_scope([&](std::uint32_t scope, const Scope&) {
        table.for_each(scope, [&](FlowPair& pair) { all[pair.id] = pair.key; });
    });
    return all;
}

struct Steps {
    std::size_t instructions = 0, torn = 0, before = 0, after = 0, lost_aliases = 0;
};

using Operation = std::function<void(Table&)>;

// Runs `operation` in a child on a prepared shard and calls `look(adopted, report)` for the memory
// after each of its instructions that stored something.
inline void step_through(const Operation& operation,
                         const std::function<void(Table&, const AdoptReport&)>& look, Steps& steps,
                         const Operation& further_preparation = {}) {
    const std::size_t bytes = Table::bytes_needed(small);
    SharedMemory memory(bytes), copy(bytes);
    Result<Table> table = Table::create(memory.span(), small, 2);
    ASSERT_TRUE(table);
    ASSERT_NO_FATAL_FAILURE(prepare(*table));
    if (further_preparation) further_preparation(*table);
    // The first run, in place and unobserved, resolves lazily bound functions.
    std::memcpy(copy.at, memory.at, bytes);
    Result<Table> rehearsal = Table::attach(copy.span());
    operation(*rehearsal);

    const pid_t child = ::fork();
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        operation(*table);
        ::raise(SIGSTOP);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSTOPPED(status)) << "tracing a child must be allowed";
    std::vector<std::byte> last(bytes);
    while (true) {
        ASSERT_EQ(::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr), 0);
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP) break;
        ++steps.instructions;
        if (std::memcmp(last.data(), memory.at, bytes) == 0) continue;  // nothing was stored
        std::memcpy(last.data(), memory.at, bytes);
        std::memcpy(copy.at, memory.at, bytes);
        AdoptReport report;
        Result<Table> adopted = Table::adopt(copy.span(), &report);
        ASSERT_TRUE(adopted) << adopted.error().text();
        ASSERT_TRUE(report.rebuilt);
        const Status sound = adopted->check();
        ASSERT_TRUE(sound) << "after " << steps.instructions << ": " << sound.error().text();
        ASSERT_EQ(report.corrupt, 0u) << "after " << steps.instructions;
        ASSERT_EQ(report.duplicate, 0u) << "after " << steps.instructions;
        ASSERT_LE(report.torn, 1u);
        steps.torn += report.torn;
        steps.lost_aliases += report.lost_aliases;
        ASSERT_NO_FATAL_FAILURE(look(*adopted, report)) << "after " << steps.instructions;
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    EXPECT_GT(steps.instructions, 20u);
}

}  // namespace weir::flow
