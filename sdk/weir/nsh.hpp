#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "weir/order.hpp"

// The little of NSH (RFC 8300) that a service node needs to see and may change. Stands alone: a
// vendor links it without anything else of Weir.
namespace weir::service {

inline constexpr std::uint16_t nsh_ethertype = 0x894f;
inline constexpr std::size_t ethernet_bytes = 14;

// What Weir says about a packet (host byte order).
struct Metadata {
    std::uint32_t sci = 0;        // service chain, 24 bits: choose your profile by it
    std::uint32_t spi = 0;        // service path, 24 bits
    std::uint8_t si = 0;          // position on the path, counts down to 0
    std::uint8_t initial_si = 0;  // hops of this direction
    bool reverse = false;         // against the direction in which the flow was opened
    bool copy = false;            // the original goes on without you; never returned
    bool trace = false;
    bool oam = false;               // no guest's packet
    bool live_query = false;        // an answer is owed, whatever the verdict
    bool live_ack = false;          // the answer
    std::uint32_t flow_tag = 0;     // set by whoever came before you, 0 if nobody did
    std::uint8_t md_type = 0;       // 1 or 2; the following come with type 2 only
    std::uint32_t tenant_vni = 0;   // tells tenants with equal addresses apart
    std::uint32_t flow_handle = 0;  // the same for both directions of one flow
};

// Why bytes are not a usable NSH.
enum class NshError : std::uint8_t {
    truncated,
    version,
    length,
    md_type,
    next_protocol,
    no_metadata
};
const char* name(NshError);

// An NSH in place: reads its metadata once, changes only what a node may change (HD-8).
class NshView {
public:
    // `bytes` begins with the NSH; nothing is read beyond it. `error` says why not.
    static std::optional<NshView> parse(std::span<std::uint8_t> bytes, NshError& error);

    const Metadata& metadata() const { return metadata_; }
    std::size_t header_bytes() const { return header_bytes_; }
    // What is behind the header: the guest's frame.
    std::span<std::uint8_t> content() const { return bytes_.subspan(header_bytes_); }

    void set_live_ack();
    // Makes it an OAM packet that consists of headers only (RFC 8393).
    void set_header_only_oam();
    void decrement_si();

    // Bytes that an order adds to the header: none with metadata type 1.
    std::size_t order_bytes() const { return metadata_.md_type == 2 ? 12 : 0; }
    // Writes this NSH with the order to `to` (header_bytes() + order_bytes() long); as an OAM
    // packet if `oam`. `order` is one that an OrderSlip took.
    void write_with(const FlowOrder& order, bool oam, std::span<std::uint8_t> to) const;

private:
    explicit NshView(std::span<std::uint8_t> bytes) : bytes_(bytes) {}
    std::span<std::uint8_t> bytes_;
    std::size_t header_bytes_ = 0;
    std::size_t flags_at_ = 0;  // offset of the 16 flag bits
    Metadata metadata_;
};

}  // namespace weir::service
