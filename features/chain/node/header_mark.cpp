#include "features/chain/node/header_mark.hpp"

#include "net/bytes.hpp"
#include "net/checksum.hpp"

namespace weir::chain {
namespace {

constexpr std::uint32_t label_bits = 20, mark_bits = 16;
constexpr std::uint32_t label_mask = (1u << label_bits) - 1, mark_mask = (1u << mark_bits) - 1;
constexpr std::uint32_t identification_at = 4, checksum_at = 10;

bool is_ip4(const net::Packet& p) {
    return p.headers.family == net::Family::ip4;
}

std::uint8_t* ip_header(net::Packet& p) {
    return p.data + p.headers.l3;
}

// Four bits that a node cannot guess for another context.
std::uint32_t guard_of(const FlowContext& context) {
    return (context.cookie & 15u) << mark_bits;
}

void set_identification(std::uint8_t* ip, std::uint16_t to) {
    const std::uint16_t from = net::load16(ip + identification_at);
    net::store16(ip + identification_at, to);
    net::store16(ip + checksum_at,
                 net::update_checksum16(net::load16(ip + checksum_at), from, to));
}

void set_label(std::uint8_t* ip, std::uint32_t label) {
    net::store32(ip, (net::load32(ip) & ~label_mask) | label);
}

}  // namespace

std::uint32_t mark_of(std::uint32_t id, std::uint32_t workers) {
    const std::uint32_t owner = flow_context_owner(id, workers);
    if (owner >= workers) return no_mark;
    const std::uint32_t local = id - 1 - owner * (max_flow_contexts / workers);
    const std::uint32_t each = most_marks / workers;
    return local < each ? 1 + owner * each + local : no_mark;
}

std::uint32_t id_of_mark(std::uint32_t mark, std::uint32_t workers) {
    const std::uint32_t each = most_marks / workers;
    if (mark == no_mark || mark > each * workers) return no_context_id;
    return 1 + (mark - 1) / each * (max_flow_contexts / workers) + (mark - 1) % each;
}

bool can_be_marked(const net::Packet& p) {
    return p.headers.family == net::Family::ip6 ||
           (is_ip4(p) && p.headers.fragment == net::Fragment::whole);
}

void write_mark(net::Packet& p, FlowContext& context, std::uint32_t mark) {
    std::uint8_t* ip = ip_header(p);
    if (is_ip4(p)) {
        // The first one is where the numbers of restore_mark() begin.
        if (context.before_mark == 0)
            context.before_mark = 1u << mark_bits | net::load16(ip + identification_at);
        set_identification(ip, static_cast<std::uint16_t>(mark));
    } else {
        context.before_mark = net::load32(ip) & label_mask;
        set_label(ip, guard_of(context) | mark);
    }
}

std::uint32_t read_mark(const net::Packet& p) {
    const std::uint8_t* ip = p.data + p.headers.l3;
    return is_ip4(p) ? net::load16(ip + identification_at) : net::load32(ip) & mark_mask;
}

bool fits_mark(const net::Packet& p, const FlowContext& context, bool reverse) {
    if (!is_ip4(p)) {
        const std::uint32_t label = net::load32(p.data + p.headers.l3) & label_mask;
        if ((label & ~mark_mask) != guard_of(context)) return false;
    }
    const net::Tuple given = reverse ? context.tuple.reversed() : context.tuple;
    return p.tuple.proto == given.proto && (p.tuple.src == given.src || p.tuple.dst == given.dst);
}

void restore_mark(net::Packet& p, FlowContext& context) {
    if (!is_ip4(p)) return set_label(ip_header(p), context.before_mark & label_mask);
    const auto next = static_cast<std::uint16_t>(context.before_mark);
    set_identification(ip_header(p), next);
    context.before_mark = 1u << mark_bits | static_cast<std::uint16_t>(next + 1);
}

}  // namespace weir::chain
