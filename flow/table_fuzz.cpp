// Any sequence of operations on a shard, with kills and flipped bytes in between: what adopt()
// makes of it must be sound.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "flow/testing.hpp"

namespace {

using namespace weir;
using namespace weir::flow;

void require(bool holds) {
    if (!holds) std::abort();
}
void require_sound(const Shard& shard) {
    const std::string broken = shard.check();
    if (!broken.empty()) std::fprintf(stderr, "%s\n", broken.c_str());
    require(broken.empty());
}

struct Input {
    std::span<const std::uint8_t> bytes;
    std::uint32_t next(unsigned count = 1) {
        std::uint32_t value = 0;
        for (; count > 0 && !bytes.empty(); --count, bytes = bytes.subspan(1))
            value = value << 8 | bytes[0];
        return value;
    }
};

Key any_key(Input& in) {
    static constexpr std::uint8_t protos[] = {6, 17, 1, 132};
    const std::uint32_t choice = in.next();
    Key key = key_of(choice & 1, protos[choice >> 1 & 3], choice >> 3 & 7, 1);
    if ((choice & 0x40) != 0) key.tuple = key.tuple.reversed();
    if ((choice & 0x80) != 0) key.vni = 1;
    return key;
}

// With the record of the same connection in the other scope, if there is one, or made with it; then
// a packet passes that may change what both are.
void fuse(Shard& shard, Input& in, const Key& key, Table::Hit hit, std::uint64_t now_ns) {
    Key other_key = key;
    other_key.scope ^= 1;
    const Table::Hit other = shard.find(other_key);
    FlowPair* leader = hit.pair;
    if (hit && other) {
        if (!shard.table.fuse(*hit.pair, *other.pair)) return;
        require(&shard.table.partner_of(*hit.pair) == other.pair);
    } else {
        const std::uint32_t hash = net::symmetric_hash(key.tuple);
        leader = shard.table.insert_fused({key.scope, key.vni, &key.tuple, hash},
                                          {other_key.scope, key.vni, &key.tuple, hash}, now_ns,
                                          default_timeouts);
        if (leader == nullptr) return;
        require(!hit && !other);
    }
    const std::uint32_t what = in.next();
    const auto direction = static_cast<std::uint8_t>(what & 1);
    ++leader->hot[direction].packets;
    std::array<std::uint8_t, 20> header{};
    header[7] = static_cast<std::uint8_t>(in.next());
    header[11] = static_cast<std::uint8_t>(in.next());
    header[12] = 0x50;
    header[13] = static_cast<std::uint8_t>(in.next());
    Timeouts further;
    further.tcp_new_ms = further.udp_replied_ms = 1000;
    shard.table.move_fused(*leader, direction,
                           {header.data(), 20, default_timeouts,
                            (what & 2) != 0 ? further : default_timeouts, now_ns});
}

void operate(Shard& shard, Input& in, std::uint64_t& now_ns) {
    const std::uint32_t choice = in.next();
    const Key key = any_key(in);
    const Table::Hit hit = shard.find(key);
    switch (choice % 8) {
        case 0:
        case 1:
            shard.insert(key, now_ns);
            break;
        case 2:
            if (hit && (choice & 0x80) == 0) shard.table.erase(*hit.pair);
            else fuse(shard, in, key, hit, now_ns);
            break;
        case 3:
            if (!hit) break;
            if (key.tuple.proto == 6) hit.pair->tcp = static_cast<TcpState>(in.next() % 8);
            shard.table.touch(*hit.pair, hit.direction, default_timeouts, now_ns);
            break;
        case 4: {
            const net::Tuple tuple = key_of(0, 6, 100 + in.next(), 1).tuple;
            if (hit)
                shard.table.add_alias(*hit.pair, tuple, choice >> 7 & 1,
                                      net::symmetric_hash(tuple));
            break;
        }
        case 5: {
            const std::vector<std::uint8_t> bytes(in.next(), 1);
            InsertionDecision decision;
            decision.revision = in.next();
            decision.verdict[0] = static_cast<ServiceVerdict>(decision.revision % 3);
            if (hit && (choice & 0x80) != 0) shard.table.set_insertion(*hit.pair, decision);
            else if (hit) shard.table.set_extension(*hit.pair, bytes);
            break;
        }
        case 6:
            now_ns += std::uint64_t{in.next(2)} << 24;
            shard.table.age(now_ns, choice >> 3);
            break;
        case 7:
            shard.table.close_scope(choice >> 3 & 1);
            (void)shard.table.open_scope("g" + std::to_string(choice >> 3 & 1), choice >> 3 & 1);
            break;
    }
}

// Changes up to four bytes behind the part of the header that says where everything is; two times
// in three in one of the first records or among slabs, scopes, aliases and chunks.
void damage(Shard& shard, Input& in) {
    const auto* header = reinterpret_cast<const ShardHeader*>(shard.memory().data());
    for (std::uint32_t flips = in.next() % 4 + 1; flips > 0; --flips) {
        std::size_t begin = offsetof(ShardHeader, next_id), end = shard.bytes;
        const std::uint32_t where = in.next();
        if (where % 3 == 1) {
            begin = header->geometry.record_at + where / 3 % 8 * sizeof(FlowPair);
            end = begin + sizeof(FlowPair);
        } else if (where % 3 == 2) {
            begin = where % 2 == 0 ? header->geometry.slab_at : header->geometry.alias_at;
            end = where % 2 == 0 ? header->geometry.bucket_at : header->geometry.record_at;
        }
        const std::size_t at = begin + in.next(2) % (end - begin);
        shard.memory()[at] ^= static_cast<std::byte>(in.next());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static constexpr TableLimits limits{
        .records = 128, .scopes = 2, .aliases = 8, .chunks = 4, .insertions = 8, .seed = 1};
    static Shard shard(limits);
    static const std::vector<std::byte> fresh = [] {
        for (const char* name : {"g0", "g1"}) shard.scope(name);
        return std::vector<std::byte>(shard.memory().begin(), shard.memory().end());
    }();
    std::memcpy(shard.memory().data(), fresh.data(), fresh.size());
    Input in{{data, size}};
    std::uint64_t now_ns = 1'000'000'000'000;
    for (int phases = 0; phases < 6 && !in.bytes.empty(); ++phases) {
        const std::uint32_t phase = in.next();
        for (std::uint32_t i = phase % 32; i > 0; --i) operate(shard, in, now_ns);
        if ((phase & 0x80) != 0) damage(shard, in);
        if ((phase & 0xc0) == 0) continue;
        Result<Table> adopted = Table::adopt(shard.memory());
        require(adopted.ok());
        shard.table = *adopted;
        if ((phase & 0x80) != 0) require_sound(shard);
    }
    require_sound(shard);
    return 0;
}
