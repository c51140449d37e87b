#include "model/move.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"

namespace weir::model {
namespace {

TEST(MoveName, SaysWhatIsMovedAndFitsTheLengthOfNames) {
    EXPECT_EQ(move_name(MoveSubject::port, "g1"), "port.g1");
    EXPECT_EQ(move_name(MoveSubject::service_node, "n1"), "service-node.n1");
    const std::string a(limits::max_name_bytes, 'a');
    std::string b = a;
    b.back() = 'b';
    EXPECT_EQ(move_name(MoveSubject::port, a).size(), limits::max_name_bytes);
    EXPECT_NE(move_name(MoveSubject::port, a), move_name(MoveSubject::port, b));
    EXPECT_NE(move_name(MoveSubject::port, a), move_name(MoveSubject::service_node, a));
}

}  // namespace
}  // namespace weir::model
