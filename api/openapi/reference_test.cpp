#include "api/openapi/reference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "model/core_resources.hpp"

namespace weir::openapi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

model::Registry core() {
    model::Registry registry;
    model::add_core_kinds(registry);
    return registry;
}

class Folder {
public:
    Folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "weir-pages-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    const std::string& path() const { return path_; }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ + "/" + name) << text;
    }

private:
    std::string path_;
};

TEST(Reference, SaysEverythingAboutAField) {
    const model::Registry registry = core();
    const std::string page = reference_page(*registry.kind("port"));
    EXPECT_THAT(page, HasSubstr("# port\n\nWhere a guest or a service node is connected.\n"));
    EXPECT_THAT(page, HasSubstr("| `name` | text | required | at most 63 bytes: `a-z 0-9 - .` | "
                                "Unique among ports. |\n"));
    EXPECT_THAT(page, HasSubstr("| `host` | name of a [host](host.md) | required |  | "));
    EXPECT_THAT(page, HasSubstr("| `addresses` | list: ip |  | at most 64 entries | "));
    EXPECT_THAT(page, HasSubstr("| `spoof_guard` | `true` or `false` | `true` |  | "));
    EXPECT_THAT(page, HasSubstr("| `mtu` | integer | `0` | 0 – 9200 | Largest IP packet; 0: that "
                                "of the segment. Unit: bytes. |\n"));
    EXPECT_THAT(page, HasSubstr("\n## device\n\n"));
    EXPECT_THAT(page, HasSubstr("| `type` | `none`, `tap`, "));
    EXPECT_THAT(reference_page(*registry.kind("router")), HasSubstr("\n## interfaces\n\n"));
}

TEST(Reference, ListsEveryKind) {
    const model::Registry registry = core();
    const auto pages = reference_pages(registry);
    EXPECT_EQ(pages.size(), registry.kinds().size() + 1);
    for (const model::Kind* kind : registry.kinds())
        EXPECT_THAT(pages.at("README.md"), HasSubstr("](" + std::string(kind->name()) + ".md) | "));
}

TEST(Reference, DriftIsFoundAndRepaired) {
    const model::Registry registry = core();
    Folder folder;
    EXPECT_EQ(reference_drift(registry, folder.path()).size(), registry.kinds().size() + 1);
    ASSERT_TRUE(write_reference(registry, folder.path()).ok());
    EXPECT_THAT(reference_drift(registry, folder.path()), IsEmpty());

    folder.write("port.md", "nothing");
    folder.write("by-hand.md", "# Not ours\n");
    folder.write("gone.md", reference_page(*registry.kind("host")));
    std::filesystem::remove(folder.path() + "/group.md");
    EXPECT_THAT(
        reference_drift(registry, folder.path()),
        ElementsAre("group.md is missing", "port.md is out of date", "gone.md describes no kind"));
    ASSERT_TRUE(write_reference(registry, folder.path()).ok());
    EXPECT_THAT(reference_drift(registry, folder.path()), IsEmpty());
    EXPECT_TRUE(std::filesystem::exists(folder.path() + "/by-hand.md"));
}

TEST(Reference, SaysWhatItCannotWrite) {
    Folder folder;
    folder.write("file", "");
    const Status status = write_reference(core(), folder.path() + "/file/below");
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Errc::io);
}

}  // namespace
}  // namespace weir::openapi
