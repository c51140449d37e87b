#include "ids/detector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>


namespace weir::ids {
namespace {

using ::testing::HasSubstr;
using service::Verdict;

using Bytes = std::vector<std::uint8_t>;

// An Ethernet frame with one TCP segment or UDP datagram.
Bytes frame_of(std::uint8_t proto, std::uint16_t port, const std::string& text,
               std::uint32_t sequence = 0, std::uint8_t flags = 0x10, std::size_t padding = 0) {
    const std::size_t header = proto == 6 ? 20 : 8;
    Bytes f(14 + 20 + header + text.size() + padding);
    f[12] = 0x08;
    std::uint8_t* ip = f.data() + 14;
    const std::size_t bytes = 20 + header + text.size();
    ip[0] = 0x45;
    ip[2] = static_cast<std::uint8_t>(bytes >> 8);
    ip[3] = static_cast<std::uint8_t>(bytes);
    ip[9] = proto;
    ip[12] = ip[16] = 10;
    ip[15] = 1;
    ip[19] = 2;
    std::uint8_t* l4 = ip + 20;
    l4[0] = static_cast<std::uint8_t>(port >> 8);
    l4[1] = static_cast<std::uint8_t>(port);
    l4[3] = 80;
    if (proto == 6) {
        for (unsigned i = 0; i < 4; ++i)
            l4[4 + i] = static_cast<std::uint8_t>(sequence >> (24 - 8 * i));
        l4[12] = 0x50;
        l4[13] = flags;
    }
    std::copy(text.begin(), text.end(), l4 + header);
    return f;
}

struct Bed {
    std::vector<std::string> alerts;
    Detector detector;
    service::OrderSlip slip{2};

    explicit Bed(const std::string& signatures)
        : detector(database(signatures), [this](const std::string& line) {
              alerts.push_back(line);
          }) {}
    static Database database(const std::string& signatures) {
        auto parsed = parse_signatures(signatures);
        EXPECT_TRUE(std::holds_alternative<std::vector<Signature>>(parsed));
        return std::get<0>(Database::compile(std::get<0>(std::move(parsed))));
    }
    Verdict see(const Bytes& frame, bool copy = false) {
        service::Metadata metadata;
        metadata.copy = copy;
        metadata.md_type = 2;
        slip = service::OrderSlip(2);
        return detector.on_packet({metadata, frame, &slip});
    }
    service::Order ordered() const { return slip.order().order; }
};

constexpr const char* evil = "1001 drop /evil-[0-9]+x/\n";

TEST(Detector, KeepsTheMatchAndOrdersTheRestOfTheFlow) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(17, 1000, "good-42x")), Verdict::pass);
    EXPECT_EQ(bed.ordered(), service::Order::none);
    EXPECT_EQ(bed.see(frame_of(17, 1000, "an evil-42x")), Verdict::drop);
    EXPECT_EQ(bed.ordered(), service::Order::drop);
    EXPECT_EQ(bed.see(frame_of(17, 1000, "good again")), Verdict::drop) << "condemned";
    EXPECT_EQ(bed.ordered(), service::Order::drop) << "said again: nothing is acknowledged";
    EXPECT_EQ(bed.see(frame_of(17, 1001, "another flow")), Verdict::pass);
    ASSERT_EQ(bed.alerts.size(), 1u);
    EXPECT_THAT(bed.alerts[0], HasSubstr(R"("signature":1001,"action":"drop")"));
}

TEST(Detector, FindsWhatIsSpreadOverSegments) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 99, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "abc ev", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "ev", 104)), Verdict::pass) << "sent again";
    EXPECT_EQ(bed.see(frame_of(6, 1000, "evil-7", 104)), Verdict::pass) << "longer than before";
    EXPECT_EQ(bed.see(frame_of(6, 1000, "x", 110)), Verdict::drop);
}

TEST(Detector, SegmentsAheadWaitForThoseBefore) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 99, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "il-7x", 102)), Verdict::drop);
    EXPECT_EQ(bed.ordered(), service::Order::none) << "nothing is wrong with the flow";
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 107)), Verdict::pass) << "an acknowledgement";
    EXPECT_EQ(bed.see(frame_of(6, 1000, "ev", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "il-7x", 102)), Verdict::drop);
    EXPECT_EQ(bed.ordered(), service::Order::drop);
    EXPECT_THAT(bed.detector.status({}), HasSubstr("\"gaps\":0,\"kept_back\":1"));
}

TEST(Detector, WhatIsSentAgainMayBeSomethingElse) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 99, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "harmless", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "harmless", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "evil-77x", 100)), Verdict::drop);
    EXPECT_EQ(bed.see(frame_of(6, 1001, "", 99, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1001, "xx", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1001, "evil-7x", 100)), Verdict::drop) << "and longer";
}

// The receiver had bytes that did not pass here, as while the node was left out.
TEST(Detector, AGapThatNobodyFillsIsGivenUp) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 99, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "ev", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "later", 300)), Verdict::drop);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "good", 200)), Verdict::drop);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "later", 300)), Verdict::drop);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "good", 200)), Verdict::drop);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "good", 200)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "abc", 150)), Verdict::drop) << "not before it any more";
    EXPECT_EQ(bed.see(frame_of(6, 1000, " evil-8x", 204)), Verdict::drop);
    EXPECT_EQ(bed.ordered(), service::Order::drop);
    EXPECT_THAT(bed.detector.status({}), HasSubstr("\"gaps\":1"));
}

TEST(Detector, ASynAmidTheStreamHidesNothing) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 99, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "ev", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 9000, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "il-7x", 102)), Verdict::drop);
    EXPECT_EQ(bed.ordered(), service::Order::drop);
    // The next connection with the same ports has a stream of its own.
    EXPECT_EQ(bed.see(frame_of(6, 1001, "", 99, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1001, "ev", 100)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1001, "", 9000, 0x02)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1001, "il-7x", 9001)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1001, " evil-", 9006)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1001, "7x", 9012)), Verdict::drop);
}

// The originals go on whatever a tap does: it looks at each copy when it comes.
TEST(Detector, CopiesOutOfOrderAreLookedAtOneByOne) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "", 99, 0x02), true), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "behind", 120), true), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "late evil-7x", 100), true), Verdict::drop);
    EXPECT_EQ(bed.ordered(), service::Order::drop);
    EXPECT_EQ(bed.alerts.size(), 1u);
    EXPECT_THAT(bed.detector.status({}), HasSubstr("\"gaps\":1,\"kept_back\":0"));
}

TEST(Detector, AFlowThatIsJoinedInTheMiddleMayHaveEarlierBytesToCome) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "abc", 500)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "earlier", 400)), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(6, 1000, "evil-7x", 410)), Verdict::drop);
}

TEST(Detector, DatagramsAndPaddingStandAlone) {
    Bed bed(evil);
    EXPECT_EQ(bed.see(frame_of(17, 1000, "evil-")), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(17, 1000, "7x")), Verdict::pass);
    Bytes padded = frame_of(17, 1002, "", 0, 0, 8);
    std::copy_n("evil-42x", 8, padded.end() - 8);
    EXPECT_EQ(bed.see(padded), Verdict::pass) << "behind the datagram";
}

TEST(Detector, AlertsLeaveTheFlowAlone) {
    Bed bed("5 alert /SeCret/i\n6 reset /kill/\n");
    EXPECT_EQ(bed.see(frame_of(17, 1000, "a secret")), Verdict::pass);
    EXPECT_EQ(bed.alerts.size(), 1u);
    EXPECT_EQ(bed.see(frame_of(17, 1000, "kill")), Verdict::drop);
    EXPECT_EQ(bed.ordered(), service::Order::reset);
    bed.detector.replace(Bed::database("7 drop /new/\n"));
    EXPECT_EQ(bed.see(frame_of(17, 1003, "kill")), Verdict::pass);
    EXPECT_EQ(bed.see(frame_of(17, 1003, "new")), Verdict::drop);
}

TEST(Detector, FramesThatAreCutShortAreReadNoFurther) {
    Bed bed(evil);
    for (const std::uint8_t proto : {std::uint8_t{6}, std::uint8_t{17}}) {
        const Bytes whole = frame_of(proto, 1000, "evil-42");
        for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes)
            EXPECT_EQ(bed.see(Bytes(whole.begin(), whole.begin() + static_cast<long>(bytes))),
                      Verdict::pass);
    }
}

TEST(Signatures, MistakesAreNamedWithTheirLine) {
    const auto why = [](const std::string& text) {
        auto parsed = parse_signatures(text);
        return std::holds_alternative<std::string>(parsed) ? std::get<1>(parsed) : "";
    };
    EXPECT_EQ(why("# one\n\n1 drop /a/\n"), "");
    EXPECT_EQ(why("1 drop /a/\nx drop /a/\n"), "line 2: 'x' is no number of a signature");
    EXPECT_EQ(why("1 burn /a/\n"), "line 1: 'burn' is not alert, drop or reset");
    EXPECT_EQ(why("1 drop a\n"), "line 1: the pattern stands between slashes");
    EXPECT_EQ(why("1 drop /a/q\n"), "line 1: flags are i and s");
    EXPECT_EQ(why("1 drop /a/\n1 drop /b/\n"), "line 2: signature 1 is there already");
    auto bad = Database::compile({{9, Action::drop, "(", 0}});
    ASSERT_TRUE(std::holds_alternative<std::string>(bad));
    EXPECT_THAT(std::get<1>(bad), HasSubstr("signature 9: "));
}

}  // namespace
}  // namespace weir::ids
