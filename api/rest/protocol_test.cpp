#include "api/rest/protocol.hpp"

#include <gtest/gtest.h>

namespace weir::rest {
namespace {

template <class T>
T host_round_trip(const T& message) {
    const auto back = decode_host_message(encode(HostMessage(message)));
    EXPECT_TRUE(back) << back.error().text();
    return std::get<T>(*back);
}

TEST(Protocol, HostMessagesSurviveTheRoundTrip) {
    Hello hello{"h1", 7, {{{"port", "g1"}, 0xffffffffffffffffu}, {{"segment", "web"}, 1}}};
    const Hello back = host_round_trip(hello);
    EXPECT_EQ(back.host, "h1");
    EXPECT_EQ(back.applied, 7u);
    EXPECT_EQ(back.digests, hello.digests);
    EXPECT_EQ(host_round_trip(Applied{9}).revision, 9u);
    const Refused refused =
        host_round_trip(Refused{9, {Errc::invalid, "port/g1", "mtu", "too large"}});
    EXPECT_EQ(refused.revision, 9u);
    EXPECT_EQ(refused.error.text(), "port/g1: mtu: too large");
    model::Value body;
    body.set("flows", 3);
    EXPECT_EQ(*host_round_trip(QueryReply{4, body}).body, body);
    const QueryReply failed = host_round_trip(QueryReply{4, invalid("what", "unknown")});
    ASSERT_FALSE(failed.body);
    EXPECT_EQ(failed.body.error().field, "what");
    EXPECT_EQ(host_round_trip(HostEvent{0, body}).fields, body);
    EXPECT_EQ(host_round_trip(HostEvent{0, body}).number, 0u);
    EXPECT_EQ(host_round_trip(HostEvent{17, body}).number, 17u);
}

TEST(Protocol, ControllerMessagesSurviveTheRoundTrip) {
    model::Value fields;
    fields.set("name", "web");
    fields.set("vni", 5001);
    ChangeMessage change{{3, 4, {{"segment", fields}}, {{"port", "g9"}}}};
    const auto back = decode_controller_message(encode(ControllerMessage(change)));
    ASSERT_TRUE(back) << back.error().text();
    const model::Delta& delta = std::get<ChangeMessage>(*back).delta;
    EXPECT_EQ(delta.base_revision, 3u);
    EXPECT_EQ(delta.target_revision, 4u);
    ASSERT_EQ(delta.puts.size(), 1u);
    EXPECT_EQ(delta.puts[0].kind, "segment");
    EXPECT_EQ(delta.puts[0].fields, fields);
    EXPECT_EQ(delta.deletes, change.delta.deletes);
    const auto query = decode_controller_message(encode(ControllerMessage(Query{1, fields})));
    ASSERT_TRUE(query);
    EXPECT_EQ(std::get<Query>(*query).body, fields);
    const auto taken = decode_controller_message(encode(ControllerMessage(EventsTaken{17})));
    ASSERT_TRUE(taken);
    EXPECT_EQ(std::get<EventsTaken>(*taken).number, 17u);
}

TEST(Protocol, EmptyChangeIsAChange) {
    const auto back = decode_controller_message(encode(ControllerMessage(ChangeMessage{})));
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_TRUE(std::get<ChangeMessage>(*back).delta.empty());
}

TEST(Protocol, MalformedMessagesAreRefusedByName) {
    const std::pair<const char*, const char*> cases[] = {
        {"[]", "message"},
        {R"({"type":"dance"})", "type"},
        {R"({"type":"applied"})", "revision"},
        {R"({"type":"applied","revision":-1})", "revision"},
        {R"({"type":"applied","revision":"1"})", "revision"},
        {R"({"type":"hello","applied":1,"digests":{}})", "host"},
        {R"({"type":"hello","host":"h","digests":{}})", "applied"},
        {R"({"type":"hello","host":"h","applied":1})", "digests"},
        {R"({"type":"hello","host":"h","applied":1,"digests":{"port":"00"}})", "digests"},
        {R"({"type":"hello","host":"h","applied":1,"digests":{"port/x":"0"}})", "digests.port/x"},
        {R"({"type":"reply","body":{}})", "id"},
        {R"({"type":"event","number":"1"})", "number"},
    };
    for (const auto& [text, field] : cases) {
        const auto refused = decode_host_message(text);
        ASSERT_FALSE(refused) << text;
        EXPECT_EQ(refused.error().field, field) << text;
    }
    EXPECT_FALSE(decode_host_message("{"));
    EXPECT_FALSE(decode_controller_message(R"({"type":"change","target":1})"));
    EXPECT_FALSE(decode_controller_message(R"({"type":"change","base":0,"target":1,"puts":[3]})"));
    EXPECT_FALSE(
        decode_controller_message(R"({"type":"change","base":0,"target":1,"deletes":["x"]})"));
    EXPECT_FALSE(decode_controller_message(R"({"type":"query"})"));
    EXPECT_FALSE(decode_controller_message(R"({"type":"events-taken"})"));
    EXPECT_FALSE(decode_controller_message(R"({"type":"hello","host":"h"})"));
}

}  // namespace
}  // namespace weir::rest
