#include "cluster/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "cluster/sqlite.hpp"

namespace weir::cluster {
namespace {

using testing::ElementsAre;

class Folder {
public:
    Folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "weir-store-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name = "store.db") const { return path_ + "/" + name; }

private:
    std::string path_;
};

std::unique_ptr<Store> open(const std::string& path, StoreOptions options = {}) {
    auto store = open_sqlite(path, options);
    EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error().text());
    return store.ok() ? *std::move(store) : nullptr;
}

StoredResource segment(const std::string& name, int vni) {
    return {"segment", name, "{\"vni\":" + std::to_string(vni) + "}"};
}

std::uint64_t put(Store& store, std::uint64_t expected, std::vector<StoredResource> puts) {
    const auto revision = store.commit(expected, puts, {});
    EXPECT_TRUE(revision.ok()) << (revision.ok() ? "" : revision.error().text());
    return revision.ok() ? *revision : 0;
}

TEST(Store, StartsEmptyAtRevisionZero) {
    auto store = open(":memory:");
    const auto contents = store->load();
    ASSERT_TRUE(contents.ok());
    EXPECT_EQ(contents->revision, 0u);
    EXPECT_TRUE(contents->resources.empty());
}

TEST(Store, KeepsResourcesAndRevisionOverRestarts) {
    Folder folder;
    {
        auto store = open(folder.file());
        EXPECT_EQ(put(*store, 0, {segment("blue", 1), {"host", "h1", "{}"}}), 1u);
        EXPECT_EQ(put(*store, 1, {segment("blue", 2)}), 2u);
    }
    auto store = open(folder.file());
    auto contents = store->load();
    ASSERT_TRUE(contents.ok());
    EXPECT_EQ(contents->revision, 2u);
    EXPECT_THAT(contents->resources,
                ElementsAre(StoredResource{"host", "h1", "{}"}, segment("blue", 2)));
    EXPECT_EQ(put(*store, 2, {segment("red", 3)}), 3u);
}

TEST(Store, RevisionGrowsAlsoWhenEverythingIsDeleted) {
    Folder folder;
    auto store = open(folder.file());
    put(*store, 0, {segment("blue", 1)});
    const auto revision = store->commit(1, {}, {{"segment", "blue"}});
    ASSERT_TRUE(revision.ok());
    EXPECT_EQ(*revision, 2u);
    store = open(folder.file());
    EXPECT_EQ(store->load()->revision, 2u);
    EXPECT_TRUE(store->load()->resources.empty());
}

TEST(Store, RefusesAnotherExpectedRevision) {
    auto store = open(":memory:");
    put(*store, 0, {segment("blue", 1)});
    const auto late = store->commit(0, {segment("blue", 9)}, {});
    ASSERT_FALSE(late.ok());
    EXPECT_EQ(late.error().code, Errc::conflict);
    EXPECT_EQ(late.error().message, "expected 0, the newest is 1");
    EXPECT_THAT(store->load()->resources, ElementsAre(segment("blue", 1)));
}

TEST(Store, NothingAskedIsNoNewRevision) {
    auto store = open(":memory:");
    put(*store, 0, {segment("blue", 1)});
    EXPECT_EQ(*store->commit(1, {}, {}), 1u);
    EXPECT_EQ(store->history()->size(), 1u);
}

TEST(Store, ACommitIsWholeOrNothing) {
    auto store = open(":memory:");
    put(*store, 0, {segment("blue", 1)});
    const auto missing = store->commit(1, {segment("red", 2)}, {{"segment", "green"}});
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_EQ(missing.error().object, "segment/green");
    EXPECT_EQ(store->load()->revision, 1u);
    EXPECT_THAT(store->load()->resources, ElementsAre(segment("blue", 1)));
}

TEST(Store, RefusesNamesThatAreNoneAndWritesOfOneTwice) {
    auto store = open(":memory:");
    const auto path = store->commit(0, {{"segment", "../x", "{}"}}, {});
    ASSERT_FALSE(path.ok());
    EXPECT_EQ(path.error().code, Errc::invalid);
    const auto twice = store->commit(0, {segment("blue", 1)}, {{"segment", "blue"}});
    ASSERT_FALSE(twice.ok());
    EXPECT_EQ(twice.error().text(), "segment/blue: is written twice");
    EXPECT_EQ(store->load()->revision, 0u);
}

TEST(Store, HistoryLeadsBackAndIsBounded) {
    auto store = open(":memory:", {.history_limit = 3});
    put(*store, 0, {segment("blue", 1)});
    put(*store, 1, {segment("blue", 2), segment("red", 20)});
    ASSERT_TRUE(store->commit(2, {segment("green", 30)}, {{"segment", "red"}}, "by hand").ok());
    EXPECT_THAT(store->load_at(0)->resources, ElementsAre());
    EXPECT_THAT(store->load_at(1)->resources, ElementsAre(segment("blue", 1)));
    EXPECT_THAT(store->load_at(2)->resources, ElementsAre(segment("blue", 2), segment("red", 20)));
    EXPECT_EQ(store->load_at(2)->revision, 2u);

    put(*store, 3, {segment("blue", 4)});
    put(*store, 4, {segment("blue", 5)});
    const auto gone = store->load_at(1);
    ASSERT_FALSE(gone.ok());
    EXPECT_EQ(gone.error().code, Errc::not_found);
    EXPECT_EQ(gone.error().message, "1 is not kept; 2 to 5 are");
    EXPECT_EQ(store->load_at(6).error().code, Errc::not_found);
    EXPECT_THAT(store->load_at(2)->resources, ElementsAre(segment("blue", 2), segment("red", 20)));
    const auto history = store->history();
    ASSERT_EQ(history->size(), 3u);
    EXPECT_EQ(history->front().revision, 5u);
    EXPECT_EQ(history->back().note, "by hand");
    EXPECT_EQ(history->back().touched, 2u);
}

TEST(Store, LoadAtEqualsWhatLoadSaidThen) {
    std::mt19937 random(7);
    auto store = open(":memory:");
    std::vector<Contents> seen{*store->load()};
    for (int i = 0; i < 60; ++i) {
        std::vector<StoredResource> puts;
        std::vector<model::ResourceKey> deletes;
        for (int k = 0; k < 8; ++k) {
            const std::string name = "s" + std::to_string(k);
            const bool is_there = std::ranges::any_of(
                seen.back().resources, [&](const auto& r) { return r.name == name; });
            const auto dice = random() % 4;
            if (dice == 0) puts.push_back(segment(name, i));
            if (dice == 1 && is_there) deletes.push_back({"segment", name});
        }
        ASSERT_TRUE(store->commit(seen.back().revision, puts, deletes).ok());
        if (!puts.empty() || !deletes.empty()) seen.push_back(*store->load());
    }
    ASSERT_GT(seen.size(), 30u);
    for (const Contents& then : seen) {
        const auto now = store->load_at(then.revision);
        ASSERT_TRUE(now.ok());
        EXPECT_EQ(now->resources, then.resources) << "revision " << then.revision;
    }
}

TEST(Store, TwoOpenersOfOneFileNeverOverwriteEachOther) {
    Folder folder;
    open(folder.file());
    auto add = [&](const std::string& who) {
        auto store = open(folder.file());
        for (int done = 0; done < 40;) {
            const std::uint64_t revision = store->load()->revision;
            const auto committed =
                store->commit(revision, {segment(who + std::to_string(done), done + 1)}, {});
            if (committed.ok()) {
                ++done;
            } else {
                ASSERT_EQ(committed.error().code, Errc::conflict) << committed.error().text();
            }
        }
    };
    std::thread first(add, "a"), second(add, "b");
    first.join();
    second.join();
    auto store = open(folder.file());
    EXPECT_EQ(store->load()->revision, 80u);
    EXPECT_EQ(store->load()->resources.size(), 80u);
}

// Commits until it is killed, telling every answered revision through the pipe.
[[noreturn]] void commit_for_ever(const std::string& path, int pipe) {
    auto store = open_sqlite(path);
    if (!store.ok()) ::_exit(1);
    std::uint64_t revision = (*store)->load()->revision;
    while (true) {
        const std::string text = std::to_string(revision + 1);
        const auto next =
            (*store)->commit(revision, {{"segment", "a", text}, {"segment", "b", text}}, {});
        if (!next.ok()) ::_exit(2);
        revision = *next;
        if (::write(pipe, &revision, sizeof revision) != sizeof revision) ::_exit(3);
    }
}

TEST(Store, AKillLosesNothingThatWasAnswered) {
    Folder folder;
    std::mt19937 random(11);
    std::uint64_t answered = 0;
    for (int round = 0; round < 12; ++round) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) commit_for_ever(folder.file(), ends[1]);
        ::close(ends[1]);
        const std::uint64_t until = answered + 1 + random() % 40;
        std::uint64_t told = 0;
        while (told < until && ::read(ends[0], &told, sizeof told) == sizeof told) {
        }
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFSIGNALED(status));
        while (::read(ends[0], &told, sizeof told) == sizeof told) {
        }
        ::close(ends[0]);
        answered = told;

        auto store = open(folder.file());
        const auto contents = store->load();
        ASSERT_TRUE(contents.ok());
        EXPECT_GE(contents->revision, answered);
        EXPECT_LE(contents->revision, answered + 1);
        ASSERT_EQ(contents->resources.size(), 2u);
        for (const auto& resource : contents->resources)
            EXPECT_EQ(resource.json, std::to_string(contents->revision));
        answered = contents->revision;
    }
}

TEST(Store, FileIsForItsOwnerOnly) {
    Folder folder;
    put(*open(folder.file()), 0, {segment("blue", 1)});
    struct stat status {};
    ASSERT_EQ(::stat(folder.file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(Store, SaysWhatIsWrongWithAFile) {
    Folder folder;
    const auto nowhere = open_sqlite(folder.file("no/such/store.db"));
    ASSERT_FALSE(nowhere.ok());
    EXPECT_EQ(nowhere.error().code, Errc::io);

    std::ofstream(folder.file("text.db")) << std::string(4096, 'x');
    const auto text = open_sqlite(folder.file("text.db"));
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().object, folder.file("text.db"));

    Database other;
    ASSERT_TRUE(other.open(folder.file("other.db"), 0).ok());
    ASSERT_TRUE(other.execute("CREATE TABLE t(a)").ok());
    const auto foreign = open_sqlite(folder.file("other.db"));
    ASSERT_FALSE(foreign.ok());
    EXPECT_EQ(foreign.error().message, "the file is a database of something else");

    open(folder.file("newer.db"));
    Database newer;
    ASSERT_TRUE(newer.open(folder.file("newer.db"), 1000).ok());
    ASSERT_TRUE(newer.execute("PRAGMA user_version=999").ok());
    const auto refused = open_sqlite(folder.file("newer.db"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Errc::invalid);
}

}  // namespace
}  // namespace weir::cluster
