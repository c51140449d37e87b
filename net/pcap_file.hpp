#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

// Capture files in the classic pcap format, Ethernet, nanosecond timestamps.
namespace weir::net {

inline constexpr std::uint32_t max_captured_bytes = 65535;  // of one frame

struct CapturedFrame {
    std::uint64_t at_ns = 0;           // since 1970
    std::uint32_t original_bytes = 0;  // on the wire; `bytes` may be fewer
    std::vector<std::uint8_t> bytes;
};

// Writes a capture. Files have a bound: frames beyond it are refused, not cut.
class PcapWriter {
public:
    // Replaces the file. `max_bytes` bounds the file as a whole.
    static Result<PcapWriter> create(const std::string& path, std::uint64_t max_bytes = 1ull << 30);

    // Frames above max_captured_bytes are cut. Errc::limit when the file is full, Errc::io when the
    // system refuses; either way the file stays readable.
    Status write(std::span<const std::uint8_t> frame, std::uint64_t at_ns);
    Status flush();
    std::uint64_t bytes_written() const { return written_; }

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, Close> file_;
    std::string path_;
    std::uint64_t written_ = 0;
    std::uint64_t max_bytes_ = 0;
};

// Reads a capture frame by frame: both byte orders, microsecond and nanosecond timestamps.
class PcapReader {
public:
    static Result<PcapReader> open(const std::string& path);

    // False at the end of the file. A record that is cut off or absurdly long is an error.
    Result<bool> next(CapturedFrame& frame);

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::uint32_t field(const std::uint8_t* p) const;

    std::unique_ptr<std::FILE, Close> file_;
    std::string path_;
    bool swapped_ = false;
    bool nanoseconds_ = false;
};

}  // namespace weir::net
