#include "net/notation.hpp"
#include "net/notation_draft.hpp"

namespace weir::net {
namespace notation {
namespace {

constexpr std::size_t max_frame_bytes = 65535;

struct KindWord {
    std::string_view word;
    Kind kind;
    std::uint8_t proto;
    Result<Bytes> (*finish)(Draft&, NotationReader&);
};
constexpr KindWord kind_words[] = {
    {"tcp", kind_tcp, proto_tcp, finish_ip},
    {"udp", kind_udp, proto_udp, finish_ip},
    {"icmp", kind_icmp, proto_icmp, finish_ip},
    {"icmp6", kind_icmp, proto_icmp6, finish_ip},
    {"ip", kind_ip, 0, finish_ip},
    {"arp", kind_neighbour, 0, finish_arp},
    {"nd", kind_neighbour, 0, finish_nd},
    {"rarp", kind_neighbour, 0, finish_rarp},
    {"eth", kind_eth, 0, finish_eth},
    {"geneve", kind_geneve, 0, finish_geneve},
    {"nsh", kind_nsh, 0, finish_nsh},
};

// Overwrites and cuts the frame as the line says.
Status damage(const Draft& draft, Bytes& frame) {
    for (const Draft::Put& put : draft.puts) {
        if (put.offset > frame.size() || put.bytes.size() > frame.size() - put.offset)
            return bad_word(
                "put", "reaches beyond the frame of " + std::to_string(frame.size()) + " bytes");
        std::copy(put.bytes.begin(), put.bytes.end(),
                  frame.begin() + static_cast<std::ptrdiff_t>(put.offset));
    }
    if (!draft.cut) return {};
    if (*draft.cut > frame.size())
        return bad_word("cut",
                        "is more than the " + std::to_string(frame.size()) + " bytes of the frame");
    frame.resize(*draft.cut);
    return {};
}

}  // namespace

Result<Bytes> parse_at_depth(std::string_view line, unsigned depth) {
    if (depth > max_notation_depth) return bad_word("{", "packets are nested too deeply");
    NotationReader reader(line);
    const std::string_view word = reader.next();
    for (const KindWord& entry : kind_words) {
        if (entry.word != word) continue;
        Draft draft;
        draft.kind = entry.kind;
        draft.depth = depth;
        draft.spec.proto = entry.proto;
        Result<Bytes> frame = entry.finish(draft, reader);
        if (frame.ok() && frame->size() > max_frame_bytes)
            return bad_word(word, "makes a frame of more than 65535 bytes");
        if (frame.ok())
            if (const Status status = damage(draft, *frame); !status) return status.error();
        return frame;
    }
    return bad_word(word,
                    "does not begin a packet: tcp, udp, icmp, icmp6, ip, arp, nd, rarp, eth, "
                    "geneve or nsh does");
}

}  // namespace notation

Result<std::vector<std::uint8_t>> parse_notation(std::string_view line) {
    if (line.size() > max_notation_bytes)
        return bad_word(line.substr(0, 16), "begins a line of more than 65536 bytes");
    return notation::parse_at_depth(line, 0);
}

}  // namespace weir::net
