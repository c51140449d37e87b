// What the generator sends: valid packets that a firewall may believe for ever, and a sink that
// notices what is wrong.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bench/gen/sink.hpp"
#include "bench/gen/source.hpp"
#include "net/builder.hpp"
#include "net/parse.hpp"

namespace weir::gen {
namespace {

using Frame = std::vector<std::uint8_t>;

// Both sides with nothing between them but what a test does.
class World {
public:
    explicit World(const std::string& words) {
        const Result<Settings> settings = parse_settings("page=none " + words);
        EXPECT_TRUE(settings.ok()) << settings.error().text();
        for (unsigned i = 0; i < 2; ++i) {
            source[i] = std::make_unique<Source>(*settings, i, *page, *common);
            sink[i] = std::make_unique<Sink>(*settings, i, *page, common->dues[i ^ 1]);
        }
        page->command.set(static_cast<std::uint64_t>(Command::run));
    }
    std::vector<Frame> burst(unsigned side) {
        std::vector<Frame> frames(source[side]->offer(32), Frame(192));
        for (Frame& frame : frames) frame.resize(source[side]->write(frame.data()));
        source[side]->end();
        return frames;
    }
    void arrive(unsigned side, std::vector<Frame> frames) {
        sink[side]->begin();
        for (Frame& frame : frames) {
            const auto length = static_cast<std::uint32_t>(frame.size());
            frame.resize(192);
            sink[side]->check(frame.data(), length);
        }
        sink[side]->end();
    }
    // A burst from each side to the other.
    void turn() {
        for (unsigned side : {0u, 1u}) arrive(side ^ 1, burst(side));
    }
    std::uint64_t wrong(unsigned side) const {
        std::uint64_t sum = 0;
        for (const Word& word : page->side[side].wrong) sum += word.get();
        return sum;
    }
    bool steady() const { return page->phase.get() == static_cast<std::uint64_t>(Phase::steady); }

    std::unique_ptr<Page> page = std::make_unique<Page>();
    std::unique_ptr<Common> common = std::make_unique<Common>();
    std::unique_ptr<Source> source[2];
    std::unique_ptr<Sink> sink[2];
};

class Words : public ::testing::TestWithParam<const char*> {};

TEST_P(Words, EverythingComesBackAndIsRight) {
    World world(GetParam());
    for (int i = 0; i < 2000; ++i) world.turn();
    EXPECT_TRUE(world.steady());
    for (unsigned side : {0u, 1u}) {
        EXPECT_EQ(world.wrong(side), 0u);
        EXPECT_EQ(world.page->side[side].sent.get(), world.page->side[side ^ 1].came.get());
        EXPECT_EQ(world.page->side[side].sent_sum.get(), world.page->side[side ^ 1].came_sum.get());
    }
    EXPECT_GT(world.page->side[1].came.get(), 10'000u);
}

INSTANTIATE_TEST_SUITE_P(Works, Words,
                         ::testing::Values("work=tcp flows=1000", "work=tcp flows=777 ip6=1",
                                           "work=udp flows=100", "work=udp flows=100 ip6=1",
                                           "work=udp flows=5 answers=0 imix=1",
                                           "work=new_udp answers=0", "work=full_tcp",
                                           "work=full_tcp ip6=1"));

// Every frame is a whole, valid packet of the family asked for, 60 bytes long over IPv4.
TEST(Traffic, FramesParse) {
    for (const char* words : {"work=tcp flows=100", "work=tcp flows=100 ip6=1",
                              "work=udp flows=100", "work=full_tcp"}) {
        World world(words);
        for (int turn = 0; turn < 200; ++turn) {
            for (unsigned side : {0u, 1u}) {
                const std::vector<Frame> frames = world.burst(side);
                for (const Frame& frame : frames) {
                    net::PacketBuffer buffer(frame);
                    ASSERT_EQ(net::parse(buffer.packet()), net::ParseError::none);
                    if (buffer.packet().tuple.src.is4()) {
                        ASSERT_EQ(frame.size(), 60u);
                    }
                }
                world.arrive(side ^ 1, frames);
            }
        }
    }
}

// What comes out of the tunnel's frames is right to the last byte.
TEST(Traffic, TunnelledFramesAreWhole) {
    for (const char* words : {"work=udp flows=100 answers=0 from_b=1 tunnel=1",
                              "work=udp flows=100 answers=0 from_b=1 tunnel=1 ip6=1"}) {
        World world(words);
        for (int turn = 0; turn < 200; ++turn) {
            std::vector<Frame> frames = world.burst(1);
            for (Frame& frame : frames) frame.erase(frame.begin(), frame.begin() + outer_bytes);
            world.arrive(0, frames);
        }
        EXPECT_EQ(world.wrong(0), 0u) << words;
        EXPECT_EQ(world.page->side[0].came.get(), world.page->side[1].sent.get());
    }
}

// A part of the flows, as a card gives one queue; the sink knows all of them.
TEST(Traffic, SendsTheFlowsItIsGiven) {
    const Result<Settings> settings = parse_settings("page=none work=tcp flows=100 parts=2");
    ASSERT_TRUE(settings.ok()) << settings.error().text();
    const std::vector<std::uint32_t> own = {3, 5, 8, 13, 21, 34, 55, 89};
    World world("work=tcp flows=100");
    for (unsigned i = 0; i < 2; ++i)
        world.source[i] = std::make_unique<Source>(*settings, i, *world.page, *world.common, own);
    std::set<std::uint32_t> seen;
    for (int turn = 0; turn < 200; ++turn)
        for (unsigned side : {0u, 1u}) {
            const std::vector<Frame> frames = world.burst(side);
            for (const Frame& frame : frames) {
                net::PacketBuffer buffer(frame);
                ASSERT_EQ(net::parse(buffer.packet()), net::ParseError::none);
                const net::Tuple& tuple = buffer.packet().tuple;
                const net::Tuple from_a = side == 0 ? tuple : tuple.reversed();
                seen.insert(
                    FlowName{from_a.src.bytes[15] - 1u, from_a.src_port, from_a.dst_port}.flow());
            }
            world.arrive(side ^ 1, frames);
        }
    EXPECT_TRUE(world.steady());
    EXPECT_EQ(seen, std::set<std::uint32_t>(own.begin(), own.end()));
    EXPECT_EQ(world.wrong(0) + world.wrong(1), 0u);
    EXPECT_GT(world.page->side[1].came.get(), 1000u);
}

TEST(Traffic, FlowsHaveNames) {
    for (std::uint32_t flow : {0u, 1u, 63u, 64u, 12345u, 999'999u, 0x7fffffffu})
        EXPECT_EQ(FlowName::of(flow).flow(), flow);
}

// One packet in a burst is changed; the sink must say so, whatever is wrong with it.
TEST(Sink, NoticesWrongPackets) {
    struct Case {
        std::size_t at;
        Wrong what;
    };
    for (const Case& one : {Case{5, Wrong::header}, Case{22, Wrong::header},
                            Case{24, Wrong::ip_checksum}, Case{33, Wrong::header}}) {
        World world("work=udp flows=100 answers=0");
        std::vector<Frame> frames = world.burst(0);
        frames[3][one.at] ^= 1;
        world.arrive(1, frames);
        EXPECT_EQ(world.page->side[1].wrong[static_cast<std::size_t>(one.what)].get(), 1u)
            << one.at;
        EXPECT_EQ(world.page->side[1].came.get(), frames.size() - 1);
    }
}

TEST(Sink, NoticesBadTransportChecksumsAndForeignFlows) {
    World world("work=udp flows=100 answers=0");
    std::vector<Frame> frames;
    while (frames.size() < 64) {
        std::vector<Frame> more = world.burst(0);
        frames.insert(frames.end(), more.begin(), more.end());
    }
    for (Frame& frame : frames) frame[36] ^= 0x40;  // a server port that nobody has
    world.arrive(1, frames);
    EXPECT_EQ(world.page->side[1].wrong[static_cast<std::size_t>(Wrong::l4_checksum)].get(), 1u);
    EXPECT_EQ(world.page->side[1].wrong[static_cast<std::size_t>(Wrong::tuple)].get(), 1u);
    EXPECT_NE(world.page->side[1].came_sum.get(), world.page->side[0].sent_sum.get());
}

TEST(Sink, AnswersWhoAsksForItsAddress) {
    World world("work=udp flows=1 answers=0 tunnel=1");
    Frame request(60);
    for (std::size_t i = 0; i < 6; ++i) request[i] = 0xff;
    request[12] = 0x08, request[13] = 0x06, request[21] = 1;
    request[6] = 2, request[27] = 9, request[41] = 2;
    world.arrive(1, {request});
    const std::uint8_t* answer = world.sink[1]->answer_due();
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer[0], 2);
    EXPECT_EQ(answer[21], 2);
    EXPECT_EQ(answer[31], 2);
    EXPECT_EQ(world.sink[1]->answer_due(), nullptr);
    EXPECT_EQ(world.page->side[1].other.get(), 1u);
}

TEST(Delay, BucketsAreFineAndInOrder) {
    std::uint32_t before = 0;
    for (std::uint64_t cycles = 0; cycles < 1'000'000; ++cycles) {
        const std::uint32_t bucket = delay_bucket(cycles);
        ASSERT_TRUE(bucket == before || bucket == before + 1) << cycles;
        before = bucket;
    }
    EXPECT_EQ(delay_bucket(15), 15u);
    EXPECT_EQ(delay_bucket(16), 16u);
    EXPECT_EQ(delay_bucket(1024), delay_bucket(1087));
    EXPECT_NE(delay_bucket(1024), delay_bucket(1088));
}

TEST(Delay, PaceIsWhatItIsToldToBe) {
    Pace pace;
    std::uint64_t sent = 0;
    for (std::uint64_t now = 1000; now <= 1'001'000; now += 77)
        for (std::uint32_t due = pace.due(now, 1'000'000, 2'600'000'000); due > 0; --due, ++sent)
            EXPECT_LE(pace.take(), now);
    EXPECT_NEAR(static_cast<double>(sent), 1'000'000 / 2600.0, 2.0);
}

// What was due long ago and comes now took long.
TEST(Delay, IsCountedForEveryPacket) {
    World world("work=udp flows=10 answers=0");
    world.page->tsc_hz.set(1'000'000'000);
    world.page->rate.set(1'000'000'000);  // due at once
    for (int i = 0; i < 50; ++i) world.turn();
    std::uint64_t counted = 0;
    for (const Word& word : world.page->delays) counted += word.get();
    EXPECT_EQ(counted, world.page->side[1].came.get());
    EXPECT_GT(counted, 0u);
}

TEST(Traffic, NoMoreThanSaidIsUnderWay) {
    World world("work=udp flows=10 answers=0 flight=100");
    std::vector<Frame> held;
    for (int i = 0; i < 10; ++i) {
        std::vector<Frame> more = world.burst(0);
        held.insert(held.end(), more.begin(), more.end());
    }
    EXPECT_EQ(held.size(), 100u);
    world.arrive(1, held);
    EXPECT_EQ(world.burst(0).size(), 32u);
}

// Noise is as much as was asked for, and in none of the counts by which the rest is judged.
TEST(Noise, StandsBesideTheOthers) {
    for (const char* words : {"work=tcp flows=500 noise=bad", "work=tcp flows=500 noise=syn"}) {
        World world(words);
        for (int i = 0; i < 500; ++i) world.turn();
        ASSERT_TRUE(world.steady());
        EXPECT_EQ(world.page->side[0].noise_sent.get(), 0u);
        world.page->noise.set(25);
        const std::uint64_t before = world.page->side[0].sent.get();
        for (int i = 0; i < 4000; ++i) world.turn();
        const std::uint64_t good = world.page->side[0].sent.get() - before;
        const std::uint64_t noise = world.page->side[0].noise_sent.get();
        EXPECT_NEAR(static_cast<double>(noise) / static_cast<double>(good + noise), 0.25, 0.001);
        EXPECT_EQ(world.page->side[1].noise_came.get(), noise);
        EXPECT_EQ(world.page->side[1].noise_sent.get(), 0u);
        for (unsigned side : {0u, 1u}) {
            EXPECT_EQ(world.wrong(side), 0u);
            EXPECT_EQ(world.page->side[side].sent.get(), world.page->side[side ^ 1].came.get());
            EXPECT_EQ(world.page->side[side].sent_sum.get(),
                      world.page->side[side ^ 1].came_sum.get());
        }
    }
}

std::vector<Frame> noise(const char* words, std::size_t count) {
    Noise source(*parse_settings(std::string("page=none work=tcp ") + words));
    std::vector<Frame> frames(count, Frame(192));
    for (Frame& frame : frames) frame.resize(source.write(frame.data()));
    return frames;
}

TEST(Noise, SynsAreWholeAndOfStrangers) {
    std::set<net::Ip> sources;
    for (const Frame& frame : noise("noise=syn", 1000)) {
        net::PacketBuffer buffer(frame);
        ASSERT_EQ(net::parse(buffer.packet()), net::ParseError::none);
        const net::Tuple& tuple = buffer.packet().tuple;
        EXPECT_EQ(tuple.dst.text(), "10.1.1.1");
        EXPECT_GE(tuple.dst_port, first_server_port);
        EXPECT_EQ(frame[14 + 20 + 13], tcp_syn);
        // A switch that verifies TCP's sums must not take the flood for rubbish.
        std::uint64_t sum = swapped16(net::proto_tcp) + swapped16(20);
        for (std::size_t at = 26; at < 54; at += 2) sum += load<std::uint16_t>(frame.data() + at);
        EXPECT_EQ(folded(sum), 0xffff);
        sources.insert(tuple.src);
    }
    EXPECT_GT(sources.size(), 990u);
}

// Every kind of bad input is there: some cannot be parsed, some are fragments or have options.
TEST(Noise, IsBadInManyWays) {
    std::set<net::ParseError> errors;
    std::size_t fragments = 0, options = 0, whole = 0;
    for (const Frame& frame : noise("flows=100 noise=bad", 180)) {
        net::PacketBuffer buffer(frame);
        const net::ParseError error = net::parse(buffer.packet());
        errors.insert(error);
        if (error != net::ParseError::none) continue;
        const net::Packet& p = buffer.packet();
        const bool fragment = p.headers.fragment != net::Fragment::whole;
        fragments += fragment;
        options += frame[14] != 0x45;
        whole += !fragment && frame[14] == 0x45;
    }
    EXPECT_GE(errors.size(), 4u);
    EXPECT_GE(fragments, 20u);
    EXPECT_GE(options, 10u);
    EXPECT_GE(whole, 50u);
}

// A guest with a port of its own is not the client: a switch that knows who sits where must not
// take all it sends for forged.
TEST(Noise, ApartComesFromAGuestOfItsOwn) {
    std::size_t own = 0, others = 0;
    for (const Frame& frame : noise("flows=100 noise=bad apart=1", 180)) {
        const std::string mac = net::Mac::from(frame.data() + 6).text();
        EXPECT_NE(mac, client_mac);
        const bool guest = mac == noise_mac && frame[26] == 10 && frame[28] == 2;
        (guest ? own : others) += frame.size() >= 34;
    }
    EXPECT_GE(own, 100u);
    EXPECT_GE(others, 20u) << "some are forged all the same";
}

// Side a sends its own packets alone then.
TEST(Noise, ApartIsNotSentBySideA) {
    World world("work=tcp flows=500 noise=bad apart=1");
    for (int i = 0; i < 500; ++i) world.turn();
    ASSERT_TRUE(world.steady());
    world.page->noise.set(25);
    for (int i = 0; i < 500; ++i) world.turn();
    EXPECT_EQ(world.page->side[0].noise_sent.get(), 0u);
}

TEST(Settings, RefusesNonsense) {
    EXPECT_FALSE(parse_settings("work=udp").ok());
    EXPECT_FALSE(parse_settings("page=p work=fly").ok());
    EXPECT_FALSE(parse_settings("page=p flows=many").ok());
    EXPECT_FALSE(parse_settings("page=p flows=0").ok());
    EXPECT_FALSE(parse_settings("page=p colour=red").ok());
    EXPECT_FALSE(parse_settings("page=p work=tcp imix=1").ok());
    EXPECT_FALSE(parse_settings("page=p noise=loud").ok());
    EXPECT_FALSE(parse_settings("page=p work=tcp noise=bad ip6=1").ok());
}

}  // namespace
}  // namespace weir::gen
