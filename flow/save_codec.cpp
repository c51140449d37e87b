#include "flow/save_codec.hpp"

#include <algorithm>

namespace weir::flow {

namespace {

constexpr std::uint64_t id_counter_limit = std::uint64_t{1} << 55;  // leaves room to go on counting
constexpr std::uint64_t counter_mask = ~std::uint64_t{0} >> 8;

// Writes one TLV of a record: `body` writes the value.
template <class Body>
void tlv(ByteWriter& out, RecordTlv type, Body&& body) {
    out.u16(static_cast<std::uint16_t>(type));
    out.u16(0);
    const std::size_t begin = out.size();
    body();
    out.patch(begin - 2, out.size() - begin, 2);
}

void write_direction(ByteWriter& out, std::uint8_t number, const Hot& hot,
                     std::uint64_t captured_ns) {
    if (hot.last_seen_ns != 0 || hot.packets != 0)
        tlv(out, RecordTlv::direction, [&] {
            out.u8(number);
            out.u64(hot.packets);
            out.u64(hot.bytes);
            out.u64(std::min(hot.last_seen_ns, captured_ns));
        });
    if (hot.tcp_seen != 0)
        tlv(out, RecordTlv::tcp, [&] {
            out.u8(number);
            out.u32(hot.window_edge);
            out.u32(hot.sequence_end);
            out.u32(hot.acknowledged);
            out.u8(hot.window_scale);
            out.u8(hot.tcp_seen);
        });
}

void write_insertion(ByteWriter& out, const InsertionDecision& d) {
    tlv(out, RecordTlv::insertion, [&] {
        for (ServiceVerdict verdict : d.verdict) out.u8(static_cast<std::uint8_t>(verdict));
        out.u8(d.path_epoch);
        out.u8(d.initiator_call_point);
        for (std::uint32_t field :
             {d.rule_id, d.revision, d.sci, d.spi, d.flow_tag, d.failed_paths_generation,
              std::uint32_t{d.ruled_sci} << 8 | d.orders})
            out.u32(field);
        out.u8(d.skip[0]);
        out.u8(d.skip[1]);
        out.u8(d.flags);
        out.u8(d.previous_spi_valid);
        out.u32(d.previous_spi);
        out.u64(d.offloaded_packets);
    });
}

Error bad(const char* field, const char* why) {
    return invalid(field, why);
}

// Reads the TLVs of one record.
class RecordReader {
public:
    explicit RecordReader(std::uint64_t captured_ns) : captured_ns_(captured_ns) {}
    Result<SavedRecord> read(std::span<const std::uint8_t> value);

private:
    Status one(std::uint16_t type, std::span<const std::uint8_t> value);
    Status once(RecordTlv type, unsigned copy = 0);
    Status key(ByteReader in);
    Status identity(ByteReader in);
    Status state(ByteReader in);
    Status direction(ByteReader in);
    Status tcp(ByteReader in);
    Status firewall(ByteReader in);
    Status insertion(ByteReader in);
    Status alias(ByteReader in);
    Status handle(ByteReader in);
    Status keep(std::uint16_t type, std::span<const std::uint8_t> value);

    std::uint64_t captured_ns_;
    std::uint32_t seen_ = 0;
    SavedRecord record_;
};

Result<SavedRecord> RecordReader::read(std::span<const std::uint8_t> value) {
    ByteReader in(value);
    while (in.left() > 0) {
        const std::uint16_t type = in.u16();
        const auto inner = in.bytes(in.u16());
        if (!in.ok()) return bad("tlv", "longer than the record");
        if (Status status = one(type, inner); !status) return status.error();
    }
    const FlowPair& pair = record_.pair;
    if ((seen_ & 0b110) != 0b110) return bad("record", "has no key or no identity");
    if (pair.key.tuple.proto != 6 && pair.tcp != TcpState::none)
        return bad("state", "a TCP state without TCP");
    if (pair.hot[0].last_seen_ns == 0 && pair.hot[1].last_seen_ns == 0)
        return bad("direction", "no direction has been seen");
    return std::move(record_);
}

Status RecordReader::one(std::uint16_t type, std::span<const std::uint8_t> value) {
    const ByteReader in(value);
    switch (static_cast<RecordTlv>(type)) {
        case RecordTlv::key:
            return key(in);
        case RecordTlv::identity:
            return identity(in);
        case RecordTlv::state:
            return state(in);
        case RecordTlv::direction:
            return direction(in);
        case RecordTlv::tcp:
            return tcp(in);
        case RecordTlv::firewall:
            return firewall(in);
        case RecordTlv::insertion:
            return insertion(in);
        case RecordTlv::alias:
            return alias(in);
        case RecordTlv::handle:
            return handle(in);
        default:
            return keep(type, value);
    }
}

Status RecordReader::once(RecordTlv type, unsigned copy) {
    const std::uint32_t bit = 1u << (static_cast<unsigned>(type) + 16 * copy);
    if ((seen_ & bit) != 0) return bad("tlv", "occurs twice");
    seen_ |= bit;
    return {};
}

Status RecordReader::key(ByteReader in) {
    record_.pair.key.vni = in.u32();
    record_.pair.key.tuple = in.tuple();
    if (!in.done()) return bad("key", "wrong length");
    return once(RecordTlv::key);
}

Status RecordReader::identity(ByteReader in) {
    FlowPair& pair = record_.pair;
    pair.id = in.u64();
    pair.created_ns = in.u64();
    if (!in.done()) return bad("identity", "wrong length");
    const std::uint64_t counter = pair.id & counter_mask;
    if (counter == 0 || counter >= id_counter_limit) return bad("identity", "id out of range");
    if (pair.created_ns > captured_ns_) return bad("identity", "created after it was saved");
    return once(RecordTlv::identity);
}

Status RecordReader::state(ByteReader in) {
    FlowPair& pair = record_.pair;
    pair.tcp = static_cast<TcpState>(in.u8());
    pair.initiator_outside = in.u8();
    const std::uint8_t traced = in.u8();
    pair.traced = traced & 1;
    if (!in.done()) return bad("state", "wrong length");
    if (pair.tcp >= TcpState::count_ || pair.initiator_outside > 1 || traced > 1)
        return bad("state", "unknown value");
    return once(RecordTlv::state);
}

Status RecordReader::direction(ByteReader in) {
    const std::uint8_t number = in.u8();
    Hot& hot = record_.pair.hot[number & 1];
    hot.packets = in.u64();
    hot.bytes = in.u64();
    hot.last_seen_ns = in.u64();
    if (!in.done() || number > 1) return bad("direction", "wrong length or number");
    if (hot.last_seen_ns > captured_ns_) return bad("direction", "seen after it was saved");
    return once(RecordTlv::direction, number);
}

Status RecordReader::tcp(ByteReader in) {
    const std::uint8_t number = in.u8();
    Hot& hot = record_.pair.hot[number & 1];
    hot.window_edge = in.u32();
    hot.sequence_end = in.u32();
    hot.acknowledged = in.u32();
    hot.window_scale = in.u8();
    hot.tcp_seen = in.u8();
    if (!in.done() || number > 1) return bad("tcp", "wrong length or number");
    if (hot.window_scale > 14) return bad("tcp", "window scale above 14");
    return once(RecordTlv::tcp, number);
}

Status RecordReader::firewall(ByteReader in) {
    FirewallDecision& d = record_.pair.firewall;
    d.rule_id = in.u32();
    d.revision = in.u32();
    d.verdict = static_cast<Verdict>(in.u8());
    d.log = in.u8();
    if (!in.done()) return bad("firewall", "wrong length");
    if (d.verdict > Verdict::reject || d.log > 1) return bad("firewall", "unknown value");
    return once(RecordTlv::firewall);
}

Status RecordReader::insertion(ByteReader in) {
    InsertionDecision& d = record_.insertion;
    for (ServiceVerdict& verdict : d.verdict) verdict = static_cast<ServiceVerdict>(in.u8());
    d.path_epoch = in.u8();
    d.initiator_call_point = in.u8();
    std::uint32_t orders = 0;
    for (std::uint32_t* field : {&d.rule_id, &d.revision, &d.sci, &d.spi, &d.flow_tag,
                                 &d.failed_paths_generation, &orders})
        *field = in.u32();
    d.orders = orders & 0xff;
    const std::uint32_t ruled_sci = orders >> 8;
    d.ruled_sci = ruled_sci & 0xffffff;
    d.skip[0] = in.u8();
    d.skip[1] = in.u8();
    d.flags = in.u8();
    d.previous_spi_valid = in.u8();
    d.previous_spi = in.u32();
    d.offloaded_packets = in.u64();
    if (!in.done()) return bad("insertion", "wrong length");
    if (d.verdict[0] > ServiceVerdict::bypass_fail || d.verdict[1] > ServiceVerdict::bypass_fail ||
        d.initiator_call_point > 1 || d.previous_spi_valid > 1)
        return bad("insertion", "unknown value");
    return once(RecordTlv::insertion);
}

Status RecordReader::alias(ByteReader in) {
    SavedAlias alias;
    alias.direction = in.u8();
    alias.tuple = in.tuple();
    if (!in.done() || alias.direction > 1) return bad("alias", "wrong length or direction");
    record_.aliases.push_back(alias);
    return {};
}

Status RecordReader::handle(ByteReader in) {
    record_.handle = in.u32();
    if (!in.done()) return bad("handle", "wrong length");
    return once(RecordTlv::handle);
}

Status RecordReader::keep(std::uint16_t type, std::span<const std::uint8_t> value) {
    if (record_.extension.size() + value.size() + 4 > max_extension_bytes)
        return bad("tlv", "too many bytes of unknown TLVs");
    ByteWriter out(record_.extension);
    out.u16(type);
    out.u16(static_cast<std::uint16_t>(value.size()));
    out.bytes(value);
    return {};
}

}  // namespace

void ByteWriter::tuple(const net::Tuple& tuple) {
    bytes(tuple.src.bytes);
    bytes(tuple.dst.bytes);
    u16(tuple.src_port);
    u16(tuple.dst_port);
    u8(tuple.proto);
}

void ByteWriter::patch(std::size_t at, std::uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i)
        out_[at + i] = static_cast<std::uint8_t>(value >> 8 * (count - 1 - i));
}

std::uint64_t ByteReader::get(unsigned count) {
    std::uint64_t value = 0;
    for (std::uint8_t byte : bytes(count)) value = value << 8 | byte;
    return value;
}

std::span<const std::uint8_t> ByteReader::bytes(std::size_t count) {
    if (!ok_ || count > in_.size()) {
        ok_ = false;
        in_ = {};
        return {};
    }
    const auto taken = in_.first(count);
    in_ = in_.subspan(count);
    return taken;
}

net::Tuple ByteReader::tuple() {
    net::Tuple out;
    for (net::Ip* ip : {&out.src, &out.dst}) {
        const auto raw = bytes(ip->bytes.size());
        std::copy(raw.begin(), raw.end(), ip->bytes.begin());
    }
    out.src_port = u16();
    out.dst_port = u16();
    out.proto = u8();
    return out;
}

void write_record(ByteWriter& out, const FlowPair& pair, const Table& table,
                  std::uint64_t captured_ns) {
    tlv(out, RecordTlv::key, [&] {
        out.u32(pair.key.vni);
        out.tuple(pair.key.tuple);
    });
    tlv(out, RecordTlv::identity, [&] {
        out.u64(pair.id);
        out.u64(std::min(pair.created_ns, captured_ns));
    });
    tlv(out, RecordTlv::state, [&] {
        out.u8(static_cast<std::uint8_t>(pair.tcp));
        out.u8(pair.initiator_outside);
        out.u8(pair.traced);
    });
    for (std::uint8_t number = 0; number < 2; ++number)
        write_direction(out, number, pair.hot[number], captured_ns);
    if (pair.firewall.revision != 0)
        tlv(out, RecordTlv::firewall, [&] {
            out.u32(pair.firewall.rule_id);
            out.u32(pair.firewall.revision);
            out.u8(static_cast<std::uint8_t>(pair.firewall.verdict));
            out.u8(pair.firewall.log);
        });
    if (const InsertionDecision decision = table.insertion(pair); decision.revision != 0)
        write_insertion(out, decision);
    table.for_each_alias(pair, [&](const Alias& alias) {
        tlv(out, RecordTlv::alias, [&] {
            out.u8(alias.direction());
            out.tuple(alias.tuple);
        });
    });
    out.bytes(table.extension(pair));
}

void write_handle(ByteWriter& out, std::uint32_t handle) {
    tlv(out, RecordTlv::handle, [&] { out.u32(handle); });
}

Result<SavedRecord> read_record(std::span<const std::uint8_t> value, std::uint64_t captured_ns) {
    return RecordReader(captured_ns).read(value);
}

}  // namespace weir::flow
