#include "apps/host/host_config.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "apps/host/port_table.hpp"
#include "apps/host/testing/rig.hpp"
#include "model/core_resources.hpp"

namespace weir::host {
namespace {

const char* const two_ports = R"(
resources:
- kind: host
  name: h1
  id: 1
  tunnel_address: 10.0.0.1
  underlay: {type: af_packet, interface: under0}
- {kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2}
- {kind: segment, name: web, vni: 5001, mtu: 1400}
- kind: port
  name: g1
  host: h1
  segment: web
  mac: "02:00:00:00:10:11"
  addresses: [192.168.10.11]
  device: {type: tap, interface: g1}
- kind: port
  name: v1
  host: h1
  segment: web
  mac: "02:00:00:00:10:13"
  device: {type: vhost_user, path: /run/v1.sock}
- {kind: port, name: idle, host: h1, segment: web, mac: "02:00:00:00:10:14"}
- kind: port
  name: g2
  host: h2
  segment: web
  mac: "02:00:00:00:10:12"
  device: {type: tap, interface: g2}
)";

class HostConfigFile : public ::testing::Test {
protected:
    Result<model::Snapshot> read(const std::string& text, const std::string& host = "h1") {
        const std::string path = dir_.path() + "/config.yaml";
        std::ofstream(path) << text;
        return read_config_file(path, host);
    }
    testing::TestDir dir_;
};

TEST_F(HostConfigFile, GivesTheDevicesOfThisHostOnly) {
    const auto planned = read(two_ports);
    ASSERT_TRUE(planned.ok()) << planned.error().text();
    const HostConfig config = config_of(*planned, "h1");
    ASSERT_EQ(config.ports.size(), 3u);
    EXPECT_EQ(config.ports[0].name, "underlay");
    EXPECT_EQ(config.ports[0].device.text(), "af_packet under0");
    EXPECT_EQ(config.ports[0].device.mtu, 0u);
    EXPECT_EQ(config.ports[1].name, "g1");
    EXPECT_EQ(config.ports[1].device.text(), "tap g1");
    EXPECT_EQ(config.ports[1].device.mtu, 1400u);
    EXPECT_EQ(config.ports[1].device.mac, "02:00:00:00:10:11");
    EXPECT_EQ(config.ports[2].device.text(), "vhost_user /run/v1.sock");
    EXPECT_TRUE(config.ports[2].device.client);
    EXPECT_NE(config.canonical.find("g2"), std::string::npos) << "the engine knows its neighbours";
}

TEST_F(HostConfigFile, WhatIsWrongIsNamed) {
    const auto unknown = read(std::string(two_ports) +
                              "- {kind: port, name: x, host: h9, "
                              "segment: web, mac: \"02:00:00:00:10:15\"}\n");
    ASSERT_FALSE(unknown.ok());
    EXPECT_NE(unknown.error().text().find("port/x"), std::string::npos) << unknown.error().text();
    EXPECT_NE(unknown.error().text().find("host"), std::string::npos);
    EXPECT_FALSE(read("resources: [").ok());
    EXPECT_FALSE(read(two_ports, "h3").ok());
    EXPECT_FALSE(read_config_file(dir_.path() + "/nothing", "h1").ok());
}

TEST_F(HostConfigFile, TheLastGoodSnapshotComesBackAsItWas) {
    auto planned = read(two_ports);
    ASSERT_TRUE(planned.ok());
    planned->revision = 7;
    const LastGood last(dir_.path());
    EXPECT_EQ(last.load().error().code, Errc::not_found);
    ASSERT_TRUE(last.save(*planned).ok());
    const auto loaded = last.load();
    ASSERT_TRUE(loaded.ok()) << loaded.error().text();
    EXPECT_EQ(loaded->revision, 7u);
    EXPECT_EQ(config_of(*loaded, "h1").canonical, config_of(*planned, "h1").canonical);
}

TEST_F(HostConfigFile, ADamagedLastGoodSnapshotIsAnError) {
    std::ofstream(dir_.path() + "/snapshot.json") << "{\"revision\":7,\"resou";
    EXPECT_FALSE(LastGood(dir_.path()).load().ok());
}

TEST(PortTable, GivesIndexesThatStay) {
    std::vector<std::uint64_t> memory(PortTable::bytes() / 8 + 1);
    PortTable table(memory.data());
    const auto a = table.take("a"), b = table.take("b");
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_NE(a->index, b->index);
    EXPECT_EQ(table.take("a")->index, a->index);
    EXPECT_EQ(table.take("a")->incarnation, a->incarnation);
    table.free("a");
    EXPECT_FALSE(table.contains("a"));
    const auto c = table.take("c");
    EXPECT_EQ(c->index, a->index);
    EXPECT_GT(c->incarnation, a->incarnation);

    PortTable again(memory.data());  // the next process
    EXPECT_EQ(again.take("b")->index, b->index);
    EXPECT_EQ(again.take("c")->incarnation, c->incarnation);
}

TEST(PortTable, HasALimitAndRefusesBadNames) {
    std::vector<std::uint64_t> memory(PortTable::bytes() / 8 + 1);
    PortTable table(memory.data());
    for (std::size_t i = 0; i < limits::max_ports; ++i)
        ASSERT_TRUE(table.take("p" + std::to_string(i)).ok());
    EXPECT_EQ(table.take("one-more").error().code, Errc::limit);
    EXPECT_EQ(table.take("").error().code, Errc::invalid);
    EXPECT_EQ(table.take(std::string(64, 'x')).error().code, Errc::invalid);
}

TEST(PortTable, DropsWhatACrashLeftHalfWritten) {
    std::vector<std::uint64_t> memory(PortTable::bytes() / 8 + 1, ~std::uint64_t{0});
    PortTable table(memory.data());
    for (std::size_t i = 0; i < limits::max_ports; ++i)
        ASSERT_TRUE(table.take("p" + std::to_string(i)).ok());
}

}  // namespace
}  // namespace weir::host
