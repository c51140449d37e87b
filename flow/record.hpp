#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "net/packet.hpp"

// The flow record: one format for connection tracking, verdicts, service path pinning, save,
// transfer.
//
// It lives in the vault: no pointers, only indices and offsets; times are CLOCK_MONOTONIC
// nanoseconds.
namespace weir::flow {

inline constexpr std::uint32_t record_layout_version = 6;

inline constexpr std::uint32_t no_index = 0xffffffffu;

enum class Verdict : std::uint8_t { none = 0, allow, drop, reject };

// What the service plane does with one direction of a flow (spec service-plane DP-7).
enum class ServiceVerdict : std::uint8_t {
    none = 0,
    redirect,
    no_service,
    drop,
    reset,
    foreign,
    bypass_fail
};

enum class TcpState : std::uint8_t {
    none = 0,      // not TCP, or no segment tracked yet
    syn_sent,      // initiator's SYN seen
    syn_received,  // responder's SYN or SYN+ACK seen
    established,
    fin_initiator,  // initiator closed its half
    fin_responder,
    closing,  // both FINs seen
    closed,   // last ACK or RST seen
    count_
};

// What a record is to the eviction policy of a full table.
enum class Kind : std::uint8_t {
    none = 0,     // free record
    half_open,    // TCP before the handshake ended: goes first where there are many, else last
    closing,      // both FINs or a RST seen
    other,        // not TCP
    established,  // TCP with at least one open half: never goes
    count_
};

// Scope (normally one port), tenant and the initiator's tuple. Both directions have one Key.
struct Key {
    std::uint32_t scope = 0;  // index into the vault's scope table, stable over restarts
    std::uint32_t vni = 0;
    net::Tuple tuple;  // as the initiator sent it; host byte order
    friend bool operator==(const Key&, const Key&) = default;
};
static_assert(sizeof(Key) == 48);

struct FirewallDecision {
    std::uint32_t rule_id = 0;   // 0: the default
    std::uint32_t revision = 0;  // digest of the port's rules it was made under; 0: undecided
    Verdict verdict = Verdict::none;
    std::uint8_t log = 0;
    std::uint16_t reserved = 0;
};

struct InsertionDecision {
    std::array<ServiceVerdict, 2> verdict{};  // [0] initiator's direction, [1] replies
    std::uint8_t path_epoch = 0;
    std::uint8_t initiator_call_point = 0;  // 0 egress, 1 ingress
    std::uint32_t rule_id = 0;
    std::uint32_t revision = 0;  // digest of the port's service rules; 0: undecided
    std::uint32_t sci = 0;
    std::uint32_t spi = 0;
    std::uint32_t flow_tag = 0;
    std::uint32_t failed_paths_generation = 0;
    // What nodes ordered for the flow, order_… bits: the low half for the forward direction, the
    // high half for the reverse one. Stands over `verdict`, which comes back when orders end.
    std::uint32_t orders : 8 = 0;
    // The chain that the rules gave, where an order moved the flow to `sci`; else 0.
    std::uint32_t ruled_sci : 24 = 0;
    std::uint8_t skip[2] = {0, 0};  // [0] forward, [1] reverse
    std::uint8_t flags = 0;         // insertion_midflow | …
    std::uint8_t previous_spi_valid = 0;
    std::uint32_t previous_spi = 0;
    std::uint64_t offloaded_packets = 0;  // passed or dropped at the anchor by a node's order
    std::uint8_t orders_of(bool reverse) const {
        return static_cast<std::uint8_t>((reverse ? orders >> 4 : orders) & 15);
    }
    friend bool operator==(const InsertionDecision&, const InsertionDecision&) = default;
};
static_assert(sizeof(InsertionDecision) == 48);
inline constexpr std::uint8_t insertion_midflow = 1, insertion_rewritten = 2,
                              insertion_exempted = 4;
inline constexpr std::uint8_t order_allow = 1, order_drop = 2, order_reset = 4;

// What every packet of one direction touches: one cache line.
struct alignas(64) Hot {
    std::uint32_t of_pair = 0;  // [0] FlowPair::hash(), [1] FlowPair::identity_checksum()
    std::uint32_t epoch = 0;    // the port's epoch that the program was made under; 0: stale
    std::uint32_t engine = 0;   // instance of the engine whose program is valid
    std::uint32_t program = 0;  // what to do with packets of this direction; see ProgramStore
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;         // Ethernet frame as it left or will reach the guest
    std::uint64_t last_seen_ns = 0;  // 0: this direction has not been seen
    // TCP, kept by track(): what this side sent and what it lets the other side send.
    std::uint32_t window_edge = 0;   // highest acknowledgement + window this side announced
    std::uint32_t sequence_end = 0;  // highest sequence number + length this side sent
    std::uint32_t acknowledged = 0;  // highest acknowledgement this side sent
    // Kept by the table, equal in both directions unless the record stands for another one too.
    std::uint32_t idle_ms = 0;      // the idle timeout the timer stands for
    std::uint8_t window_scale = 0;  // RFC 7323 shift of this side's windows
    std::uint8_t tcp_seen = 0;      // tcp_seen_… bits of tcp.hpp
    Kind kind = Kind::none;
    std::uint8_t reserved = 0;
    std::uint16_t burst = 0;  // burst that found this direction last; see Table::begin_burst
    std::uint16_t scope = 0;  // whose look-ups find this line: Key::scope, see Table::fuse()

    // Epoch and engine, for one comparison with era_of().
    std::uint64_t era() const {
        std::uint64_t both;
        std::memcpy(&both, reinterpret_cast<const std::byte*>(this) + era_at, sizeof both);
        return both;
    }
    static constexpr std::size_t era_at = 4;
};
static_assert(sizeof(Hot) == 64);
static_assert(offsetof(Hot, epoch) == Hot::era_at && offsetof(Hot, engine) == Hot::era_at + 4);
inline std::uint64_t era_of(std::uint32_t epoch, std::uint32_t engine) {
    return std::uint64_t{engine} << 32 | epoch;
}

// Both directions of one flow, inserted and removed together. Index = slot, stable for its life.
struct alignas(64) FlowPair {
    std::array<Hot, 2> hot;  // [0] initiator → responder, [1] replies

    // line 2: what a lookup compares
    Key key;
    std::uint64_t id = 0;       // never reused on a host: worker << 56 | counter
    std::uint32_t partner = 0;  // record it is fused with, see Table::fuse(); 0: none
    std::uint8_t nonce = 0;  // upper 8 bits of the FlowHandle; changes when the slot is used again
    std::uint8_t live = 0;   // record_…: written last on insert, first on removal
    std::uint8_t initiator_outside = 0;  // 0: the scope's guest opened it, 1: somebody towards it
    TcpState tcp = TcpState::none;

    // line 3, cold: the rest of the identity
    std::uint64_t created_ns = 0;
    std::uint32_t changes = 0;  // raised by whoever changes a decision without a packet

    // cold: decisions. Write this one with store_decision(), that of the service plane with
    // Table::set_insertion().
    FirewallDecision firewall;
    std::uint32_t insertion = no_index;     // of the same table; see Table::insertion()
    std::uint32_t no_service_revision = 0;  // of a decision for no services, without a rule; else 0

    // cold: links, indices of the same table, `no_index` = end; rebuilt after a crash
    std::uint32_t aliases = no_index;    // further keys of this flow
    std::uint32_t extension = no_index;  // TLVs that this build does not know
    std::uint32_t timer_next = no_index, timer_previous = no_index;
    std::uint32_t kind_next = no_index, kind_previous = no_index;
    std::uint32_t expires_tick = 0;  // of the wheel, low bits: when it looks at the record again
    std::uint16_t queued = 0;        // seen_mark() when it joined the end of its eviction list
    std::uint8_t timer_slot = 0;     // of the wheel, while timer_armed
    std::uint8_t timer_armed : 1 = 0;
    std::uint8_t condemned : 1 = 0;  // to be removed at the end of the burst
    std::uint8_t traced : 1 = 0;

    // Symmetric hash of the tuple, as the caller of insert() computed it; 1 for 0, 0 in a free
    // record.
    std::uint32_t hash() const { return hot[0].of_pair; }
    // See identity_of(): a torn record is not adopted.
    std::uint32_t identity_checksum() const { return hot[1].of_pair; }
};
static_assert(sizeof(FlowPair) == 256);
static_assert(offsetof(FlowPair, key) == 128 && offsetof(FlowPair, created_ns) == 192);

// FlowPair::partner: slot of the other record, and what the two are to each other.
inline constexpr std::uint32_t partner_slot = 0x00ffffffu;
inline constexpr std::uint32_t partner_bare = 1u << 27;    // follows; its hot lines say nothing
inline constexpr std::uint32_t partner_moving = 1u << 28;  // leads TCP that is not is_steady()
inline constexpr std::uint32_t partner_follows = 1u << 29;
inline constexpr std::uint32_t partner_leads = 1u << 30;
inline constexpr std::uint32_t partner_changing = 1u << 31;  // follows; fuse() or cut() is at work

// Values of FlowPair::live.
inline constexpr std::uint8_t record_free = 0, record_writing = 1, record_live = 2;

// A compiler may not move a store across this. That is all a kill can reorder: the stores of a
// killed process are in the cache in program order, and the next process reads the same cache.
inline void ordered() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

// Replaces a stored decision so that a kill at any instruction leaves the old one, the new one or
// an undecided one (revision 0), never a mixture.
template <class Decision>
void store_decision(Decision& at, const Decision& value) {
    at.revision = 0;
    ordered();
    Decision undecided = value;
    undecided.revision = 0;
    at = undecided;
    ordered();
    at.revision = value.revision;
}

// Changes when a record is seen again (but for one time in 65536).
inline std::uint16_t seen_mark(std::uint64_t ns) {
    return static_cast<std::uint16_t>(ns ^ ns >> 16 ^ ns >> 32);
}
// When a packet of either direction passed last.
inline std::uint64_t last_seen_ns(const FlowPair& pair) {
    return std::max(pair.hot[0].last_seen_ns, pair.hot[1].last_seen_ns);
}
inline std::uint16_t seen_mark(const FlowPair& pair) {
    return seen_mark(last_seen_ns(pair));
}

// The eviction class of a record, from what the record says about itself.
inline Kind kind_of(const FlowPair& pair) {
    if (pair.key.tuple.proto != 6) return Kind::other;
    switch (pair.tcp) {
        case TcpState::none:
        case TcpState::syn_sent:
        case TcpState::syn_received:
            return Kind::half_open;
        case TcpState::closing:
        case TcpState::closed:
            return Kind::closing;
        default:
            return Kind::established;
    }
}

}  // namespace weir::flow
