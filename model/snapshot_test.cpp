#include "model/snapshot.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "model/core_resources.hpp"

namespace weir::model {
namespace {

Segment segment(std::string name, std::uint32_t vni) {
    Segment s;
    s.name = std::move(name);
    s.vni = vni;
    return s;
}

TEST(Snapshot, PutsFindsAndErases) {
    Snapshot snapshot;
    EXPECT_TRUE(snapshot.all<Segment>().empty());
    EXPECT_EQ(snapshot.find<Segment>("blue"), nullptr);
    snapshot.put(segment("red", 2));
    snapshot.put(segment("blue", 1));
    EXPECT_EQ(snapshot.find<Segment>("blue")->vni, 1u);
    EXPECT_EQ(snapshot.all<Segment>().begin()->first, "blue");
    snapshot.put(segment("blue", 7));
    EXPECT_EQ(snapshot.find(Ref<Segment>("blue"))->vni, 7u);
    EXPECT_EQ(snapshot.find(Ref<Segment>()), nullptr);
    EXPECT_EQ(snapshot.size(), 2u);
    EXPECT_TRUE(snapshot.erase<Segment>("blue"));
    EXPECT_FALSE(snapshot.erase<Segment>("blue"));
    EXPECT_FALSE(snapshot.erase<Host>("blue"));
    EXPECT_EQ(snapshot.size(), 1u);
}

TEST(Snapshot, CopiesShareTablesUntilOneChanges) {
    Snapshot first;
    first.put(segment("blue", 1));
    first.put(Host{});
    Snapshot second = first;
    EXPECT_TRUE(second.shares<Segment>(first));
    EXPECT_EQ(first.find<Segment>("blue"), second.find<Segment>("blue"));
    second.put(segment("red", 2));
    EXPECT_FALSE(second.shares<Segment>(first));
    EXPECT_TRUE(second.shares<Host>(first));
    EXPECT_EQ(first.all<Segment>().size(), 1u);
    EXPECT_EQ(second.all<Segment>().size(), 2u);
    first.erase<Segment>("blue");
    EXPECT_NE(second.find<Segment>("blue"), nullptr);
}

TEST(Snapshot, ErasingWhatIsNotThereCopiesNothing) {
    Snapshot first;
    first.put(segment("blue", 1));
    Snapshot second = first;
    second.erase<Segment>("red");
    EXPECT_TRUE(second.shares<Segment>(first));
}

TEST(Snapshot, ATableWithoutRowsIsLikeNoTable) {
    Snapshot first, second;
    first.put(segment("blue", 1));
    first.erase<Segment>("blue");
    EXPECT_TRUE(first.shares<Segment>(second));
    EXPECT_TRUE(first.empty());
}

TEST(Snapshot, ReadersKeepTheirsWhileAWriterGoesOn) {
    Snapshot writer;
    writer.put(segment("blue", 0));
    for (std::uint32_t i = 1; i <= 200; ++i) {
        std::thread reader(
            [published = writer, i] { EXPECT_EQ(published.find<Segment>("blue")->vni, i - 1); });
        writer.put(segment("blue", i));
        reader.join();
    }
    EXPECT_EQ(writer.find<Segment>("blue")->vni, 200u);
}

}  // namespace
}  // namespace weir::model
