#include "features/chain/node/contexts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <type_traits>

#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t start = 5'000 * second;

static_assert(std::is_trivially_copyable_v<ContextSlab>);

net::Smd flow(std::uint32_t number, bool reverse = false) {
    net::Smd smd;
    smd.spi = 11;
    smd.sci = 1;
    smd.si = 2;
    smd.initial_si = 2;
    smd.anchor_host = 1 + number % 3;
    smd.anchor_port = 0x01000000 | number % 7;
    smd.flow_handle = number;
    smd.reverse = reverse;
    return smd;
}

struct Bed {
    std::unique_ptr<ContextSlab> slab = std::make_unique<ContextSlab>();
    Contexts contexts;
    explicit Bed(std::uint32_t worker = 0, std::uint32_t workers = 1)
        : contexts(*slab, worker, workers) {
        contexts.claim(1);
    }
    std::uint16_t udp(const net::Smd& smd, std::uint64_t now) {
        Context* c = contexts.refresh(smd, net::proto_udp, 0, now);
        return c ? contexts.vlan_of(*c) : no_vlan;
    }
    std::uint16_t tcp(const net::Smd& smd, std::uint8_t flags, std::uint64_t now) {
        Context* c = contexts.refresh(smd, net::proto_tcp, flags, now);
        return c ? contexts.vlan_of(*c) : no_vlan;
    }
};

TEST(Contexts, EveryIdHasOneOwner) {
    for (const std::uint32_t workers : {1u, 2u, 3u, 16u}) {
        std::vector<std::uint32_t> owned(workers + 1);
        for (std::uint32_t vlan = 0; vlan < 4096; ++vlan)
            ++owned[context_owner(static_cast<std::uint16_t>(vlan), workers)];
        for (std::uint32_t w = 0; w < workers; ++w) EXPECT_EQ(owned[w], max_contexts / workers);
        EXPECT_EQ(context_owner(0, workers), workers);
        EXPECT_EQ(context_owner(4095, workers), workers);
        EXPECT_EQ(context_owner(0xffff, workers), workers);
    }
}

TEST(Contexts, AWorkerMakesAndFindsOnlyItsOwn) {
    auto slab = std::make_unique<ContextSlab>();
    Contexts first(*slab, 0, 2), second_worker(*slab, 1, 2);
    first.claim(1);
    second_worker.claim(1);
    for (std::uint32_t i = 0; i < 500; ++i) {
        Context* a = first.refresh(flow(i), net::proto_udp, 0, start);
        Context* b = second_worker.refresh(flow(i + 1000), net::proto_udp, 0, start);
        ASSERT_TRUE(a && b);
        EXPECT_EQ(context_owner(first.vlan_of(*a), 2), 0u);
        EXPECT_EQ(context_owner(second_worker.vlan_of(*b), 2), 1u);
        EXPECT_EQ(first.find(first.vlan_of(*b), start), nullptr);
        EXPECT_EQ(second_worker.find(first.vlan_of(*b), start), b);
    }
}

TEST(Contexts, FlowDirectionAndPathHaveAContextEach) {
    Bed bed;
    const std::uint16_t forward = bed.udp(flow(5), start);
    const std::uint16_t reverse = bed.udp(flow(5, true), start);
    net::Smd other_path = flow(5);
    other_path.spi = 12;
    const std::uint16_t moved = bed.udp(other_path, start);
    EXPECT_EQ(std::set({forward, reverse, moved}).size(), 3u);
    EXPECT_EQ(bed.udp(flow(5), start + second), forward);
    EXPECT_EQ(bed.contexts.size(), 3u);
}

TEST(Contexts, EachPacketOverwritesTheMetadata) {
    Bed bed;
    net::Smd smd = flow(9);
    const std::uint16_t vlan = bed.udp(smd, start);
    smd.ttl = 17;
    smd.flow_tag = 0xabcd;
    smd.skip_mask = 1;
    smd.path_epoch = 4;
    EXPECT_EQ(bed.udp(smd, start), vlan);
    EXPECT_EQ(bed.contexts.find(vlan, start)->smd, smd);
}

TEST(Contexts, AgeByProtocolAndConnectionState) {
    Bed bed;
    const std::uint16_t udp = bed.udp(flow(1), start);
    const std::uint16_t opening = bed.tcp(flow(2), net::tcp_syn, start);
    bed.tcp(flow(3), net::tcp_syn, start);
    const std::uint16_t open = bed.tcp(flow(3), net::tcp_ack, start);
    bed.tcp(flow(4), net::tcp_ack, start);
    bed.tcp(flow(4), net::tcp_fin | net::tcp_ack, start);
    const std::uint16_t closed = bed.tcp(flow(4), net::tcp_ack, start);  // the last ACK
    const std::uint64_t before = start + 120 * second - 1;
    for (const std::uint16_t vlan : {udp, opening, open, closed})
        EXPECT_TRUE(bed.contexts.find(vlan, before)) << vlan;
    const std::uint64_t after = start + 120 * second;
    for (const std::uint16_t vlan : {udp, opening, closed})
        EXPECT_FALSE(bed.contexts.find(vlan, after)) << vlan;
    EXPECT_TRUE(bed.contexts.find(open, start + 4 * 3600 * second - 1));
    EXPECT_FALSE(bed.contexts.find(open, start + 4 * 3600 * second));
    EXPECT_EQ(bed.contexts.size(), 4u);
    bed.contexts.expire(after);
    EXPECT_EQ(bed.contexts.size(), 1u);
}

TEST(Contexts, FullMeansNullAndNothingIsLost) {
    Bed bed;
    std::vector<std::uint16_t> vlans;
    for (std::uint32_t i = 0; i < max_contexts; ++i) vlans.push_back(bed.udp(flow(i), start));
    EXPECT_EQ(std::set(vlans.begin(), vlans.end()).size(), std::size_t{max_contexts});
    EXPECT_EQ(std::count(vlans.begin(), vlans.end(), no_vlan), 0);
    EXPECT_EQ(bed.udp(flow(50'000), start + 100 * second), no_vlan);
    EXPECT_EQ(bed.udp(flow(77), start + 100 * second), vlans[77]);  // those there go on
    EXPECT_NE(bed.udp(flow(50'000), start + 120 * second), no_vlan);
    EXPECT_EQ(bed.contexts.size(), max_contexts);
}

TEST(Contexts, WhenFullTheConnectionClosedLongestAgoGivesWay) {
    Bed bed(0, 16);
    const std::uint16_t n = bed.contexts.capacity();
    for (std::uint32_t i = 0; i < n; ++i) bed.tcp(flow(i), net::tcp_ack, start);
    const std::uint16_t first = bed.tcp(flow(8), net::tcp_fin, start + second);
    bed.tcp(flow(9), net::tcp_rst, start + 2 * second);
    EXPECT_EQ(bed.udp(flow(1000), start + 11 * second - 1), no_vlan);
    EXPECT_EQ(bed.udp(flow(1000), start + 11 * second), first);
    EXPECT_EQ(bed.udp(flow(1001), start + 11 * second), no_vlan);
}

TEST(Contexts, AnotherNodeOrAnotherNumberOfWorkersStartsEmpty) {
    Bed bed;
    const std::uint16_t vlan = bed.udp(flow(1), start);
    bed.contexts.claim(1);
    EXPECT_TRUE(bed.contexts.find(vlan, start));
    Contexts divided(*bed.slab, 0, 2);
    divided.claim(1);
    EXPECT_EQ(divided.size(), 0u);
    EXPECT_FALSE(divided.find(vlan, start));
    ASSERT_TRUE(divided.refresh(flow(1), net::proto_udp, 0, start));
    divided.claim(2);
    EXPECT_EQ(divided.size(), 0u);
}

TEST(Contexts, RecoversFromAKillInTheMiddleOfAChange) {
    Bed bed;
    std::vector<std::uint16_t> vlans;
    for (std::uint32_t i = 0; i < 100; ++i) vlans.push_back(bed.udp(flow(i), start));
    // As if killed while 7 was being written, and with every link in disorder.
    bed.slab->contexts[vlans[7]].live = 0;
    for (Context& c : bed.slab->contexts) c.next_in_bucket = c.older = c.newer = 3;
    bed.slab->buckets.fill(3);
    bed.slab->parts[0].lists = {};
    bed.slab->parts[0].free = 1;

    Contexts adopted(*bed.slab, 0, 1);
    adopted.recover(1);
    EXPECT_EQ(adopted.size(), 99u);
    for (std::uint32_t i = 0; i < 100; ++i) {
        Context* c = adopted.find(vlans[i], start + second);
        ASSERT_EQ(c != nullptr, i != 7) << i;
        if (!c) continue;
        EXPECT_EQ(c->smd, flow(i));
        EXPECT_EQ(bed.udp(flow(i), start + second), vlans[i]);
    }
    for (std::uint32_t i = 0; i < max_contexts - 99u; ++i)
        ASSERT_NE(bed.udp(flow(10'000 + i), start + second), no_vlan) << i;
    EXPECT_EQ(bed.udp(flow(90'000), start + second), no_vlan);
}

// The naive twin: one list in order of use, looked through from end to end.
class Twin {
public:
    explicit Twin(std::size_t capacity) : capacity_(capacity) {}
    struct Row {
        net::Smd smd;
        std::uint16_t vlan;
        std::uint64_t used;
        int age;  // 0 finished, 1 brief, 2 established
    };

    Row* find(std::uint16_t vlan, std::uint64_t now) {
        for (Row& r : rows_)
            if (r.vlan == vlan) return now < r.used + life(r.age) ? &r : nullptr;
        return nullptr;
    }
    // False: full. Otherwise `vlan` is the id the tested one gave.
    bool refresh(const net::Smd& smd, int age, std::uint64_t now, std::uint16_t vlan) {
        auto same = std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) {
            return r.smd.flow_handle == smd.flow_handle && r.smd.reverse == smd.reverse &&
                   r.smd.spi == smd.spi;
        });
        if (same != rows_.end()) {
            if (same->vlan != vlan) return false;
            Row row{smd, vlan, now, same->age == 0 && age == 2 ? 0 : age};
            rows_.erase(same);
            rows_.push_back(row);
            return true;
        }
        if (rows_.size() == capacity_ && !make_room(now)) return false;
        for (const Row& r : rows_)
            if (r.vlan == vlan) return false;
        rows_.push_back({smd, vlan, now, age});
        return true;
    }
    bool has_room(std::uint64_t now) {
        Twin copy = *this;
        return rows_.size() < capacity_ || copy.make_room(now);
    }
    bool knows(const net::Smd& smd) const {
        return std::any_of(rows_.begin(), rows_.end(), [&](const Row& r) {
            return r.smd.flow_handle == smd.flow_handle && r.smd.reverse == smd.reverse &&
                   r.smd.spi == smd.spi;
        });
    }
    void expire(std::uint64_t now) {
        rows_.remove_if([&](const Row& r) { return now >= r.used + life(r.age); });
    }
    std::size_t size() const { return rows_.size(); }

private:
    static std::uint64_t life(int age) { return (age == 2 ? 14'400 : 120) * second; }
    bool make_room(std::uint64_t now) {
        for (int age = 0; age < 3; ++age)
            for (auto r = rows_.begin(); r != rows_.end(); ++r)
                if (r->age == age && now >= r->used + life(age)) return rows_.erase(r), true;
        for (auto r = rows_.begin(); r != rows_.end(); ++r)
            if (r->age == 0) return now >= r->used + 10 * second && (rows_.erase(r), true);
        return false;
    }
    std::size_t capacity_;
    std::list<Row> rows_;
};

TEST(Contexts, EqualsItsNaiveTwin) {
    std::mt19937 random(20'240'229);
    const auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    Bed bed(3, 16);
    Twin twin(bed.contexts.capacity());
    std::uint64_t now = start;
    int full = 0, found = 0, gone = 0;
    for (int step = 0; step < 100'000; ++step) {
        now += pick(3) == 0 ? pick(3) * second : pick(1'000'000);
        const std::uint32_t what = pick(100);
        if (what < 70) {
            const net::Smd smd = flow(pick(400), pick(2) == 0);
            static constexpr std::uint8_t flags[] = {net::tcp_syn, net::tcp_ack, net::tcp_ack,
                                                     net::tcp_fin, net::tcp_rst};
            static constexpr int ages[] = {1, 2, 2, 0, 0};
            const std::uint32_t kind = pick(8);
            const int age = kind < 5 ? ages[kind] : 1;
            Context* c = bed.contexts.refresh(smd, kind < 5 ? net::proto_tcp : net::proto_udp,
                                              kind < 5 ? flags[kind] : std::uint8_t{0}, now);
            if (!c) {
                ++full;
                ASSERT_FALSE(twin.knows(smd));
                ASSERT_FALSE(twin.has_room(now));
                continue;
            }
            ASSERT_EQ(c->smd, smd);
            ASSERT_TRUE(twin.refresh(smd, age, now, bed.contexts.vlan_of(*c))) << step;
        } else if (what < 99) {
            const auto vlan = static_cast<std::uint16_t>(760 + pick(270));
            const Context* c = bed.contexts.find(vlan, now);
            const Twin::Row* row = twin.find(vlan, now);
            ASSERT_EQ(c != nullptr, row != nullptr) << vlan << " in step " << step;
            ASSERT_TRUE(!c || c->smd == row->smd);
            ++(c ? found : gone);
        } else if (pick(20) == 0) {
            bed.contexts.expire(now, max_contexts);
            twin.expire(now);
        } else if (pick(20) == 0) {
            now += pick(200) * second;
        } else if (pick(40) == 0) {
            now += 5 * 3600 * second;
        }
        ASSERT_EQ(bed.contexts.size(), twin.size()) << step;
    }
    EXPECT_GT(full, 100);
    EXPECT_GT(found, 1000);
    EXPECT_GT(gone, 1000);
}

}  // namespace
}  // namespace weir::chain
