#include "apps/controller/testing.hpp"
#include "features/chain/planned.hpp"

namespace weir::controller {
namespace {

using namespace testing;
using chain::ServiceNode;
using chain::ServicePath;

constexpr const char* network = R"([
    {kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1},
    {kind: host, name: h3, id: 3, tunnel_address: 10.0.0.3},
    {kind: segment, name: web, vni: 5001},
    {kind: service-segment, name: plane, svni: 9001, underlay_trusted: true},
    {kind: port, name: g1, host: h1, segment: web, mac: "02:00:00:00:00:11"},
    {kind: port, name: n1, host: h3, service_segment: plane, mac: "02:00:00:01:00:01"},
    {kind: port, name: n2, host: h1, service_segment: plane, mac: "02:00:00:02:00:01"},
    {kind: service, name: fw, transports: [nsh]},
    {kind: service-profile, name: fw, service: fw},
    {kind: service-node, name: n1, id: 1, service: fw, host: h3, mode: aware,
     service_segment: plane, vnics: [n1]},
    {kind: service-node, name: n2, id: 2, service: fw, host: h1, mode: aware,
     service_segment: plane, vnics: [n2]},
    {kind: service-chain, name: c1, sci: 1, service_segment: plane, forward: [fw]},
    {kind: service-rule, name: r1, protocol: tcp, applied_to_ports: [g1], chain: c1}])";

class DeletedNodeTest : public ControllerTest {
protected:
    features::Features features() override { return features::all(); }
    void SetUp() override {
        ControllerTest::SetUp();
        registry_ = features::registry_of(features::all());
        apply(network);
        h1 = host("h1");
        h3 = host("h3");
        ASSERT_TRUE(has_applied("h1", revision()) && has_applied("h3", revision()));
        ASSERT_TRUE(has_node() && path_of_node());
    }
    void erase(const std::string& what) {
        EXPECT_EQ(ask("DELETE", "/v1/" + what).status, 200) << what;
    }
    void delete_node() {
        erase("service-node/n1");
        erase("port/n1");
        ASSERT_TRUE(has_applied("h1", revision()) && has_applied("h3", revision()));
    }
    bool has_node() {
        const model::Snapshot runs = h3->snapshot();
        const auto* port = runs.find<model::Port>("n1");
        return runs.find<ServiceNode>("n1") && port && port->host.name == "h3";
    }
    // That its host knows. 0: none.
    std::uint32_t path_of_node() {
        const model::Snapshot runs = h3->snapshot();
        for (const auto& [name, path] : runs.all<ServicePath>())
            if (path.forward[0].node == "n1") return path.spi;
        return 0;
    }
    bool may_use(std::uint32_t spi) {
        const model::Snapshot runs = h1->snapshot();
        for (const auto& [name, path] : runs.all<ServicePath>())
            if (path.spi == spi) return runs.find<chain::ServicePathUse>(name) != nullptr;
        return false;
    }
    void change_something() {
        apply("{kind: segment, name: app, vni: " + std::to_string(++vni_) + "}");
        ASSERT_TRUE(has_applied("h1", revision()) && has_applied("h3", revision()));
    }
    void start_again() {
        controller_.reset();
        ASSERT_TRUE(h1->down.take() && h3->down.take());
        start();
        change_something();
    }

    std::unique_ptr<TestHost> h1, h3;
    int vni_ = 6000;
};

TEST_F(DeletedNodeTest, LingersWithItsPathsWhateverBecomesOfTheController) {
    const std::uint32_t spi = path_of_node();
    delete_node();
    EXPECT_FALSE(may_use(spi));
    EXPECT_TRUE(has_node());
    EXPECT_EQ(path_of_node(), spi) << "packets may be on it";
    EXPECT_EQ(get("/v1/service-node-leaving/n1")["phase"].as_text(), "gone");
    EXPECT_EQ(ask("GET", "/v1/service-node/n1").status, 404);
    EXPECT_EQ(get("/v1/port")["items"].size(), 2u);
    start_again();
    EXPECT_TRUE(has_node());
    EXPECT_EQ(path_of_node(), spi);
    const model::Value kept = get("/v1/service-path-number")["items"];
    ASSERT_EQ(kept.size(), 1u);
    EXPECT_EQ(kept.items()[0]["spi"].as_uint(), spi) << "no other path gets its number (CP-2)";
    EXPECT_EQ(get("/v1/service-node-leaving/n1")["phase"].as_text(), "gone");
}

TEST_F(DeletedNodeTest, DrainsAsItWasToldToWhateverBecomesOfTheController) {
    const std::uint32_t spi = path_of_node();
    apply(
        "{kind: service-node, name: n1, id: 1, service: fw, host: h3, mode: aware, "
        "service_segment: plane, vnics: [n1], drain_s: 3600}");
    delete_node();
    for (int controllers = 0; controllers < 2; ++controllers) {
        EXPECT_TRUE(has_node());
        EXPECT_TRUE(may_use(spi)) << "flows stay";
        const model::Snapshot runs = h1->snapshot();
        for (const auto& [name, path] : runs.all<ServicePath>())
            if (path.spi == spi) {
                EXPECT_TRUE(path.maintenance);
                EXPECT_EQ(path.drain_s, 3600u);
            }
        EXPECT_EQ(get("/v1/service-node-leaving/n1")["phase"].as_text(), "draining");
        start_again();
    }
    // Written again without a deadline and deleted: at once.
    apply(R"([{kind: port, name: n1, host: h3, service_segment: plane, mac: "02:00:00:01:00:01"},
              {kind: service-node, name: n1, id: 1, service: fw, host: h3, mode: aware,
               service_segment: plane, vnics: [n1]}])");
    EXPECT_EQ(ask("GET", "/v1/service-node-leaving/n1").status, 404);
    delete_node();
    EXPECT_FALSE(may_use(spi));
}

TEST_F(DeletedNodeTest, TryingItOutLeavesNoTrace) {
    const std::uint64_t before = revision();
    EXPECT_EQ(ask("DELETE", "/v1/service-node/n1?dry_run=true").status, 200);
    EXPECT_EQ(revision(), before);
    EXPECT_EQ(ask("GET", "/v1/service-node-leaving/n1").status, 404);
}

}  // namespace
}  // namespace weir::controller
