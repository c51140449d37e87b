#include "model/core_resources.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/json.hpp"
#include "model/registry.hpp"

namespace weir::model {
namespace {

Registry core() {
    Registry registry;
    add_core_kinds(registry);
    return registry;
}

Value json(std::string_view text) {
    auto value = parse_json(text);
    EXPECT_TRUE(value.ok()) << (value.ok() ? "" : value.error().text());
    return value.ok() ? *value : Value();
}

std::vector<std::string> texts(const std::vector<Error>& errors) {
    std::vector<std::string> out;
    for (const Error& error : errors) out.push_back(error.text());
    return out;
}

TEST(CoreResources, PortIsReadFromJson) {
    Registry registry = core();
    Snapshot snapshot;
    Errors errors;
    const bool put = registry.kind("port")->put(
        snapshot, json(R"({"name":"g1","host":"h1","segment":"blue","mac":"02:00:00:00:00:01",
                           "addresses":["10.0.0.1","2001:db8::1"],"labels":{"tier":"web"},
                           "device":{"type":"tap","interface":"tap1"}})"),
        errors);
    EXPECT_TRUE(put) << testing::PrintToString(texts(errors.list()));
    const Port* port = snapshot.find<Port>("g1");
    ASSERT_NE(port, nullptr);
    EXPECT_EQ(port->segment, Ref<Segment>("blue"));
    EXPECT_EQ(port->addresses.size(), 2u);
    EXPECT_EQ(port->device.type, DeviceType::tap);
    EXPECT_TRUE(port->spoof_guard);
    EXPECT_EQ(port->labels.at("tier"), "web");
}

}  // namespace
}  // namespace weir::model
