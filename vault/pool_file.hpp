#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "vault/vault.hpp"

// One pool as a file: a page of header, then the memory. README.md draws it.
namespace weir::vault {

inline constexpr std::uint64_t pool_magic = 0x31544c5541565257;  // "WRVAULT1"
inline constexpr std::uint32_t pool_header_version = 1;
inline constexpr std::size_t pool_header_bytes = 4096;

struct PoolHeader {
    // checked when the pool is adopted
    std::uint64_t magic = 0;
    std::uint32_t header_version = 0;
    std::uint32_t layout_version = 0;
    std::uint64_t bytes = 0;  // of the memory behind the header
    std::array<char, 64> name{};
    std::array<char, 64> boot_id{};
    std::uint32_t checksum = 0;  // over everything above
    // moves
    std::uint32_t clean = 0;      // 1: closed in order
    std::uint32_t owner_pid = 0;  // last owner
    std::uint32_t adoptions = 0;
};
static_assert(sizeof(PoolHeader) <= pool_header_bytes);

std::uint32_t checksum_of(const PoolHeader&);

// What a pool must be to be adopted.
struct PoolWish {
    std::string_view name;
    std::size_t bytes = 0;
    std::uint32_t layout_version = 0;
    std::string_view boot_id;
    std::size_t page_bytes = 4096;  // of the file system

    std::size_t file_bytes() const {
        return (pool_header_bytes + bytes + page_bytes - 1) / page_bytes * page_bytes;
    }
};

// A mapped pool file.
class PoolFile {
public:
    // Adopts the file if it is what is wished for, else makes a new one in its place. Only a
    // complete file ever has the name: a kill in between leaves the old one, or none.
    static Result<PoolFile> open(const std::string& path, const PoolWish& wish, Adoption& adoption);

    PoolFile() = default;
    PoolFile(PoolFile&& other) noexcept;
    PoolFile& operator=(PoolFile&& other) noexcept;
    ~PoolFile();

    PoolHeader& header() { return *reinterpret_cast<PoolHeader*>(map_.data()); }
    const PoolHeader& header() const { return *reinterpret_cast<const PoolHeader*>(map_.data()); }
    std::span<std::byte> memory() { return map_.subspan(pool_header_bytes, bytes_); }

private:
    Status map(int file, const std::string& path, std::size_t file_bytes);
    std::span<std::byte> map_;
    std::size_t bytes_ = 0;  // of the memory; what the header says is looked at once
};

}  // namespace weir::vault
