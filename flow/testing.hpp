#pragma once
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "flow/table.hpp"
#include "flow/tcp.hpp"
#include "net/hash.hpp"

// What the tests, benchmarks and fuzzers of flows share: a shard on the heap, and keys by number.
namespace weir::flow {

inline net::Ip ip(std::uint32_t number) {
    return net::Ip::from4(0x0a000000u + number);
}

inline Key key_of(std::uint32_t scope, std::uint8_t proto, std::uint32_t client,
                  std::uint32_t server) {
    Key key;
    key.scope = scope;
    key.vni = 5001;
    key.tuple.src = ip(client + 1);
    key.tuple.dst = ip(0x10000u + server);
    key.tuple.src_port = static_cast<std::uint16_t>(1024 + client % 60000);
    key.tuple.dst_port = 80;
    key.tuple.proto = proto;
    return key;
}
inline Key tcp_key(std::uint32_t scope, std::uint32_t client, std::uint32_t server) {
    return key_of(scope, 6, client, server);
}
inline Key udp_key(std::uint32_t scope, std::uint32_t client, std::uint32_t server) {
    return key_of(scope, 17, client, server);
}

// As after a handshake and some data both ways.
inline void establish(FlowPair& pair, std::uint64_t seen_ns) {
    pair.tcp = TcpState::established;
    for (Hot& hot : pair.hot) {
        hot.window_edge = 9000;
        hot.sequence_end = 5000;
        hot.acknowledged = 4000;
        hot.tcp_seen = tcp_seen_sequence | tcp_seen_window;
        hot.last_seen_ns = seen_ns;
    }
}

struct Shard {
    explicit Shard(const TableLimits& limits, std::uint32_t worker = 0)
        : bytes(Table::bytes_needed(limits)),
          storage(static_cast<std::byte*>(std::aligned_alloc(64, bytes)), &std::free) {
        Result<Table> created = Table::create(memory(), limits, worker);
        WEIR_CHECK(created.ok(), "the shard's limits are possible");
        table = *created;
    }
    std::span<std::byte> memory() { return {storage.get(), bytes}; }

    std::uint32_t scope(std::string_view name) {
        Result<std::uint32_t> index = table.open_scope(name);
        WEIR_CHECK(index.ok(), "there is room for the scope");
        return *index;
    }
    FlowPair* insert(const Key& key, std::uint64_t now_ns, InsertOutcome* outcome = nullptr) {
        return table.insert(key, net::symmetric_hash(key.tuple), now_ns, outcome);
    }
    Table::Hit find(const Key& key) {
        return table.find(key.scope, key.vni, key.tuple, net::symmetric_hash(key.tuple));
    }
    Table::Hit find_reverse(const Key& key) {
        return find({key.scope, key.vni, key.tuple.reversed()});
    }
    // Empty, or the invariant that is broken.
    std::string check() const {
        const Status status = table.check();
        return status ? std::string() : status.error().text();
    }

    std::size_t bytes;
    std::unique_ptr<std::byte, decltype(&std::free)> storage;
    Table table;
};

}  // namespace weir::flow
