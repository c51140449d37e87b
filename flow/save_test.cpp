#include "flow/save.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "flow/save_codec.hpp"
#include "flow/testing.hpp"
#include "net/rss.hpp"

namespace weir::flow {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t start = 1000 * second;
using Bytes = std::vector<std::uint8_t>;

// What must be the same on both sides: everything but slot, nonce, handle, links and caches.
std::string describe(const Table& table, const FlowPair& pair) {
    Bytes bytes;
    ByteWriter out(bytes);
    write_record(out, pair, table, ~std::uint64_t{0});
    return {bytes.begin(), bytes.end()};
}
std::map<std::uint64_t, std::string> contents(Table& table, std::uint32_t scope) {
    std::map<std::uint64_t, std::string> all;
    table.for_each(scope, [&](FlowPair& pair) { all[pair.id] = describe(table, pair); });
    return all;
}

void decorate(Table& table, FlowPair& pair, std::mt19937& random) {
    for (Hot& hot : pair.hot) {
        hot.packets = random();
        hot.bytes = random();
    }
    pair.initiator_outside = random() & 1;
    if (random() % 2 == 0)
        store_decision(pair.firewall,
                       FirewallDecision{.rule_id = 3,
                                        .revision = static_cast<std::uint32_t>(random() | 1),
                                        .verdict = Verdict::allow,
                                        .log = 1});
    InsertionDecision insertion;
    insertion.verdict = {ServiceVerdict::redirect, ServiceVerdict::no_service};
    insertion.revision = 9;
    insertion.sci = 77;
    insertion.spi = static_cast<std::uint32_t>(random());
    insertion.flow_tag = 5;
    insertion.orders = 0x42;
    insertion.ruled_sci = 0xabcdef;
    insertion.skip[1] = 3;
    insertion.flags = insertion_midflow;
    insertion.previous_spi = 12;
    insertion.previous_spi_valid = 1;
    insertion.offloaded_packets = random();
    InsertionDecision no_services;
    no_services.verdict = {ServiceVerdict::no_service, ServiceVerdict::no_service};
    no_services.revision = 10;
    no_services.initiator_call_point = pair.initiator_outside;
    const auto choice = random() % 4;
    if (choice > 2) return;
    ASSERT_TRUE(table.set_insertion(pair, choice == 2 ? no_services : insertion));
}

struct Site {
    explicit Site(std::uint32_t records, std::uint32_t worker = 0)
        : shard({.records = records, .scopes = 4}, worker), scope(shard.scope("g1")) {
        tables[0] = &shard.table;
    }
    Result<LoadReport> load(const Bytes& blob, std::uint64_t now_ns, bool other_clock = false) {
        return flow::load(blob, scope, {tables, {}},
                          {.now_ns = now_ns, .other_clock = other_clock, .timeouts = {}});
    }
    void fill(std::uint32_t count, std::uint32_t seed = 1) {
        std::mt19937 random{seed};
        for (std::uint32_t i = 0; i < count; ++i) {
            FlowPair* pair =
                shard.insert(i % 3 == 0 ? udp_key(scope, i, 1) : tcp_key(scope, i, 1), start + i);
            ASSERT_NE(pair, nullptr);
            decorate(shard.table, *pair, random);
            if (i % 3 != 0) {
                pair->tcp = static_cast<TcpState>(1 + random() % 7);
                pair->hot[0].tcp_seen = 3;
                pair->hot[0].sequence_end = static_cast<std::uint32_t>(random());
                pair->hot[0].window_scale = 7;
            }
            shard.table.touch(*pair, i & 1, default_timeouts, start + i);
            if (i % 10 == 0) {
                const net::Tuple tuple = key_of(0, 6, 100'000 + i, 1).tuple;
                shard.table.add_alias(*pair, tuple, i & 1, net::symmetric_hash(tuple));
            }
        }
    }
    std::map<std::uint64_t, std::string> contents() { return flow::contents(shard.table, scope); }

    Shard shard;
    std::uint32_t scope;
    Table* tables[1];
};

TEST(Save, EverythingContinuesInAnotherLayout) {
    Site from(1024), to(4096, 5);
    from.fill(500);
    Bytes blob;
    Saver saver(from.shard.table, from.scope);
    ASSERT_TRUE(saver.precopy(start + second, blob));
    EXPECT_EQ(saver.written(), 500u);
    EXPECT_EQ(examine(blob)->scope, "g1");
    Result<LoadReport> report = to.load(blob, start + second);
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(report->inserted, 500u);
    EXPECT_EQ(report->refused + report->lost_aliases + report->lost_extensions, 0u);
    EXPECT_EQ(to.contents(), from.contents());
    EXPECT_EQ(to.shard.check(), "");
    EXPECT_LT(blob.size() / 500, 280u) << "bytes per record";
    // Aliases answer on the other side, too.
    const net::Tuple tuple = key_of(0, 6, 100'010, 1).tuple;
    EXPECT_EQ(to.shard.find({to.scope, 5001, tuple}).pair->key, tcp_key(to.scope, 10, 1));
}

TEST(Save, IdleTimesGoOn) {
    Site from(64), to(64);
    const Key key = udp_key(from.scope, 1, 1);
    from.shard.insert(key, start);
    Bytes blob;
    ASSERT_TRUE(Saver(from.shard.table, from.scope).precopy(start + 50 * second, blob));
    ASSERT_TRUE(to.load(blob, start + 50 * second));
    to.shard.table.age(start + 59 * second, 100);
    EXPECT_TRUE(to.shard.find(key));
    to.shard.table.age(start + 61 * second, 100);
    EXPECT_FALSE(to.shard.find(key));
}

TEST(Save, AnotherHostsClockIsTranslated) {
    Site from(64), to(64);
    const Key key = udp_key(from.scope, 1, 1);
    from.shard.insert(key, start);
    Bytes blob;
    ASSERT_TRUE(Saver(from.shard.table, from.scope).precopy(start + 50 * second, blob));
    EXPECT_EQ(to.load(blob, 7 * second).error().field, "captured");
    ASSERT_TRUE(to.load(blob, 70 * second, true));
    FlowPair* pair = to.shard.find(key).pair;
    ASSERT_NE(pair, nullptr);
    EXPECT_EQ(pair->created_ns, 20 * second);
    EXPECT_EQ(pair->hot[0].last_seen_ns, 20 * second);
    EXPECT_EQ(pair->hot[1].last_seen_ns, 0u) << "never seen stays never seen";
    to.shard.table.age(81 * second, 100);
    EXPECT_FALSE(to.shard.find(key)) << "60 s after it was last seen";
    // A flow older than the host that receives it.
    ASSERT_TRUE(to.load(blob, 7 * second, true));
    EXPECT_EQ(to.shard.find(key).pair->created_ns, 1u);
}

TEST(Save, DeltaCarriesWhatChangedAndWhatIsGone) {
    Site from(1024), to(1024);
    from.fill(300);
    Saver saver(from.shard.table, from.scope);
    Bytes full, delta;
    std::uint64_t now = start + second;
    ASSERT_TRUE(saver.precopy(now, full));
    ASSERT_TRUE(to.load(full, now));

    // Packets of some, a silent change of one, an end of some, a new one in a slot used before.
    for (std::uint32_t i = 1; i < 40; i += 3) {
        FlowPair* pair = from.shard.find(tcp_key(from.scope, i, 1)).pair;
        pair->hot[1].packets += 10;
        from.shard.table.touch(*pair, 1, default_timeouts, now + 5);
    }
    FlowPair* silent = from.shard.find(tcp_key(from.scope, 100, 1)).pair;
    InsertionDecision changed = from.shard.table.insertion(*silent);
    changed.flow_tag = 4242;
    ASSERT_TRUE(from.shard.table.set_insertion(*silent, changed));
    ++silent->changes;
    for (std::uint32_t i = 200; i < 220; ++i) {
        const auto hit =
            from.shard.find(i % 3 == 0 ? udp_key(from.scope, i, 1) : tcp_key(from.scope, i, 1));
        from.shard.table.erase(*hit.pair);
    }
    from.shard.insert(tcp_key(from.scope, 200, 1), now + 6);

    ASSERT_TRUE(saver.delta(now + 10, delta));
    EXPECT_EQ(saver.written(), 13u + 1u + 1u);
    Result<LoadReport> report = to.load(delta, now + 10);
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_TRUE(report->delta);
    EXPECT_EQ(report->removed, 20u);
    EXPECT_EQ(report->updated, 14u);
    EXPECT_EQ(report->inserted, 1u);
    EXPECT_EQ(to.contents(), from.contents());

    Bytes nothing;
    ASSERT_TRUE(saver.delta(now + 20, nothing));
    EXPECT_EQ(saver.written(), 0u);
    // A packet in the very nanosecond of a save is carried again rather than lost.
    FlowPair* late = from.shard.find(tcp_key(from.scope, 1, 1)).pair;
    from.shard.table.touch(*late, 0, default_timeouts, now + 20);
    ASSERT_TRUE(saver.delta(now + 20, nothing));
    EXPECT_EQ(saver.written(), 1u);
    EXPECT_EQ(to.shard.check(), "");
}

TEST(Save, RandomTrafficBetweenDeltasEndsEqual) {
    Site from(512), to(1024, 3);
    std::mt19937 random{7};
    Saver saver(from.shard.table, from.scope);
    std::uint64_t now = start;
    for (int round = 0; round < 60; ++round) {
        for (int i = 0; i < 100; ++i) {
            now += random() % 50'000'000;
            const Key key = tcp_key(from.scope, static_cast<std::uint32_t>(random() % 150), 1);
            const auto hit = from.shard.find(key);
            if (!hit) {
                from.shard.insert(key, now);
            } else if (random() % 4 == 0) {
                from.shard.table.erase(*hit.pair);
            } else {
                ++hit.pair->hot[random() & 1].packets;
                from.shard.table.touch(*hit.pair, random() & 1, default_timeouts, now);
            }
        }
        Bytes blob;
        ASSERT_TRUE(round == 0 ? saver.precopy(now, blob) : saver.delta(now, blob));
        ASSERT_TRUE(to.load(blob, now));
        ASSERT_EQ(to.contents(), from.contents()) << round;
    }
    EXPECT_EQ(to.shard.check(), "");
}

TEST(Save, UnknownTlvsAreKeptAndWrittenBack) {
    Site from(64), middle(64), to(64);
    FlowPair* pair = from.shard.insert(tcp_key(from.scope, 1, 1), start);
    Bytes unknown;
    ByteWriter out(unknown);
    for (std::uint16_t type : {std::uint16_t{16}, std::uint16_t{0x8001}}) {
        out.u16(type);
        out.u16(200);
        out.bytes(Bytes(200, static_cast<std::uint8_t>(type)));
    }
    ASSERT_TRUE(from.shard.table.set_extension(*pair, unknown));
    Bytes first, second_blob;
    ASSERT_TRUE(Saver(from.shard.table, from.scope).precopy(start, first));
    ASSERT_TRUE(middle.load(first, start));
    ASSERT_TRUE(Saver(middle.shard.table, middle.scope).precopy(start, second_blob));
    EXPECT_EQ(second_blob, first);
    ASSERT_TRUE(to.load(second_blob, start));
    EXPECT_EQ(to.shard.table.extension(*to.shard.find(tcp_key(to.scope, 1, 1)).pair), unknown);
    EXPECT_EQ(to.shard.check(), "");
}

TEST(Save, RecordsGoToTheShardThatOwnsThem) {
    Site from(512);
    from.fill(200);
    Shard zero({.records = 512, .scopes = 4}, 0), one({.records = 512, .scopes = 4}, 1);
    zero.scope("g1"), one.scope("g1");
    Table* tables[] = {&zero.table, &one.table};
    const Shards shards{tables, [](const net::Tuple& tuple) { return net::flow_owner(tuple, 2); }};
    Bytes blob;
    Saver saver(from.shard.table, from.scope);
    ASSERT_TRUE(saver.precopy(start + second, blob));
    Result<LoadReport> report = load(blob, 0, shards, {.now_ns = start + second, .timeouts = {}});
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(zero.table.size() + one.table.size(), 200u);
    EXPECT_GT(zero.table.size(), 20u);
    EXPECT_GT(one.table.size(), 20u);
    one.table.for_each(0,
                       [](FlowPair& pair) { EXPECT_EQ(net::flow_owner(pair.key.tuple, 2), 1u); });
    from.shard.table.for_each(from.scope, [&](FlowPair& pair) { from.shard.table.erase(pair); });
    Bytes delta;
    ASSERT_TRUE(saver.delta(start + 2 * second, delta));
    EXPECT_EQ(load(delta, 0, shards, {.now_ns = start + 2 * second, .timeouts = {}})->removed,
              200u);
    EXPECT_EQ(zero.table.size() + one.table.size(), 0u);
}

TEST(Save, OwnRecordOfAKeyIsReplacedAndIdsGoOn) {
    Site from(64), to(64);
    const Key key = tcp_key(from.scope, 1, 1);
    for (int i = 0; i < 50; ++i) from.shard.table.erase(*from.shard.insert(key, start));
    const std::uint64_t id = from.shard.insert(key, start)->id;
    Key backwards = key;
    backwards.tuple = backwards.tuple.reversed();
    to.shard.insert(backwards, start);
    Bytes blob;
    ASSERT_TRUE(Saver(from.shard.table, from.scope).precopy(start, blob));
    EXPECT_EQ(to.load(blob, start)->replaced, 1u);
    EXPECT_EQ(to.shard.find(key).pair->id, id);
    EXPECT_EQ(to.shard.find(key).direction, 0);
    EXPECT_GT(to.shard.insert(tcp_key(to.scope, 2, 1), start)->id, id) << "no id is given twice";
    EXPECT_EQ(to.shard.check(), "");
}

TEST(Save, FullTableRefusesAndSaysSo) {
    Site from(256), to(64);
    from.fill(200);
    from.shard.table.for_each(from.scope, [](FlowPair& pair) {
        pair.key.tuple.proto == 6 ? pair.tcp = TcpState::established : pair.tcp;
    });
    Bytes blob;
    ASSERT_TRUE(Saver(from.shard.table, from.scope).precopy(start + second, blob));
    Result<LoadReport> report = to.load(blob, start + second);
    ASSERT_TRUE(report);
    EXPECT_GT(report->refused, 60u);
    EXPECT_EQ(to.shard.check(), "");
}

// A blob of one record, made by hand.
struct Forge {
    Bytes record, blob;
    ByteWriter out{record};
    std::uint64_t captured = start;

    static void tlv(ByteWriter& to, RecordTlv type, const Bytes& value) {
        to.u16(static_cast<std::uint16_t>(type));
        to.u16(static_cast<std::uint16_t>(value.size()));
        to.bytes(value);
    }
    template <class Body>
    Forge& with(RecordTlv type, Body&& body) {
        Bytes value;
        ByteWriter inner(value);
        body(inner);
        tlv(out, type, value);
        return *this;
    }
    Forge& key() {
        return with(RecordTlv::key,
                    [](ByteWriter& o) { o.u32(5), o.tuple(tcp_key(0, 1, 1).tuple); });
    }
    Forge& identity(std::uint64_t id = 1, std::uint64_t created = 1) {
        return with(RecordTlv::identity, [&](ByteWriter& o) { o.u64(id), o.u64(created); });
    }
    Forge& direction(std::uint8_t number = 0, std::uint64_t seen = 1) {
        return with(RecordTlv::direction,
                    [&](ByteWriter& o) { o.u8(number), o.u64(1), o.u64(1), o.u64(seen); });
    }
    Bytes& finish() {
        ByteWriter o(blob);
        o.u32(save_magic), o.u16(save_major), o.u16(save_minor);
        o.u16(1), o.u32(2), o.u8('g'), o.u8('1');
        o.u16(2), o.u32(9), o.u64(captured), o.u8(0);
        o.u16(3), o.u32(static_cast<std::uint32_t>(record.size())), o.bytes(record);
        o.u16(0xffff), o.u32(4);
        o.u32(net::crc32c(blob));
        return blob;
    }
    std::string error() {
        const Result<LoadReport> result = examine(finish());
        return result ? "" : result.error().text();
    }
};

TEST(Save, BadRecordsAreNamed) {
    EXPECT_EQ(Forge().key().identity().direction().error(), "");
    EXPECT_EQ(Forge().identity().direction().error(),
              "saved flows: record 0.record: has no key or no identity");
    EXPECT_EQ(Forge().key().key().identity().direction().error(),
              "saved flows: record 0.tlv: occurs twice");
    EXPECT_EQ(Forge().key().identity().error(),
              "saved flows: record 0.direction: no direction has been seen");
    EXPECT_EQ(Forge().key().identity(0).direction().error(),
              "saved flows: record 0.identity: id out of range");
    EXPECT_EQ(Forge().key().identity(std::uint64_t{1} << 55).direction().error(),
              "saved flows: record 0.identity: id out of range");
    EXPECT_EQ(Forge().key().identity(1, start + 1).direction().error(),
              "saved flows: record 0.identity: created after it was saved");
    EXPECT_EQ(Forge().key().identity().direction(0, start + 1).error(),
              "saved flows: record 0.direction: seen after it was saved");
    EXPECT_EQ(Forge().key().identity().direction(2).error(),
              "saved flows: record 0.direction: wrong length or number");
    const auto state = [](std::uint8_t tcp, std::uint8_t outside) {
        return Forge()
            .key()
            .identity()
            .direction()
            .with(RecordTlv::state, [&](ByteWriter& o) { o.u8(tcp), o.u8(outside), o.u8(0); })
            .error();
    };
    EXPECT_EQ(state(3, 1), "");
    EXPECT_EQ(state(8, 0), "saved flows: record 0.state: unknown value");
    EXPECT_EQ(state(3, 2), "saved flows: record 0.state: unknown value");
    const auto verdict = [](std::uint8_t value) {
        return Forge()
            .key()
            .identity()
            .direction()
            .with(RecordTlv::firewall,
                  [&](ByteWriter& o) { o.u32(1), o.u32(1), o.u8(value), o.u8(0); })
            .error();
    };
    EXPECT_EQ(verdict(3), "");
    EXPECT_EQ(verdict(4), "saved flows: record 0.firewall: unknown value");
    EXPECT_EQ(Forge()
                  .key()
                  .identity()
                  .direction()
                  .with(RecordTlv::alias, [](ByteWriter& o) { o.u8(2), o.tuple({}); })
                  .error(),
              "saved flows: record 0.alias: wrong length or direction");
    EXPECT_EQ(
        Forge()
            .key()
            .identity()
            .direction()
            .with(RecordTlv::tcp,
                  [](ByteWriter& o) { o.u8(0), o.u32(1), o.u32(1), o.u32(1), o.u8(15), o.u8(0); })
            .error(),
        "saved flows: record 0.tcp: window scale above 14");
    EXPECT_EQ(Forge()
                  .key()
                  .identity()
                  .direction()
                  .with(RecordTlv{100}, [](ByteWriter& o) { o.bytes(Bytes(1021, 1)); })
                  .error(),
              "saved flows: record 0.tlv: too many bytes of unknown TLVs");
}

TEST(Save, BadFramesAreNamed) {
    Bytes good = Forge().key().identity().direction().finish();
    const auto error = [](Bytes bytes) {
        const Result<LoadReport> result = examine(bytes);
        return result ? std::string() : result.error().field;
    };
    EXPECT_EQ(error(good), "");
    EXPECT_EQ(error({}), "blob");
    Bytes changed = good;
    changed[0] ^= 1;
    EXPECT_EQ(error(changed), "magic");
    changed = good;
    changed[5] ^= 2;
    EXPECT_EQ(error(changed), "version");
    EXPECT_EQ(error(Bytes(good.begin(), good.end() - 1)), "end");
    for (std::size_t at = 8; at < good.size(); ++at) {
        changed = good;
        changed[at] ^= 0x10;
        EXPECT_EQ(error(changed), "end") << at;
    }
    Forge early;
    early.captured = 0;
    EXPECT_EQ(early.key().identity().direction().error(), "saved flows: captured: out of range");
}

TEST(Save, RefusedBlobChangesNothing) {
    Site from(64), to(64);
    from.fill(20);
    Bytes blob;
    ASSERT_TRUE(Saver(from.shard.table, from.scope).precopy(start + second, blob));
    blob[blob.size() / 2] ^= 1;
    EXPECT_FALSE(to.load(blob, start + second));
    EXPECT_EQ(to.shard.table.size(), 0u);
    blob[blob.size() / 2] ^= 1;
    to.shard.table.close_scope(to.scope);
    EXPECT_EQ(to.load(blob, start + second).error().field, "scope");
}

TEST(Save, TimeMustNotRunBackwards) {
    Site from(64);
    Bytes blob;
    Saver saver(from.shard.table, from.scope);
    EXPECT_FALSE(saver.precopy(0, blob));
    EXPECT_TRUE(saver.precopy(start, blob));
    EXPECT_FALSE(saver.delta(start - 1, blob));
    EXPECT_FALSE(Saver(from.shard.table, 3).precopy(start, blob)) << "scope not open";
}

}  // namespace
}  // namespace weir::flow
