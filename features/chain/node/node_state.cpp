#include "features/chain/node/node_state.hpp"

#include <algorithm>
#include <string>

#include "net/bytes.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t longest_ns = std::uint64_t{1} << 62;  // that an age may be

class Writer {
public:
    void u8(std::uint8_t value) { bytes_.push_back(value); }
    void u16(std::uint16_t value) { net::store16(more(2), value); }
    void u32(std::uint32_t value) { net::store32(more(4), value); }
    void u64(std::uint64_t value) { net::store64(more(8), value); }
    void ip(const net::Ip& ip) { std::copy(ip.bytes.begin(), ip.bytes.end(), more(16)); }
    void smd(const net::Smd& smd) {
        net::encode(smd, std::span<std::uint8_t, net::smd_bytes>(more(net::smd_bytes),
                                                                 net::smd_bytes));
    }
    std::vector<std::uint8_t> take() { return std::move(bytes_); }

private:
    std::uint8_t* more(std::size_t n) {
        bytes_.resize(bytes_.size() + n);
        return bytes_.data() + bytes_.size() - n;
    }
    std::vector<std::uint8_t> bytes_;
};

// Remembers the first thing that was wrong; from then on it reads zeros.
class Reader {
public:
    explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    std::uint8_t u8() {
        const std::uint8_t* p = next(1);
        return p ? *p : 0;
    }
    std::uint16_t u16() {
        const std::uint8_t* p = next(2);
        return p ? net::load16(p) : 0;
    }
    std::uint32_t u32() {
        const std::uint8_t* p = next(4);
        return p ? net::load32(p) : 0;
    }
    std::uint64_t u64() {
        const std::uint8_t* p = next(8);
        return p ? net::load64(p) : 0;
    }
    // An age, or a number of something: nothing that additions could carry over.
    std::uint64_t amount(const char* field) {
        const std::uint64_t value = u64();
        if (value > longest_ns) fail(field, "beyond any time");
        return value;
    }
    net::Ip ip() {
        const std::uint8_t* p = next(16);
        return p ? net::Ip::from6(p) : net::Ip();
    }
    net::Smd smd() {
        const std::uint8_t* p = next(net::smd_bytes);
        if (!p) return {};
        const net::Smd read = net::decode(
            std::span<const std::uint8_t, net::smd_bytes>(p, net::smd_bytes));
        if (const auto error = net::check_smd(read); error != net::SmdError::none)
            fail("smd", net::name(error));
        return read;
    }
    // One of an enum's values, which go from `first` to `last`.
    template <class Enum>
    Enum one_of(const char* field, Enum first, Enum last) {
        const std::uint8_t value = u8();
        if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last)) {
            fail(field, "no such value");
            return first;
        }
        return static_cast<Enum>(value);
    }
    std::size_t count(const char* field) {
        const std::uint16_t value = u16();
        if (value <= max_contexts_of_part) return value;
        fail(field, "more than " + std::to_string(max_contexts_of_part));
        return 0;
    }
    void fail(const char* field, std::string why) {
        if (!failed_) failed_ = Error{Errc::invalid, "node state", field, std::move(why)};
    }
    bool ok() const { return !failed_; }
    const Error& error() const { return *failed_; }
    bool at_end() const { return bytes_.empty(); }

private:
    const std::uint8_t* next(std::size_t n) {
        if (bytes_.size() < n) fail("", "cut short");
        if (failed_) return nullptr;
        const std::uint8_t* p = bytes_.data();
        bytes_ = bytes_.subspan(n);
        return p;
    }
    std::span<const std::uint8_t> bytes_;
    std::optional<Error> failed_;
};

void write(Writer& out, const NodeIdentity& identity) {
    for (const std::uint64_t half : identity.secret) out.u64(half);
    const auto& l = identity.liveness;
    out.u8(static_cast<std::uint8_t>(l.verdict));
    out.u32(l.misses);
    out.u32(l.answers);
    for (const std::uint64_t value : {l.recovering_for_ns, l.hold_up_ns, l.down_for_ns,
                                      l.unchanged_for_ns, l.answered, l.missed, l.flaps})
        out.u64(value);
    out.u32(identity.heartbeat);
    out.u32(identity.issuer_sequence);
}

NodeIdentity read_identity(Reader& in) {
    using Verdict = dataplane::Liveness::Verdict;
    NodeIdentity out;
    for (std::uint64_t& half : out.secret) half = in.u64();
    auto& l = out.liveness;
    l.verdict = in.one_of("verdict", Verdict::unknown, Verdict::down);
    l.misses = in.u32();
    l.answers = in.u32();
    for (std::uint64_t* value : {&l.recovering_for_ns, &l.hold_up_ns, &l.down_for_ns,
                                 &l.unchanged_for_ns, &l.answered, &l.missed, &l.flaps})
        *value = in.amount("liveness");
    out.heartbeat = in.u32();
    out.issuer_sequence = in.u32();
    return out;
}

void write(Writer& out, const SavedContext& context) {
    out.u16(context.vlan);
    out.u8(static_cast<std::uint8_t>(context.age));
    out.u64(context.idle_ns);
    out.smd(context.smd);
}

constexpr ContextAge last_age = static_cast<ContextAge>(context_ages - 1);

SavedContext read_context(Reader& in) {
    SavedContext out;
    out.vlan = in.u16();
    if (out.vlan == no_vlan || out.vlan > max_contexts) in.fail("vlan", "1 to 4094");
    out.age = in.one_of("age", ContextAge::finished, last_age);
    out.idle_ns = in.amount("idle");
    out.smd = in.smd();
    return out;
}

void write(Writer& out, const SavedFlowContext& context) {
    out.u32(context.id);
    out.u32(context.cookie);
    out.u8(static_cast<std::uint8_t>(context.age));
    out.u8(context.known);
    out.u64(context.idle_ns);
    out.ip(context.tuple.src);
    out.ip(context.tuple.dst);
    out.u16(context.tuple.src_port);
    out.u16(context.tuple.dst_port);
    out.u8(context.tuple.proto);
    for (const unsigned direction : {0u, 1u})
        if (context.known >> direction & 1) out.smd(context.smd[direction]);
    out.u32(context.before_mark);
    out.u8(context.answered);
    out.u8(context.tag_count);
    for (std::size_t i = 0; i < context.tag_count; ++i) out.u32(context.tags[i]);
}

SavedFlowContext read_flow_context(Reader& in) {
    SavedFlowContext out;
    out.id = in.u32();
    if (out.id == no_context_id || out.id > max_flow_contexts) in.fail("id", "1 to 131072");
    out.cookie = in.u32();
    out.age = in.one_of("age", ContextAge::finished, last_age);
    out.known = in.u8();
    if (out.known < 1 || out.known > 3) in.fail("known", "neither direction, or others");
    out.idle_ns = in.amount("idle");
    out.tuple.src = in.ip();
    out.tuple.dst = in.ip();
    out.tuple.src_port = in.u16();
    out.tuple.dst_port = in.u16();
    out.tuple.proto = in.u8();
    for (const unsigned direction : {0u, 1u})
        if (out.known >> direction & 1) out.smd[direction] = in.smd();
    out.before_mark = in.u32();
    out.answered = in.u8();
    if (out.answered > 1) in.fail("answered", "no or yes");
    out.tag_count = in.u8();
    if (out.tag_count > out.tags.size()) {
        in.fail("tags", "more than 2");
        out.tag_count = 0;
    }
    for (std::size_t i = 0; i < out.tag_count; ++i) out.tags[i] = in.u32();
    return out;
}

}  // namespace

ContextOf SavedNode::context_of() const {
    if (mode == NodeMode::gwlb) return ContextOf::flow;
    if (contexts == NodeContexts::mark) return ContextOf::direction;
    const bool by_tuple = mode == NodeMode::l3 || contexts == NodeContexts::tuple ||
                          contexts == NodeContexts::proxy;
    return mode != NodeMode::aware && by_tuple ? ContextOf::tuple : ContextOf::direction;
}

std::vector<std::uint8_t> encode(const SavedNode& state) {
    Writer out;
    out.u16(node_state_version);
    out.u8(static_cast<std::uint8_t>(state.mode));
    out.u8(static_cast<std::uint8_t>(state.contexts));
    out.u8(static_cast<std::uint8_t>(state.metadata));
    out.u8(state.identity ? 1 : 0);
    out.u32(state.node_id);
    out.u32(state.move);
    out.u16(static_cast<std::uint16_t>(state.by_vlan.size()));
    out.u16(static_cast<std::uint16_t>(state.by_flow.size()));
    if (state.identity) write(out, *state.identity);
    for (const SavedContext& context : state.by_vlan) write(out, context);
    for (const SavedFlowContext& context : state.by_flow) write(out, context);
    return out.take();
}

Result<SavedNode> decode_saved_node(std::span<const std::uint8_t> bytes) {
    Reader in(bytes);
    const std::uint16_t version = in.u16();
    if (in.ok() && version != node_state_version)
        in.fail("version", "is " + std::to_string(version) + ", this host reads " +
                               std::to_string(node_state_version));
    SavedNode out;
    out.mode = in.one_of("mode", NodeMode::aware, NodeMode::gwlb);
    out.contexts = in.one_of("contexts", NodeContexts::automatic, NodeContexts::proxy);
    out.metadata = in.one_of("metadata", NshMetadata::type2, NshMetadata::type1);
    const std::uint8_t parts = in.u8();
    if (parts > 1) in.fail("parts", "unknown ones");
    out.node_id = in.u32();
    out.move = in.u32();
    if (in.ok() && (out.node_id == 0 || out.move == 0)) in.fail("node", "has no number");
    const std::size_t by_vlan = in.count("by_vlan"), by_flow = in.count("by_flow");
    if (parts & 1) out.identity = read_identity(in);
    for (std::size_t i = 0; i < by_vlan && in.ok(); ++i) out.by_vlan.push_back(read_context(in));
    for (std::size_t i = 0; i < by_flow && in.ok(); ++i)
        out.by_flow.push_back(read_flow_context(in));
    if (in.ok() && out.identity && by_vlan + by_flow != 0)
        in.fail("parts", "identity stands alone");
    if (in.ok() && !in.at_end()) in.fail("", "has something behind its end");
    if (!in.ok()) return in.error();
    return out;
}

}  // namespace weir::chain
