#include "net/pcap_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace weir::net {
namespace {

// draft-ietf-opsawg-pcap §4, §5; fields are in the writer's byte order.
constexpr std::uint32_t magic_microseconds = 0xa1b2c3d4, magic_nanoseconds = 0xa1b23c4d;
constexpr std::uint32_t link_ethernet = 1;
constexpr std::uint64_t ns_per_s = 1000000000;

using FileHeader = std::array<std::uint8_t, 24>;
using RecordHeader = std::array<std::uint8_t, 16>;

void put(std::uint8_t* at, std::uint32_t value) {
    std::memcpy(at, &value, 4);
}

Error io_error(const std::string& path, const char* what) {
    return {Errc::io, path, {}, std::string(what) + ": " + std::strerror(errno)};
}

}  // namespace

Result<PcapWriter> PcapWriter::create(const std::string& path, std::uint64_t max_bytes) {
    PcapWriter writer;
    writer.path_ = path;
    writer.max_bytes_ = max_bytes;
    writer.file_.reset(std::fopen(path.c_str(), "wbe"));
    if (!writer.file_) return io_error(path, "cannot be created");
    FileHeader header{};
    put(header.data(), magic_nanoseconds);
    const std::uint16_t version[2] = {2, 4};
    std::memcpy(header.data() + 4, version, 4);
    put(header.data() + 16, max_captured_bytes);
    put(header.data() + 20, link_ethernet);
    if (std::fwrite(header.data(), header.size(), 1, writer.file_.get()) != 1)
        return io_error(path, "cannot be written");
    writer.written_ = header.size();
    return writer;
}

Status PcapWriter::write(std::span<const std::uint8_t> frame, std::uint64_t at_ns) {
    const std::size_t kept = std::min<std::size_t>(frame.size(), max_captured_bytes);
    RecordHeader header;
    if (written_ + header.size() + kept > max_bytes_)
        return Error{Errc::limit, path_, {}, "is full at " + std::to_string(max_bytes_) + " bytes"};
    put(header.data(), static_cast<std::uint32_t>(at_ns / ns_per_s));
    put(header.data() + 4, static_cast<std::uint32_t>(at_ns % ns_per_s));
    put(header.data() + 8, static_cast<std::uint32_t>(kept));
    put(header.data() + 12, static_cast<std::uint32_t>(frame.size()));
    const bool written = std::fwrite(header.data(), header.size(), 1, file_.get()) == 1 &&
                         std::fwrite(frame.data(), 1, kept, file_.get()) == kept;
    if (!written) return io_error(path_, "cannot be written");
    written_ += header.size() + kept;
    return {};
}

Status PcapWriter::flush() {
    return std::fflush(file_.get()) == 0 ? Status{} : io_error(path_, "cannot be written");
}

std::uint32_t PcapReader::field(const std::uint8_t* p) const {
    std::uint32_t value;
    std::memcpy(&value, p, 4);
    return swapped_ ? __builtin_bswap32(value) : value;
}

Result<PcapReader> PcapReader::open(const std::string& path) {
    PcapReader reader;
    reader.path_ = path;
    reader.file_.reset(std::fopen(path.c_str(), "rbe"));
    if (!reader.file_) return io_error(path, "cannot be opened");
    FileHeader header;
    if (std::fread(header.data(), header.size(), 1, reader.file_.get()) != 1)
        return Error{Errc::invalid, path, "header", "is shorter than 24 bytes"};
    const std::uint32_t magic = reader.field(header.data());
    reader.swapped_ = magic == __builtin_bswap32(magic_microseconds) ||
                      magic == __builtin_bswap32(magic_nanoseconds);
    const std::uint32_t straight = reader.field(header.data());
    reader.nanoseconds_ = straight == magic_nanoseconds;
    if (!reader.nanoseconds_ && straight != magic_microseconds)
        return Error{Errc::invalid, path, "magic", "is not that of a pcap file"};
    if (reader.field(header.data() + 20) != link_ethernet)
        return Error{Errc::invalid, path, "link type", "is not Ethernet"};
    return reader;
}

Result<bool> PcapReader::next(CapturedFrame& frame) {
    RecordHeader header;
    const std::size_t got = std::fread(header.data(), 1, header.size(), file_.get());
    if (got == 0 && std::feof(file_.get())) return false;
    if (got != header.size()) return Error{Errc::invalid, path_, "record", "is cut off"};
    const std::uint32_t bytes = field(header.data() + 8);
    if (bytes > max_captured_bytes)
        return Error{Errc::invalid, path_, "record", "claims " + std::to_string(bytes) + " bytes"};
    const std::uint64_t fraction = field(header.data() + 4);
    frame.at_ns = field(header.data()) * ns_per_s + fraction * (nanoseconds_ ? 1 : 1000);
    frame.original_bytes = field(header.data() + 12);
    frame.bytes.resize(bytes);
    if (std::fread(frame.bytes.data(), 1, bytes, file_.get()) != bytes)
        return Error{Errc::invalid, path_, "record", "is cut off"};
    return true;
}

}  // namespace weir::net
