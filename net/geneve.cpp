#include "net/geneve.hpp"

#include "net/bytes.hpp"
#include "net/checksum.hpp"
#include "net/smd_codec.hpp"
#include "net/wire.hpp"

namespace weir::net {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t option_header_bytes = 4;
constexpr std::uint8_t critical_type = 0x80;
constexpr std::size_t live_bytes = 12, trace_bytes = 12, serviced_bytes = 8;

// All options at once fit the 6-bit length field, so push_geneve() need not ask.
static_assert(geneve_bytes + 5 * option_header_bytes + smd_bytes + auth_bytes + live_bytes +
                  trace_bytes + serviced_bytes +
                  max_ctrl_options * (option_header_bytes + ctrl_bytes) <=
              max_geneve_bytes);

// The contents of our options as they were met, before any of them is read.
struct Found {
    std::optional<Bytes> smd, auth, live, trace, serviced;
};

GeneveError keep(std::optional<Bytes>& place, Bytes content, GeneveError if_taken) {
    if (place) return if_taken;
    place = content;
    return GeneveError::none;
}

GeneveError keep_option(std::uint8_t type, Bytes content, Found& found, GeneveView& view) {
    switch (type) {
        case option_smd:
            return keep(found.smd, content, GeneveError::duplicate_smd);
        case option_auth:
            return keep(found.auth, content, GeneveError::duplicate_auth);
        case option_live:
            return keep(found.live, content, GeneveError::duplicate_live);
        case option_trace:
            return keep(found.trace, content, GeneveError::duplicate_trace);
        case option_serviced:
            return keep(found.serviced, content, GeneveError::duplicate_serviced);
        case option_ctrl:
            if (view.ctrl_count == max_ctrl_options) return GeneveError::too_many_ctrl;
            view.ctrl[view.ctrl_count++] = content;
            return GeneveError::none;
        default:
            return type & critical_type ? GeneveError::unknown_critical : GeneveError::none;
    }
}

GeneveError collect(Bytes options, Found& found, GeneveView& view) {
    while (!options.empty()) {
        if (options.size() < option_header_bytes) return GeneveError::options_overrun;
        const std::size_t bytes = option_header_bytes + (options[3] & 0x1fu) * 4;
        if (bytes > options.size()) return GeneveError::options_overrun;
        const std::uint8_t type = options[2];
        GeneveError error = GeneveError::none;
        if (load16(options.data()) == option_class)
            error =
                keep_option(type, options.first(bytes).subspan(option_header_bytes), found, view);
        else if (type & critical_type)
            error = GeneveError::unknown_critical;
        if (error != GeneveError::none) return error;
        options = options.subspan(bytes);
    }
    return GeneveError::none;
}

GeneveError read_smd(const Found& found, GeneveView& view) {
    if (!found.smd) return GeneveError::none;
    if (found.smd->size() != smd_bytes) return GeneveError::bad_smd_length;
    view.smd_content = *found.smd;
    view.smd = decode(found.smd->first<smd_bytes>());
    if (view.smd->version != 0) return GeneveError::bad_smd_version;
    return view.smd->zz == 0 ? GeneveError::none : GeneveError::bad_smd_zz;
}

GeneveError read_companions(const Found& found, GeneveView& view) {
    if (found.auth && found.auth->size() != auth_bytes) return GeneveError::bad_auth_length;
    if (found.auth) view.auth = *found.auth;
    for (std::size_t i = 0; i < view.ctrl_count; ++i)
        if (view.ctrl[i].size() != ctrl_bytes) return GeneveError::bad_ctrl_length;
    if (found.live) {
        if (found.live->size() != live_bytes) return GeneveError::bad_live_length;
        const std::uint8_t* p = found.live->data();
        view.live = Live{load32(p), load32(p + 4), load32(p + 8)};
    }
    if (found.trace) {
        if (found.trace->size() != trace_bytes) return GeneveError::bad_trace_length;
        view.trace = SmdTrace{load32(found.trace->data()), load32(found.trace->data() + 4)};
    }
    if (found.serviced) {
        if (found.serviced->size() != serviced_bytes) return GeneveError::bad_serviced_length;
        const std::uint8_t* p = found.serviced->data();
        view.serviced = Serviced{p[0], load32(p) & 0xffffff, load32(p + 4)};
    }
    return GeneveError::none;
}

// Writes the header of one option and returns where its content goes; `at` moves behind both.
std::uint8_t* start_option(std::uint8_t*& at, std::uint8_t type, std::size_t content_bytes) {
    std::uint8_t* content = at + option_header_bytes;
    store16(at, option_class);
    at[2] = type;
    at[3] = static_cast<std::uint8_t>(content_bytes / 4);
    at = content + content_bytes;
    return content;
}

void copy_option(std::uint8_t*& at, std::uint8_t type, Bytes content) {
    std::uint8_t* to = start_option(at, type, content.size());
    std::memcpy(to, content.data(), content.size());
}

void write_options(std::uint8_t* at, const GeneveHeader& header) {
    if (header.smd) {
        std::uint8_t* p = start_option(at, option_smd, smd_bytes);
        encode(*header.smd, std::span<std::uint8_t, smd_bytes>(p, smd_bytes));
    }
    if (!header.auth.empty()) copy_option(at, option_auth, header.auth);
    for (std::size_t i = 0; i < header.ctrl_count; ++i)
        copy_option(at, option_ctrl, header.ctrl[i]);
    if (header.live) {
        std::uint8_t* p = start_option(at, option_live, live_bytes);
        store32(p, header.live->node);
        store32(p + 4, header.live->sequence);
        store32(p + 8, header.live->sent_ms);
    }
    if (header.trace) {
        std::uint8_t* p = start_option(at, option_trace, trace_bytes);
        store32(p, header.trace->trace_id);
        store32(p + 4, header.trace->collector_host);
        store32(p + 8, 0);
    }
    if (header.serviced) {
        std::uint8_t* p = start_option(at, option_serviced, serviced_bytes);
        store32(p, header.serviced->sci & 0xffffff);
        p[0] = header.serviced->flags;
        store32(p + 4, header.serviced->anchor_host);
    }
}

bool sizes_fit(const GeneveHeader& header) {
    if (header.ctrl_count > max_ctrl_options) return false;
    if (!header.auth.empty() && header.auth.size() != auth_bytes) return false;
    for (std::size_t i = 0; i < header.ctrl_count; ++i)
        if (header.ctrl[i].size() != ctrl_bytes) return false;
    return true;
}

void write_outer_ip4(std::uint8_t* ip, const OuterAddresses& way, std::uint32_t l4_bytes,
                     std::uint8_t ttl) {
    ip[0] = 0x45;
    ip[1] = way.traffic_class;
    store16(ip + 2, static_cast<std::uint16_t>(ip4_min_bytes + l4_bytes));
    store16(ip + 4, 0);
    store16(ip + 6, 0x4000);  // DF
    ip[8] = ttl;
    ip[9] = proto_udp;
    std::memcpy(ip + 12, way.src.data4(), 4);
    std::memcpy(ip + 16, way.dst.data4(), 4);
    fill_ip4_checksum({ip, ip4_min_bytes});
}

void write_outer_ip6(std::uint8_t* ip, const OuterAddresses& way, std::uint32_t l4_bytes,
                     std::uint8_t ttl, std::uint16_t flow_label) {
    store32(ip, 6u << 28 | std::uint32_t{way.traffic_class} << 20 | flow_label);
    store16(ip + 4, static_cast<std::uint16_t>(l4_bytes));
    ip[6] = proto_udp;
    ip[7] = ttl;
    std::memcpy(ip + 8, way.src.data6(), 16);
    std::memcpy(ip + 24, way.dst.data6(), 16);
}

}  // namespace

const char* name(GeneveError error) {
    static constexpr std::array<const char*, static_cast<std::size_t>(GeneveError::count_)> names =
        {"none",
         "short_header",
         "bad_version",
         "options_overrun",
         "unknown_critical",
         "duplicate_smd",
         "duplicate_auth",
         "duplicate_live",
         "duplicate_trace",
         "duplicate_serviced",
         "too_many_ctrl",
         "bad_smd_length",
         "bad_smd_version",
         "bad_smd_zz",
         "bad_auth_length",
         "bad_ctrl_length",
         "bad_live_length",
         "bad_trace_length",
         "bad_serviced_length"};
    return error < GeneveError::count_ ? names[static_cast<std::size_t>(error)] : "unknown";
}

GeneveError decode(Bytes bytes, GeneveView& view) {
    view = GeneveView{};
    if (bytes.size() < geneve_bytes) return GeneveError::short_header;
    if (bytes[0] >> 6 != 0) return GeneveError::bad_version;
    view.header_bytes = static_cast<std::uint16_t>(geneve_bytes + (bytes[0] & 0x3fu) * 4);
    if (view.header_bytes > bytes.size()) return GeneveError::options_overrun;
    view.oam = bytes[1] & 0x80;
    view.critical = bytes[1] & 0x40;
    view.protocol = load16(bytes.data() + 2);
    view.vni = load32(bytes.data() + 4) >> 8;
    view.options = bytes.first(view.header_bytes).subspan(geneve_bytes);
    view.inner = bytes.subspan(view.header_bytes);
    Found found;
    GeneveError error = collect(view.options, found, view);
    if (error == GeneveError::none) error = read_smd(found, view);
    return error == GeneveError::none ? read_companions(found, view) : error;
}

std::size_t header_bytes(const GeneveHeader& header) {
    std::size_t bytes = geneve_bytes + header.ctrl_count * (option_header_bytes + ctrl_bytes);
    if (header.smd) bytes += option_header_bytes + smd_bytes;
    if (!header.auth.empty()) bytes += option_header_bytes + auth_bytes;
    if (header.live) bytes += option_header_bytes + live_bytes;
    if (header.trace) bytes += option_header_bytes + trace_bytes;
    if (header.serviced) bytes += option_header_bytes + serviced_bytes;
    return bytes;
}

bool push_geneve(Packet& packet, const GeneveHeader& header) {
    if (!sizes_fit(header)) return false;
    const std::size_t bytes = header_bytes(header);
    std::uint8_t* p = packet.prepend(static_cast<std::uint32_t>(bytes));
    if (!p) return false;
    const bool critical = header.smd || !header.auth.empty() || header.ctrl_count > 0;
    p[0] = static_cast<std::uint8_t>((bytes - geneve_bytes) / 4);
    p[1] = static_cast<std::uint8_t>((header.oam ? 0x80 : 0) | (critical ? 0x40 : 0));
    store16(p + 2, header.protocol);
    store32(p + 4, header.vni << 8);
    write_options(p + geneve_bytes, header);
    return true;
}

bool push_geneve(Packet& packet, std::uint32_t vni, const Smd* smd, const SmdTrace* trace,
                 const Serviced* serviced, bool oam) {
    GeneveHeader header;
    header.vni = vni;
    header.oam = oam;
    header.smd = smd;
    header.trace = trace;
    header.serviced = serviced;
    return push_geneve(packet, header);
}

std::uint16_t outer_source_port(std::uint32_t inner_hash) {
    return static_cast<std::uint16_t>(
        49152 | ((inner_hash ^ inner_hash >> 14 ^ inner_hash >> 28) & 0x3fff));
}

bool push_outer(Packet& packet, const OuterAddresses& way, std::uint16_t udp_source_port,
                std::uint8_t ttl) {
    const bool ip4 = way.src.is4();
    const std::uint32_t ip_bytes = ip4 ? ip4_min_bytes : ip6_bytes;
    const std::uint32_t outer = ethernet_bytes + ip_bytes + udp_bytes;
    if (ip4 != way.dst.is4() || packet.length > 0xffff - outer) return false;
    const std::uint32_t l4_bytes = udp_bytes + packet.length;
    std::uint8_t* frame = packet.prepend(outer);
    if (!frame) return false;
    way.dst_mac.store(frame);
    way.src_mac.store(frame + 6);
    store16(frame + 12, ip4 ? ethertype_ip4 : ethertype_ip6);
    std::uint8_t* ip = frame + ethernet_bytes;
    if (ip4)
        write_outer_ip4(ip, way, l4_bytes, ttl);
    else
        write_outer_ip6(ip, way, l4_bytes, ttl, udp_source_port);
    std::uint8_t* udp = ip + ip_bytes;
    store16(udp, udp_source_port);
    store16(udp + 2, udp_port_geneve);
    store16(udp + 4, static_cast<std::uint16_t>(l4_bytes));
    store16(udp + 6, 0);
    Headers& headers = packet.headers = Headers{};
    headers.ethertype = ip4 ? ethertype_ip4 : ethertype_ip6;
    headers.family = ip4 ? Family::ip4 : Family::ip6;
    headers.proto = proto_udp;
    headers.ttl = ttl;
    headers.l3 = ethernet_bytes;
    headers.l4 = static_cast<std::uint16_t>(ethernet_bytes + ip_bytes);
    headers.payload = static_cast<std::uint16_t>(outer);
    headers.l3_end = static_cast<std::uint16_t>(packet.length);
    if (!ip4) fill_l4_checksum(packet);
    return true;
}

}  // namespace weir::net
