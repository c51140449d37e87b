#include "vault/vault.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>

#include "vault/pool_file.hpp"

namespace weir::vault {

namespace {

constexpr std::size_t max_name_bytes = 63;
constexpr std::size_t max_pool_bytes = std::size_t{1} << 40;

bool good_name(std::string_view name) {
    return !name.empty() && name.size() <= max_name_bytes && name[0] != '.' &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                      c == '.';
           });
}

std::string read_text(int file) {
    std::array<char, 128> buffer{};
    const ssize_t count = ::pread(file, buffer.data(), buffer.size(), 0);
    std::string text(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

Error failed(const std::string& path, const char* what, int error) {
    return {Errc::io, path, {}, std::string(what) + ": " + std::strerror(error)};
}

}  // namespace

const char* text(Adoption adoption) {
    switch (adoption) {
        case Adoption::none:
            return "none";
        case Adoption::created:
            return "created";
        case Adoption::adopted_clean:
            return "adopted_clean";
        case Adoption::adopted_after_crash:
            return "adopted_after_crash";
        case Adoption::shared:
            return "shared";
        case Adoption::discarded_layout:
            return "discarded_layout";
        case Adoption::discarded_boot:
            return "discarded_boot";
        case Adoption::discarded_damaged:
            return "discarded_damaged";
    }
    return "none";
}

std::string read_boot_id() {
    const int file = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    const std::string id = read_text(file);
    ::close(file);
    return id;
}

struct Vault::Content {
    std::string directory;
    std::string boot_id;
    int lock = -1;
    Storage storage = Storage::other;
    std::size_t page_bytes = 4096;
    std::map<std::string, PoolFile, std::less<>> pools;

    Content() = default;
    Content(const Content&) = delete;
    Content& operator=(const Content&) = delete;
    ~Content() {
        pools.clear();
        if (lock >= 0) ::close(lock);
    }
    std::string path(std::string_view name) const {
        return directory + "/" + std::string(name) + ".pool";
    }
    Status take_lock();
    Status look_at_storage();
};

Status Vault::Content::take_lock() {
    const std::string path = directory + "/owner";
    lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) return failed(path, "cannot be opened", errno);
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return failed(path, "cannot be locked", errno);
        const std::string pid = read_text(lock);
        return Error{Errc::conflict, "vault " + directory, "owner",
                     "in use by process " + (pid.empty() ? "(unknown)" : pid)};
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    // hugetlbfs files take no write(); there the owner stays unnamed.
    if (::ftruncate(lock, 0) == 0 && ::pwrite(lock, pid.data(), pid.size(), 0) < 0 &&
        storage != Storage::hugetlbfs)
        return failed(path, "cannot be written", errno);
    return {};
}

Status Vault::Content::look_at_storage() {
    struct statfs info {};
    if (::statfs(directory.c_str(), &info) != 0)
        return failed(directory, "cannot be examined", errno);
    if (info.f_type == TMPFS_MAGIC) storage = Storage::tmpfs;
    if (info.f_type == HUGETLBFS_MAGIC) {
        storage = Storage::hugetlbfs;
        page_bytes = static_cast<std::size_t>(info.f_bsize);
    }
    return {};
}

Vault::Vault(std::unique_ptr<Content> content) : content_(std::move(content)) {}
Vault::Vault(Vault&&) noexcept = default;
Vault& Vault::operator=(Vault&&) noexcept = default;
Vault::~Vault() = default;

Result<Vault> Vault::open(const std::string& directory, std::string boot_id) {
    auto content = std::make_unique<Content>();
    content->directory = directory;
    content->boot_id = boot_id.empty() ? read_boot_id() : std::move(boot_id);
    if (content->boot_id.empty() || content->boot_id.size() > 63)
        return Error{Errc::invalid, "vault " + directory, "boot id", "must have 1 … 63 bytes"};
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        return failed(directory, "cannot be created", errno);
    if (Status status = content->look_at_storage(); !status) return status.error();
    if (Status status = content->take_lock(); !status) return status.error();
    return Vault(std::move(content));
}

Result<Pool> Vault::pool(std::string_view name, std::size_t bytes, std::uint32_t layout_version) {
    const std::string object = "pool " + std::string(name);
    if (content_ == nullptr) return Error{Errc::unavailable, object, {}, "the vault is closed"};
    if (!good_name(name))
        return Error{Errc::invalid, object, "name",
                     "must be 1 … 63 of a-z 0-9 - _ . and not begin with ."};
    if (bytes == 0 || bytes > max_pool_bytes)
        return Error{Errc::invalid, object, "bytes",
                     "must be 1 … " + std::to_string(max_pool_bytes)};
    if (const auto it = content_->pools.find(name); it != content_->pools.end()) {
        PoolFile& there = it->second;
        if (there.header().bytes != bytes || there.header().layout_version != layout_version)
            return Error{Errc::conflict, object, {}, "in use with another size or layout"};
        return Pool{there.memory(), Adoption::shared};
    }
    const PoolWish wish{name, bytes, layout_version, content_->boot_id, content_->page_bytes};
    Adoption adoption = Adoption::none;
    Result<PoolFile> file = PoolFile::open(content_->path(name), wish, adoption);
    if (!file) return file.error();
    PoolFile& pool = content_->pools[std::string(name)] = std::move(*file);
    return Pool{pool.memory(), adoption};
}

Status Vault::destroy(std::string_view name) {
    const auto it = content_ ? content_->pools.find(name) : decltype(content_->pools.end()){};
    if (content_ == nullptr || it == content_->pools.end())
        return Error{Errc::not_found, "pool " + std::string(name), {}, "not held by this process"};
    const std::string path = content_->path(name);
    content_->pools.erase(it);
    if (::unlink(path.c_str()) != 0) return failed(path, "cannot be removed", errno);
    return {};
}

void Vault::close() {
    if (content_ == nullptr) return;
    for (auto& [name, pool] : content_->pools) {
        std::atomic_signal_fence(std::memory_order_seq_cst);  // everything in it comes first
        pool.header().clean = 1;
    }
    content_.reset();
}

std::vector<std::string> Vault::pools() const {
    std::vector<std::string> names;
    if (content_ != nullptr)
        for (const auto& [name, pool] : content_->pools) names.push_back(name);
    return names;
}

Storage Vault::storage() const {
    return content_ ? content_->storage : Storage::none;
}

const std::string& Vault::directory() const {
    static const std::string closed;
    return content_ ? content_->directory : closed;
}

}  // namespace weir::vault
