#include "vault/pool_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace weir::vault {

namespace {

class File {
public:
    explicit File(int number) : number_(number) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (number_ >= 0) ::close(number_);
    }
    int number() const { return number_; }

private:
    int number_;
};

Error failed(const std::string& path, const char* what, int error) {
    return {Errc::io, path, {}, std::string(what) + ": " + std::strerror(error)};
}

template <std::size_t N>
bool equals(const std::array<char, N>& field, std::string_view text) {
    return text.size() < N && std::string_view(field.data(), ::strnlen(field.data(), N)) == text;
}

// Why the file cannot be adopted as it is; Adoption::none if it can.
Adoption objection(const PoolHeader& header, std::size_t file_bytes, const PoolWish& wish) {
    if (header.magic != pool_magic) return Adoption::discarded_damaged;
    if (header.header_version != pool_header_version) return Adoption::discarded_layout;
    if (header.checksum != checksum_of(header) || !equals(header.name, wish.name))
        return Adoption::discarded_damaged;
    if (!equals(header.boot_id, wish.boot_id)) return Adoption::discarded_boot;
    if (header.layout_version != wish.layout_version || header.bytes != wish.bytes)
        return Adoption::discarded_layout;
    if (file_bytes != wish.file_bytes()) return Adoption::discarded_damaged;
    return Adoption::none;
}

PoolHeader header_for(const PoolWish& wish) {
    PoolHeader header;
    header.magic = pool_magic;
    header.header_version = pool_header_version;
    header.layout_version = wish.layout_version;
    header.bytes = wish.bytes;
    wish.name.copy(header.name.data(), header.name.size() - 1);
    wish.boot_id.copy(header.boot_id.data(), header.boot_id.size() - 1);
    header.checksum = checksum_of(header);
    return header;
}

// posix_fallocate would write zeros where a file system cannot reserve; this one says so.
int reserve(int file, std::size_t bytes) {
    int result;
    do {
        result = ::fallocate(file, 0, 0, static_cast<off_t>(bytes));
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

}  // namespace

std::uint32_t checksum_of(const PoolHeader& header) {
    // FNV-1a; damage is what it is for, not malice.
    std::uint32_t state = 2166136261u;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&header);
    for (std::size_t i = 0; i < offsetof(PoolHeader, checksum); ++i)
        state = (state ^ bytes[i]) * 16777619u;
    return state;
}

PoolFile::PoolFile(PoolFile&& other) noexcept
    : map_(std::exchange(other.map_, {})), bytes_(other.bytes_) {}
PoolFile& PoolFile::operator=(PoolFile&& other) noexcept {
    std::swap(map_, other.map_);
    std::swap(bytes_, other.bytes_);
    return *this;
}
PoolFile::~PoolFile() {
    if (!map_.empty()) ::munmap(map_.data(), map_.size());
}

// Every page of a small pool is made present now: a worker never waits for one. A large one is
// reserved, so that touching it cannot fail, but clearing gigabytes would keep a host from coming
// up: its pages come as they are used, a fraction of a microsecond each, once.
Status PoolFile::map(int file, const std::string& path, std::size_t file_bytes) {
    constexpr std::size_t largest_populated = std::size_t{64} << 20;
    const int populate = file_bytes <= largest_populated ? MAP_POPULATE : 0;
    void* at = ::mmap(nullptr, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | populate, file, 0);
    if (at == MAP_FAILED) return failed(path, "cannot be mapped", errno);
    map_ = {static_cast<std::byte*>(at), file_bytes};
    return {};
}

Result<PoolFile> PoolFile::open(const std::string& path, const PoolWish& wish, Adoption& adoption) {
    PoolFile pool;
    pool.bytes_ = wish.bytes;
    adoption = Adoption::created;
    const File old(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (old.number() < 0 && errno != ENOENT) return failed(path, "cannot be opened", errno);
    if (old.number() >= 0) {
        struct stat info {};
        if (::fstat(old.number(), &info) != 0) return failed(path, "cannot be examined", errno);
        const auto file_bytes = static_cast<std::size_t>(info.st_size);
        adoption = Adoption::discarded_damaged;
        if (file_bytes >= wish.page_bytes && file_bytes >= pool_header_bytes) {
            // Mapped rather than read: hugetlbfs files cannot be read on every kernel.
            if (Status status = pool.map(old.number(), path, file_bytes); !status)
                return status.error();
            adoption = objection(pool.header(), file_bytes, wish);
        }
        if (adoption == Adoption::none) {
            adoption =
                pool.header().clean == 1 ? Adoption::adopted_clean : Adoption::adopted_after_crash;
            ++pool.header().adoptions;
            pool.header().clean = 0;
            pool.header().owner_pid = static_cast<std::uint32_t>(::getpid());
            return pool;
        }
        pool = PoolFile();
        pool.bytes_ = wish.bytes;
    }

    const std::string draft = path + ".new";
    ::unlink(draft.c_str());
    const File fresh(
        ::open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fresh.number() < 0) return failed(draft, "cannot be created", errno);
    if (old.number() >= 0) ::unlink(path.c_str());  // its memory is needed
    const int error = reserve(fresh.number(), wish.file_bytes());
    if (error != 0) {
        ::unlink(draft.c_str());
        return failed(path, ("no room for " + std::to_string(wish.file_bytes()) + " bytes").c_str(),
                      error);
    }
    if (Status status = pool.map(fresh.number(), draft, wish.file_bytes()); !status) {
        ::unlink(draft.c_str());
        return status.error();
    }
    pool.header() = header_for(wish);
    pool.header().owner_pid = static_cast<std::uint32_t>(::getpid());
    if (::rename(draft.c_str(), path.c_str()) != 0) {
        const int why = errno;
        ::unlink(draft.c_str());
        return failed(path, "cannot be put in place", why);
    }
    return pool;
}

}  // namespace weir::vault
