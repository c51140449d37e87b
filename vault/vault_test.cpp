#include "vault/vault.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "vault/pool_file.hpp"

namespace weir::vault {
namespace {

// A directory on tmpfs (or wherever temporary files go), removed at the end.
struct Directory {
    Directory() {
        const bool tmpfs = ::access("/dev/shm", W_OK) == 0;
        std::string pattern = std::string(tmpfs ? "/dev/shm" : "/tmp") + "/weir-vault-XXXXXX";
        path = ::mkdtemp(pattern.data());
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string file(const std::string& name) const { return path + "/" + name + ".pool"; }
    std::string path;
};

Vault open(const Directory& directory, const std::string& boot = {}) {
    Result<Vault> vault = Vault::open(directory.path, boot);
    EXPECT_TRUE(vault) << vault.error().text();
    return std::move(*vault);
}

// Runs `body` in a child process; its result is the exit code.
int in_child(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void fill(const Pool& pool, int value) {
    std::memset(pool.memory.data(), value, pool.memory.size());
}
bool holds(const Pool& pool, int value) {
    return std::all_of(pool.memory.begin(), pool.memory.end(),
                       [&](std::byte b) { return b == static_cast<std::byte>(value); });
}

TEST(Vault, NewPoolIsZeroedAlignedAndAsLongAsAskedFor) {
    Directory directory;
    Vault vault = open(directory);
    for (std::size_t bytes : {std::size_t{1}, std::size_t{4096}, std::size_t{1'000'001}}) {
        Result<Pool> pool = vault.pool("flows-" + std::to_string(bytes), bytes, 1);
        ASSERT_TRUE(pool) << pool.error().text();
        EXPECT_EQ(pool->adoption, Adoption::created);
        EXPECT_EQ(pool->memory.size(), bytes);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pool->memory.data()) % 64, 0u);
        EXPECT_TRUE(holds(*pool, 0));
    }
    EXPECT_EQ(vault.pools().size(), 3u);
}

TEST(Vault, OrderlyCloseIsAdoptedClean) {
    Directory directory;
    Vault first = open(directory);
    fill(*first.pool("flows-0", 10'000, 1), 7);
    first.close();
    EXPECT_FALSE(first.pool("flows-0", 10'000, 1)) << "closed is closed";

    Vault second = open(directory);
    Result<Pool> pool = second.pool("flows-0", 10'000, 1);
    EXPECT_EQ(pool->adoption, Adoption::adopted_clean);
    EXPECT_TRUE(holds(*pool, 7));
}

TEST(Vault, ContentSurvivesAKilledOwner) {
    Directory directory;
    const int status = in_child([&] {
        Vault vault = open(directory);
        fill(*vault.pool("flows-0", 10'000, 1), 9);
        return ::kill(::getpid(), SIGKILL);
    });
    ASSERT_EQ(status, -SIGKILL);
    Vault vault = open(directory);
    Result<Pool> pool = vault.pool("flows-0", 10'000, 1);
    EXPECT_EQ(pool->adoption, Adoption::adopted_after_crash);
    EXPECT_TRUE(holds(*pool, 9));
}

TEST(Vault, DestructionWithoutCloseCountsAsCrash) {
    Directory directory;
    { EXPECT_TRUE(open(directory).pool("flows-0", 100, 1)); }
    EXPECT_EQ(open(directory).pool("flows-0", 100, 1)->adoption, Adoption::adopted_after_crash);
    // Adopting alone does not make it clean.
    EXPECT_EQ(open(directory).pool("flows-0", 100, 1)->adoption, Adoption::adopted_after_crash);
}

TEST(Vault, TwoProcessesCannotOwnOneVault) {
    Directory directory;
    Vault mine = open(directory);
    const std::string me = std::to_string(::getpid());
    const int status = in_child([&] {
        const Result<Vault> theirs = Vault::open(directory.path);
        if (theirs.ok() || theirs.error().code != Errc::conflict) return 1;
        return theirs.error().text().find("process " + me) != std::string::npos ? 0 : 2;
    });
    EXPECT_EQ(status, 0);
    EXPECT_FALSE(Vault::open(directory.path)) << "nor can one process twice";
    mine.close();
    EXPECT_TRUE(Vault::open(directory.path));
}

TEST(Vault, OwnershipEndsWithTheProcess) {
    Directory directory;
    ASSERT_EQ(in_child([&] {
                  Vault vault = open(directory);
                  return ::kill(::getpid(), SIGKILL);
              }),
              -SIGKILL);
    EXPECT_TRUE(Vault::open(directory.path));
}

TEST(Vault, SamePoolTwiceIsShared) {
    Directory directory;
    Vault vault = open(directory);
    Result<Pool> first = vault.pool("flows-0", 100, 1);
    Result<Pool> second = vault.pool("flows-0", 100, 1);
    EXPECT_EQ(second->adoption, Adoption::shared);
    EXPECT_EQ(second->memory.data(), first->memory.data());
    EXPECT_EQ(vault.pool("flows-0", 101, 1).error().code, Errc::conflict);
    EXPECT_EQ(vault.pool("flows-0", 100, 2).error().code, Errc::conflict);
}

TEST(Vault, OtherLayoutOrSizeIsDiscarded) {
    Directory directory;
    { fill(*open(directory).pool("flows-0", 100, 1), 5); }
    {
        Vault vault = open(directory);
        Result<Pool> pool = vault.pool("flows-0", 100, 2);
        EXPECT_EQ(pool->adoption, Adoption::discarded_layout);
        EXPECT_TRUE(holds(*pool, 0));
        fill(*pool, 6);
    }
    Vault vault = open(directory);
    Result<Pool> pool = vault.pool("flows-0", 8192, 2);
    EXPECT_EQ(pool->adoption, Adoption::discarded_layout);
    EXPECT_EQ(pool->memory.size(), 8192u);
    EXPECT_TRUE(holds(*pool, 0));
}

TEST(Vault, ContentFromBeforeAHostRestartIsDiscarded) {
    Directory directory;
    { fill(*open(directory, "boot-1").pool("flows-0", 100, 1), 5); }
    Vault vault = open(directory, "boot-2");
    Result<Pool> pool = vault.pool("flows-0", 100, 1);
    EXPECT_EQ(pool->adoption, Adoption::discarded_boot);
    EXPECT_TRUE(holds(*pool, 0));
}

TEST(Vault, RunningKernelHasABootId) {
    EXPECT_EQ(read_boot_id().size(), 36u);
}

TEST(Vault, TruncatedFileIsDiscarded) {
    for (const std::uintmax_t bytes : {0u, 1u, 4000u, 4096u, 8000u}) {
        Directory directory;
        { fill(*open(directory).pool("flows-0", 10'000, 1), 5); }
        std::filesystem::resize_file(directory.file("flows-0"), bytes);
        Vault vault = open(directory);
        Result<Pool> pool = vault.pool("flows-0", 10'000, 1);
        ASSERT_TRUE(pool) << pool.error().text();
        EXPECT_EQ(pool->adoption, Adoption::discarded_damaged) << bytes;
        EXPECT_EQ(pool->memory.size(), 10'000u);
        EXPECT_TRUE(holds(*pool, 0));
    }
}

TEST(Vault, EveryDamagedHeaderByteIsNoticed) {
    for (std::size_t at = 0; at < offsetof(PoolHeader, clean); ++at) {
        Directory directory;
        { fill(*open(directory).pool("flows-0", 100, 1), 5); }
        {
            std::fstream file(directory.file("flows-0"),
                              std::ios::in | std::ios::out | std::ios::binary);
            file.seekg(static_cast<std::streamoff>(at));
            const int byte = file.get();
            file.seekp(static_cast<std::streamoff>(at));
            file.put(static_cast<char>(byte ^ 0x40));
        }
        Result<Vault> vault = Vault::open(directory.path);
        Result<Pool> pool = vault->pool("flows-0", 100, 1);
        ASSERT_TRUE(pool);
        const bool header_version = at >= 8 && at < 12;
        EXPECT_EQ(pool->adoption,
                  header_version ? Adoption::discarded_layout : Adoption::discarded_damaged)
            << "byte " << at;
        EXPECT_TRUE(holds(*pool, 0));
    }
}

TEST(Vault, DestroyedPoolIsGone) {
    Directory directory;
    Vault vault = open(directory);
    fill(*vault.pool("flows-0", 100, 1), 5);
    EXPECT_TRUE(vault.destroy("flows-0"));
    EXPECT_FALSE(std::filesystem::exists(directory.file("flows-0")));
    EXPECT_EQ(vault.destroy("flows-0").error().code, Errc::not_found);
    Result<Pool> pool = vault.pool("flows-0", 200, 2);
    EXPECT_EQ(pool->adoption, Adoption::created) << "the name is free for another size";
    EXPECT_TRUE(holds(*pool, 0));
}

TEST(Vault, BadWishesAreRefusedByName) {
    Directory directory;
    Vault vault = open(directory);
    for (const char* name : {"", ".hidden", "../escape", "Upper", "a/b"})
        EXPECT_EQ(vault.pool(name, 100, 1).error().field, "name") << name;
    EXPECT_EQ(vault.pool(std::string(64, 'x'), 100, 1).error().field, "name");
    EXPECT_TRUE(vault.pool(std::string(63, 'x'), 100, 1));
    EXPECT_EQ(vault.pool("flows-0", 0, 1).error().field, "bytes");
    EXPECT_EQ(vault.pool("flows-0", std::size_t{1} << 50, 1).error().field, "bytes");
    EXPECT_EQ(Vault::open(directory.path + "/not/there").error().code, Errc::io);
    EXPECT_EQ(Vault::open(directory.path + "x", std::string(64, 'b')).error().field, "boot id");
}

TEST(Vault, NoRoomIsAnErrorAndNotALaterFault) {
    Directory directory;
    Vault vault = open(directory);
    const Result<Pool> pool = vault.pool("flows-0", std::size_t{1} << 40, 1);
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.error().code, Errc::io);
    EXPECT_NE(pool.error().text().find("no room"), std::string::npos) << pool.error().text();
    EXPECT_FALSE(std::filesystem::exists(directory.file("flows-0")));
    EXPECT_FALSE(std::filesystem::exists(directory.file("flows-0") + ".new"));
}

TEST(Vault, ALinkInPlaceOfAPoolIsNotFollowed) {
    Directory directory;
    Vault vault = open(directory);
    const std::string target = directory.path + "/target";
    std::ofstream(target) << "precious";
    std::filesystem::create_symlink(target, directory.file("flows-0"));
    EXPECT_EQ(vault.pool("flows-0", 100, 1).error().code, Errc::io);
    EXPECT_EQ(std::filesystem::file_size(target), 8u);
}

TEST(Vault, KnowsWhatItLiesOn) {
    Directory directory;
    Vault vault = open(directory);
    const bool shm = directory.path.starts_with("/dev/shm");
    EXPECT_EQ(vault.storage(), shm ? Storage::tmpfs : Storage::other);
}

}  // namespace
}  // namespace weir::vault
