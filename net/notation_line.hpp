#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/packet.hpp"

// Writing a line of packet notation. Used by notation_*.cpp only.
namespace weir::net::notation {

using Bytes = std::vector<std::uint8_t>;

std::string hex_number(std::uint64_t value);  // 0x…

class Line {
public:
    explicit Line(std::string_view first) : text_(first) {}

    void word(std::string_view word);
    void pair(std::string_view key, std::string_view value);
    void number(std::string_view key, std::uint64_t value);
    void number_unless(std::string_view key, std::uint64_t value, std::uint64_t usual);
    void hex(std::string_view key, std::span<const std::uint8_t> bytes);
    // len= where the bytes count 0 1 2 …, data= where they are few, else len= and crc=.
    void payload(std::span<const std::uint8_t> bytes);
    void braced(std::string_view packet);
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

// " vlan=… smac=… dmac=…" of a frame; the second form gives the MACs that a built frame does not
// have.
std::string link_words(std::span<const std::uint8_t> frame, bool src, bool dst);
std::string unusual_link_words(std::span<const std::uint8_t> frame);

// `cut`: the end of the frame is made up, so its checksum says nothing.
std::string describe_at_depth(std::span<const std::uint8_t> frame, unsigned depth, bool cut);

// "geneve …" and "nsh …" with what is inside; empty if the packet (parsed) is neither, or carries
// options that the notation has no words for.
std::string describe_service(const Packet&, unsigned depth);

}  // namespace weir::net::notation
