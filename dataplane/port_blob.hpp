#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

// What a port owns, on its way to another host (spec service-plane MB-2): one step of a pass.
//
//   "SPMB" · version u16 · port u8 + name · tenant VNI u32 · count of flow records u32
//   TLV (type u16, length u32, value) … · end: CRC-32C of everything before its value
//   1 section: name u8 + text, then its bytes
//
// Big-endian. TLVs of an unknown type are skipped, and so are sections that nobody at the
// destination knows; another major version (upper byte) is refused.
namespace weir::dataplane {

inline constexpr std::uint32_t port_blob_magic = 0x53504d42;  // "SPMB"
inline constexpr std::uint16_t port_blob_version = 0x0100;
inline constexpr std::size_t max_port_blob_bytes = std::size_t{1} << 20;
inline constexpr std::size_t max_blob_sections = 256;

// "flow.records" are the engine's, "<stage>.<what>" those of a stage.
struct BlobSection {
    std::string name;
    std::vector<std::uint8_t> bytes;
};

struct PortBlob {
    std::string port;
    std::uint32_t vni = 0;
    std::uint32_t count = 0;  // of flow records in it
    std::vector<BlobSection> sections;
};

std::vector<std::uint8_t> encode(const PortBlob& blob);
// The bytes are untrusted; the error names the part that is wrong.
Result<PortBlob> decode_port_blob(std::span<const std::uint8_t> bytes);

}  // namespace weir::dataplane
