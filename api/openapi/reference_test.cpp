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
using testing::Not;

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
    const std::string page = reference_page(*registry.kind("port"), {});
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
    EXPECT_THAT(reference_page(*registry.kind("router"), {}), HasSubstr("\n## interfaces\n\n"));
}

struct Track {
    std::string name;
    static constexpr auto schema() {
        using namespace model;
        return made_resource("track", "Where a train goes.", "weir query HOST tracks",
                             key(&Track::name, "name", "Its name."));
    }
};
struct Signal {
    std::string name;
    static constexpr auto schema() {
        using namespace model;
        return made_resource("signal", "What a train sees.", "",
                             key(&Signal::name, "name", "Its name."));
    }
};

TEST(Reference, SaysWhereToFindWhatWeirMakes) {
    model::Registry registry;
    registry.add<Track>();
    registry.add<Signal>();
    const std::string track = reference_page(*registry.kind("track"), {});
    EXPECT_THAT(track, HasSubstr("\n`weir query HOST tracks` shows them. No store holds them, so "
                                 "`weir get track` lists none and none can be written.\n"));
    EXPECT_THAT(track, Not(HasSubstr("/v1/track")));
    const std::string signal = reference_page(*registry.kind("signal"), {});
    EXPECT_THAT(signal,
                HasSubstr("`weir get signal`, `/v1/signal/{name}`; it can only be read.\n"));
    EXPECT_THAT(signal, Not(HasSubstr("in YAML")));
}

TEST(Reference, ListsEveryKind) {
    const model::Registry registry = core();
    const auto pages = reference_pages(registry, {});
    EXPECT_EQ(pages.size(), registry.kinds().size() + 1);
    for (const model::Kind* kind : registry.kinds())
        EXPECT_THAT(pages.at("README.md"), HasSubstr("](" + std::string(kind->name()) + ".md) | "));
}

TEST(Reference, ExamplesAreValidResources) {
    const model::Registry registry = core();
    Folder folder;
    folder.write("good.yaml",
                 "- {kind: segment, name: web, vni: 5001}\n"
                 "- {kind: segment, name: app, vni: 5002}\n");
    const auto examples = read_examples(registry, {folder.path() + "/good.yaml"});
    ASSERT_TRUE(examples.ok());
    EXPECT_THAT(reference_page(*registry.kind("segment"), *examples),
                HasSubstr("\n## Example\n\n```yaml\nkind: segment\nname: web\nvni: 5001\n```\n"));
    EXPECT_THAT(reference_page(*registry.kind("host"), *examples), Not(HasSubstr("## Example")));

    folder.write("bad.yaml", "- {kind: segment, name: third, vni: 0}\n");
    const auto refused =
        read_examples(registry, {folder.path() + "/good.yaml", folder.path() + "/bad.yaml"});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().object, "segment/third");
}

TEST(Reference, DriftIsFoundAndRepaired) {
    const model::Registry registry = core();
    const auto pages = reference_pages(registry, {});
    Folder folder;
    EXPECT_EQ(reference_drift(pages, folder.path()).size(), registry.kinds().size() + 1);
    ASSERT_TRUE(write_reference(pages, folder.path()).ok());
    EXPECT_THAT(reference_drift(pages, folder.path()), IsEmpty());

    folder.write("port.md", "nothing");
    folder.write("by-hand.md", "# Not ours\n");
    folder.write("gone.md", reference_page(*registry.kind("host"), {}));
    std::filesystem::remove(folder.path() + "/group.md");
    EXPECT_THAT(
        reference_drift(pages, folder.path()),
        ElementsAre("group.md is missing", "port.md is out of date", "gone.md describes no kind"));
    ASSERT_TRUE(write_reference(pages, folder.path()).ok());
    EXPECT_THAT(reference_drift(pages, folder.path()), IsEmpty());
    EXPECT_TRUE(std::filesystem::exists(folder.path() + "/by-hand.md"));
}

TEST(Reference, SaysWhatItCannotWrite) {
    Folder folder;
    folder.write("file", "");
    const Status status =
        write_reference(reference_pages(core(), {}), folder.path() + "/file/below");
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Errc::io);
}

}  // namespace
}  // namespace weir::openapi
