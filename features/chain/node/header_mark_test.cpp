#include "features/chain/node/header_mark.hpp"

#include <gtest/gtest.h>

#include <set>

#include "net/builder.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"

namespace weir::chain {
namespace {

TEST(HeaderMark, NamesOneContextOfOneWorker) {
    for (const std::uint32_t workers : {1u, 2u, 3u, 7u, 16u}) {
        std::set<std::uint32_t> marks;
        for (std::uint32_t id = 1; id <= max_flow_contexts; ++id) {
            const std::uint32_t mark = mark_of(id, workers);
            if (mark == no_mark) continue;
            ASSERT_LE(mark, most_marks);
            ASSERT_EQ(id_of_mark(mark, workers), id);
            ASSERT_TRUE(marks.insert(mark).second) << workers << " " << id;
        }
        EXPECT_EQ(marks.size(), most_marks / workers * workers);
    }
    EXPECT_EQ(mark_of(no_context_id, 2), no_mark);
    EXPECT_EQ(id_of_mark(no_mark, 2), no_context_id);
    EXPECT_EQ(id_of_mark(most_marks, 2), no_context_id) << "32767 each, the last is nobody's";
    EXPECT_EQ(id_of_mark(most_marks + 1, 1), no_context_id);
}

net::PacketBuffer packet(const char* src, const char* dst) {
    net::PacketBuffer buffer(net::FrameBuilder()
                                 .eth(net::Mac{{2, 0, 0, 0, 0, 1}}, net::Mac{{2, 0, 0, 0, 0, 2}})
                                 .ip(src, dst)
                                 .udp(1000, 53)
                                 .payload(20)
                                 .build());
    EXPECT_EQ(net::parse(buffer.packet()), net::ParseError::none);
    return buffer;
}

TEST(HeaderMark, FlowLabelsComeBack) {
    net::PacketBuffer buffer = packet("fd00::1", "fd00::2");
    net::Packet& p = buffer.packet();
    p.data[p.headers.l3 + 1] = 0xab;  // traffic class and label
    const auto before = buffer.frame();
    FlowContext context;
    context.cookie = 0x1234567;
    context.tuple = p.tuple;
    write_mark(p, context, 4321);
    EXPECT_EQ(read_mark(p), 4321u);
    EXPECT_TRUE(fits_mark(p, context, false));
    context.cookie ^= 1;
    EXPECT_FALSE(fits_mark(p, context, false)) << "four bits that the node cannot choose";
    restore_mark(p, context);
    EXPECT_EQ(buffer.frame(), before);
}

TEST(HeaderMark, IdentificationsGoOnCountingFromTheFirst) {
    FlowContext context;
    for (std::uint32_t i = 0; i < 3; ++i) {
        net::PacketBuffer buffer = packet("10.0.0.1", "10.0.0.2");
        net::Packet& p = buffer.packet();
        context.tuple = p.tuple;
        const std::uint32_t first = read_mark(p);
        write_mark(p, context, 77);
        EXPECT_EQ(read_mark(p), 77u);
        EXPECT_TRUE(net::ip4_checksum_ok(std::span(p.data + p.headers.l3, 20)));
        EXPECT_TRUE(fits_mark(p, context, false));
        restore_mark(p, context);
        EXPECT_EQ(read_mark(p), (first + i) & 0xffff);
        EXPECT_TRUE(net::ip4_checksum_ok(std::span(p.data + p.headers.l3, 20)));
    }
}

}  // namespace
}  // namespace weir::chain
