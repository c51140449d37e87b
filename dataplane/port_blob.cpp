#include "dataplane/port_blob.hpp"

#include "base/limits.hpp"
#include "flow/save_codec.hpp"

namespace weir::dataplane {

namespace {

using flow::ByteReader;
using flow::ByteWriter;

enum class Tlv : std::uint16_t { section = 1, end = 0xffff };

constexpr std::size_t end_bytes = 2 + 4 + 4;

Error bad(std::string field, std::string why) {
    return {Errc::invalid, "port blob", std::move(field), std::move(why)};
}

template <class Body>
void tlv(ByteWriter& out, Tlv type, Body&& body) {
    out.u16(static_cast<std::uint16_t>(type));
    out.u32(0);
    const std::size_t begin = out.size();
    body();
    out.patch(begin - 4, out.size() - begin, 4);
}

void write_name(ByteWriter& out, std::string_view name) {
    out.u8(static_cast<std::uint8_t>(name.size()));
    out.bytes({reinterpret_cast<const std::uint8_t*>(name.data()), name.size()});
}

// Empty: there is none, or it is too long.
std::string read_name(ByteReader& in) {
    const std::size_t length = in.u8();
    if (length > limits::max_name_bytes) return {};
    const auto text = in.bytes(length);
    return {text.begin(), text.end()};
}

Status check_frame(std::span<const std::uint8_t> bytes) {
    if (bytes.size() > max_port_blob_bytes) return bad("blob", "longer than 1 MiB");
    ByteReader in(bytes);
    if (in.u32() != port_blob_magic) return bad("magic", "no port's state");
    const std::uint16_t version = in.u16();
    if (!in.ok() || bytes.size() < end_bytes) return bad("blob", "cut short");
    if (version >> 8 != port_blob_version >> 8)
        return bad("version", std::to_string(version >> 8) + " is not " +
                                  std::to_string(port_blob_version >> 8));
    ByteReader end(bytes.last(end_bytes));
    if (end.u16() != static_cast<std::uint16_t>(Tlv::end) || end.u32() != 4)
        return bad("end", "cut short");
    if (end.u32() != net::crc32c(bytes.first(bytes.size() - 4)))
        return bad("end", "the checksum does not fit");
    return {};
}

Status read_section(std::span<const std::uint8_t> value, PortBlob& blob) {
    if (blob.sections.size() == max_blob_sections) return bad("sections", "too many");
    ByteReader in(value);
    BlobSection section;
    section.name = read_name(in);
    if (!in.ok() || section.name.empty())
        return bad("sections[" + std::to_string(blob.sections.size()) + "]", "has no good name");
    const auto rest = in.bytes(in.left());
    section.bytes.assign(rest.begin(), rest.end());
    blob.sections.push_back(std::move(section));
    return {};
}

}  // namespace

std::vector<std::uint8_t> encode(const PortBlob& blob) {
    std::vector<std::uint8_t> bytes;
    ByteWriter out(bytes);
    out.u32(port_blob_magic);
    out.u16(port_blob_version);
    write_name(out, blob.port);
    out.u32(blob.vni);
    out.u32(blob.count);
    for (const BlobSection& section : blob.sections)
        tlv(out, Tlv::section, [&] {
            write_name(out, section.name);
            out.bytes(section.bytes);
        });
    tlv(out, Tlv::end, [&] { out.u32(0); });
    const std::size_t end = bytes.size() - 4;
    out.patch(end, net::crc32c({bytes.data(), end}), 4);
    return bytes;
}

Result<PortBlob> decode_port_blob(std::span<const std::uint8_t> bytes) {
    if (Status status = check_frame(bytes); !status) return status.error();
    PortBlob blob;
    ByteReader in(bytes.first(bytes.size() - end_bytes).subspan(6));
    blob.port = read_name(in);
    blob.vni = in.u32();
    blob.count = in.u32();
    if (!in.ok() || blob.port.empty()) return bad("port", "has no good name");
    while (in.left() > 0) {
        const std::uint16_t type = in.u16();
        const auto value = in.bytes(in.u32());
        if (!in.ok()) return bad("tlv", "longer than the blob");
        if (type == static_cast<std::uint16_t>(Tlv::end)) return bad("end", "occurs twice");
        if (type != static_cast<std::uint16_t>(Tlv::section)) continue;  // of a later version
        if (Status status = read_section(value, blob); !status) return status.error();
    }
    return blob;
}

}  // namespace weir::dataplane
