#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

// Memory with a name that outlives the process that filled it. See README.md.
namespace weir::vault {

// How a pool came to be what it is.
enum class Adoption : std::uint8_t {
    none = 0,
    created,              // there was none; zeroed
    adopted_clean,        // as the last owner left it when it closed in order
    adopted_after_crash,  // as it was when the last owner died: contents need recovery
    shared,               // this process has it already; the same memory
    discarded_layout,     // there was one of another layout version or size; zeroed
    discarded_boot,       // there was one from before the host started anew; zeroed
    discarded_damaged,    // there was one that is truncated or has a damaged header; zeroed
};

const char* text(Adoption);

enum class Storage : std::uint8_t { none = 0, tmpfs, hugetlbfs, other };

struct Pool {
    std::span<std::byte>
        memory;  // 64-byte aligned, as long as asked for; lives as long as the Vault
    Adoption adoption = Adoption::none;
};

// Named pools in files of one directory, owned by one process at a time.
//
// open() … pool() … close() leaves pools that the next process adopts clean; a process that ends in
// any other way leaves them to be adopted after a crash. Not for several threads at once.
class Vault {
public:
    // Creates the directory if only its last part is missing. Fails with Errc::conflict, naming the
    // process, while another one owns it. `boot_id` tells one start of the host from the next:
    // content refers to CLOCK_MONOTONIC and dies with it. Empty: that of the running kernel.
    static Result<Vault> open(const std::string& directory, std::string boot_id = {});

    Vault(Vault&&) noexcept;
    Vault& operator=(Vault&&) noexcept;
    ~Vault();  // without close(): as if the process had died

    // The pool `name` (1 … 63 of a-z 0-9 - _ .), `bytes` long, whose contents the caller calls
    // `layout_version`. All of it is backed by memory on return: no later access can fail.
    Result<Pool> pool(std::string_view name, std::size_t bytes, std::uint32_t layout_version);

    // Frees a pool of this process and removes its file. Nobody may hold its memory.
    Status destroy(std::string_view name);

    // Marks every pool clean and gives the directory up.
    void close();

    std::vector<std::string> pools() const;  // held by this process
    Storage storage() const;                 // what the directory lies on
    const std::string& directory() const;

private:
    struct Content;
    explicit Vault(std::unique_ptr<Content>);
    std::unique_ptr<Content> content_;
};

// Of the running kernel; empty if it cannot be read.
std::string read_boot_id();

}  // namespace weir::vault
