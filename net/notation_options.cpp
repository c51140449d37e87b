#include <string>

#include "net/notation_draft.hpp"

namespace weir::net::notation {
namespace {

template <class T>
T narrow(std::uint64_t value) {
    return static_cast<T>(value);
}

struct NumberKey {
    std::string_view key;
    unsigned kinds;
    std::uint64_t max;
    void (*set)(Draft&, std::uint64_t);
};

constexpr NumberKey number_keys[] = {
    {"ttl", kinds_ip | kind_geneve, 255,
     [](Draft& d, std::uint64_t v) { d.spec.ttl = narrow<std::uint8_t>(v); }},
    {"tos", kinds_ip | kind_geneve, 255,
     [](Draft& d, std::uint64_t v) { d.spec.traffic_class = narrow<std::uint8_t>(v); }},
    {"ipid", kinds_ip, 0xffffffff,
     [](Draft& d, std::uint64_t v) { d.spec.fragment_id = narrow<std::uint32_t>(v); }},
    {"proto", kind_ip, 255,
     [](Draft& d, std::uint64_t v) { d.spec.proto = narrow<std::uint8_t>(v); }},
    {"len", kinds_ip | kind_eth, max_payload_bytes,
     [](Draft& d, std::uint64_t v) { d.spec.payload = counting_payload(v); }},
    {"seq", kind_tcp, 0xffffffff,
     [](Draft& d, std::uint64_t v) { d.spec.sequence = narrow<std::uint32_t>(v); }},
    {"ack", kind_tcp, 0xffffffff,
     [](Draft& d, std::uint64_t v) { d.spec.acknowledgement = narrow<std::uint32_t>(v); }},
    {"win", kind_tcp, 65535,
     [](Draft& d, std::uint64_t v) { d.spec.window = narrow<std::uint16_t>(v); }},
    {"id", kind_icmp, 65535, [](Draft& d, std::uint64_t v) { d.identifier = v; }},
    {"seq", kind_icmp, 65535, [](Draft& d, std::uint64_t v) { d.sequence = v; }},
    {"mtu", kind_icmp, 0xffffffff, [](Draft& d, std::uint64_t v) { d.mtu = v; }},
    {"quote", kind_icmp, 65535, [](Draft& d, std::uint64_t v) { d.quote = v; }},
    {"type", kind_icmp, 255,
     [](Draft& d, std::uint64_t v) { d.spec.icmp_type = narrow<std::uint8_t>(v); }},
    {"code", kind_icmp, 255,
     [](Draft& d, std::uint64_t v) { d.spec.icmp_code = narrow<std::uint8_t>(v); }},
    {"rest", kind_icmp, 0xffffffff,
     [](Draft& d, std::uint64_t v) { d.spec.icmp_rest = narrow<std::uint32_t>(v); }},
    {"type", kind_eth, 65535,
     [](Draft& d, std::uint64_t v) { d.spec.ethertype = narrow<std::uint16_t>(v); }},
    {"vlan", kinds_all, 65535,
     [](Draft& d, std::uint64_t v) { d.spec.vlans.push_back(narrow<std::uint16_t>(v)); }},
    {"cut", kinds_all, 65535, [](Draft& d, std::uint64_t v) { d.cut = v; }},
    {"vni", kind_geneve, 0xffffff,
     [](Draft& d, std::uint64_t v) { d.vni = narrow<std::uint32_t>(v); }},
    {"trace-id", kind_geneve, 0xffffffff,
     [](Draft& d, std::uint64_t v) {
         if (!d.trace) d.trace.emplace();
         d.trace->trace_id = narrow<std::uint32_t>(v);
     }},
    {"collector", kind_geneve, 0xffffffff,
     [](Draft& d, std::uint64_t v) {
         if (!d.trace) d.trace.emplace();
         d.trace->collector_host = narrow<std::uint32_t>(v);
     }},
    {"cookie", kind_nsh, 0xffffffff,
     [](Draft& d, std::uint64_t v) { d.nsh.cookie = narrow<std::uint32_t>(v); }},
    {"action", kind_nsh, 15,
     [](Draft& d, std::uint64_t v) { d.nsh.flow_action = narrow<std::uint8_t>(v); }},
};

struct Flag {
    std::string_view word;
    unsigned kinds;
    void (*set)(Draft&);
};
constexpr Flag flags[] = {
    {"df", kinds_ip, [](Draft& d) { d.spec.dont_fragment = true; }},
    {"bad-ip-checksum", kinds_ip, [](Draft& d) { d.spec.bad_ip_checksum = true; }},
    {"bad-checksum", kinds_ip, [](Draft& d) { d.spec.bad_l4_checksum = true; }},
    {"no-checksum", kind_udp, [](Draft& d) { d.spec.no_udp_checksum = true; }},
    {"about", kind_icmp, [](Draft& d) { d.wants_inner = true; }},
    {"smd", kind_geneve, [](Draft& d) { d.has_smd = true; }},
    {"md1", kind_nsh, [](Draft& d) { d.nsh.md_type = MdType::fixed; }},
};

// Whether a setter took the word, or why not.
using Taken = Result<bool>;

Taken take_flag(Draft& draft, std::string_view word) {
    if (draft.kind == kind_tcp)
        for (const words::TcpFlag& flag : words::tcp_flags)
            if (flag.word == word) {
                draft.spec.tcp_flags |= flag.bit;
                return true;
            }
    if (draft.kind == kind_icmp)
        for (const words::IcmpMessage& message : words::icmp_messages)
            if (message.word == word && message.family == draft.spec.src.family()) {
                draft.message = &message;
                draft.spec.icmp_type = message.type;
                draft.spec.icmp_code = message.code;
                return true;
            }
    if (draft.kind & (kind_geneve | kind_nsh))
        for (const words::SmdFlag& flag : words::smd_flags)
            if (flag.word == word) return draft.nsh.smd.*flag.member = true;
    for (const Flag& flag : flags)
        if (flag.word == word && (flag.kinds & draft.kind)) {
            flag.set(draft);
            return true;
        }
    return false;
}

Taken take_number(Draft& draft, std::string_view word, const KeyValue& pair) {
    for (const NumberKey& key : number_keys) {
        if (key.key != pair.key || !(key.kinds & draft.kind)) continue;
        const auto value = read_number(word, pair.value, key.max);
        if (!value) return value.error();
        key.set(draft, *value);
        return true;
    }
    if (!(draft.kind & (kind_geneve | kind_nsh))) return false;
    for (const words::SmdNumber& key : words::smd_numbers) {
        if (key.key != pair.key) continue;
        const auto value = read_number(word, pair.value, key.max);
        if (!value) return value.error();
        key.set(draft.nsh.smd, narrow<std::uint32_t>(*value));
        return true;
    }
    return false;
}

Taken take_mac(Draft& draft, std::string_view word, const KeyValue& pair) {
    Mac* place = nullptr;
    if (pair.key == "smac") place = &draft.spec.src_mac;
    if (pair.key == "dmac") place = &draft.spec.dst_mac;
    if (draft.kind == kind_geneve && pair.key == "orig-smac") place = &draft.nsh.smd.original_src;
    if (draft.kind == kind_geneve && pair.key == "orig-dmac") place = &draft.nsh.smd.original_dst;
    if (!place) return false;
    const Result<Mac> mac = Mac::parse(pair.value);
    if (!mac) return bad_word(word, mac.error().message);
    *place = *mac;
    draft.dst_mac_given = draft.dst_mac_given || pair.key == "dmac";
    return true;
}

Taken take_fragment(Draft& draft, std::string_view word, std::string_view value) {
    const std::size_t colon = value.find(':');
    const std::string_view tail = colon == value.npos ? value : value.substr(colon + 1);
    if (tail != "more" && tail != "last") return bad_word(word, "needs OFFSET:more or OFFSET:last");
    const auto offset = read_number(word, value.substr(0, colon), 65528);
    if (!offset) return offset.error();
    if (*offset % 8 != 0) return bad_word(word, "needs an offset that is a multiple of 8");
    draft.spec.fragment_offset = narrow<std::uint16_t>(*offset);
    draft.spec.more_fragments = tail == "more";
    draft.spec.fragment_header = true;
    return true;
}

Taken take_bytes(Draft& draft, std::string_view word, const KeyValue& pair) {
    Bytes* place = nullptr;
    if (pair.key == "data" && (draft.kind & (kinds_ip | kind_eth))) place = &draft.spec.payload;
    if (pair.key == "opts" && draft.kind == kind_tcp) place = &draft.spec.tcp_options;
    if (pair.key == "ipopts" && (draft.kind & kinds_ip)) place = &draft.spec.ip4_options;
    if (!place) return false;
    auto bytes = read_hex(word, pair.value);
    if (!bytes) return bytes.error();
    const std::size_t limit = pair.key == "data" ? max_payload_bytes : 40;
    if (bytes->size() > limit)
        return bad_word(word, "has more than " + std::to_string(limit) + " bytes");
    *place = *std::move(bytes);
    return true;
}

Taken take_tuple(Draft& draft, std::string_view word, const KeyValue& pair) {
    if (pair.key == "si" && (draft.kind & (kind_geneve | kind_nsh))) {
        const auto values = read_numbers(word, pair.value, '/', {255, 255});
        if (!values) return values.error();
        draft.nsh.smd.si = narrow<std::uint8_t>((*values)[0]);
        draft.nsh.smd.initial_si = narrow<std::uint8_t>((*values)[1]);
        return true;
    }
    if (pair.key == "serviced" && draft.kind == kind_geneve) {
        const auto values = read_numbers(word, pair.value, ':', {255, 0xffffff, 0xffffffff});
        if (!values) return values.error();
        draft.serviced =
            Serviced{narrow<std::uint8_t>((*values)[0]), narrow<std::uint32_t>((*values)[1]),
                     narrow<std::uint32_t>((*values)[2])};
        return true;
    }
    if (pair.key == "ctrl" && draft.kind == kind_geneve) {
        auto bytes = read_hex(word, pair.value);
        if (!bytes) return bytes.error();
        if (bytes->size() != ctrl_bytes) return bad_word(word, "needs 28 bytes");
        draft.ctrl = *std::move(bytes);
        return true;
    }
    if (pair.key == "control" && draft.kind == kind_nsh) {
        const auto values = read_numbers(word, pair.value, ':', {255, 255, 255, 0xffffffff});
        if (!values) return values.error();
        draft.nsh.control =
            NodeControl{narrow<std::uint8_t>((*values)[0]), narrow<std::uint8_t>((*values)[1]),
                        narrow<std::uint8_t>((*values)[2]), narrow<std::uint32_t>((*values)[3])};
        return true;
    }
    return false;
}

// put=OFFSET:HEX, bytes of the finished frame.
Taken take_put(Draft& draft, std::string_view word, const KeyValue& pair) {
    if (pair.key != "put") return false;
    const std::size_t colon = pair.value.find(':');
    if (colon == pair.value.npos) return bad_word(word, "needs OFFSET:HEX");
    const auto offset = read_number(word, pair.value.substr(0, colon), 65535);
    if (!offset) return offset.error();
    auto bytes = read_hex(word, pair.value.substr(colon + 1));
    if (!bytes) return bytes.error();
    draft.puts.push_back({*offset, *std::move(bytes)});
    return true;
}

Status take_inner(Draft& draft, std::string_view line) {
    const bool may = draft.wants_inner || (draft.kind & (kind_geneve | kind_nsh));
    if (!may || draft.inner) return bad_word("{", "a packet has no place here");
    Result<Bytes> inner = parse_at_depth(line, draft.depth + 1);
    if (!inner) return inner.error();
    draft.inner = *std::move(inner);
    return {};
}

Status take_word(Draft& draft, std::string_view word) {
    const KeyValue pair = split(word);
    Taken taken = false;
    if (!pair.has_value) {
        taken = take_flag(draft, word);
    } else {
        taken = take_number(draft, word, pair);
        for (auto take : {take_mac, take_bytes, take_tuple, take_put})
            if (taken.ok() && !*taken) taken = take(draft, word, pair);
        if (taken.ok() && !*taken && pair.key == "frag" && (draft.kind & kinds_ip))
            taken = take_fragment(draft, word, pair.value);
    }
    if (!taken) return taken.error();
    return *taken ? Status{} : bad_word(word, "is not a word of this packet");
}

}  // namespace

Status take_options(Draft& draft, NotationReader& reader) {
    for (std::string_view word = reader.next(); !word.empty() || reader.next_was_braced();
         word = reader.next()) {
        if (reader.unbalanced()) return bad_word(word, "has no closing brace");
        const Status status =
            reader.next_was_braced() ? take_inner(draft, word) : take_word(draft, word);
        if (!status) return status;
    }
    return draft.spec.vlans.size() <= 2 ? Status{} : bad_word("vlan", "stands more than twice");
}

}  // namespace weir::net::notation
