#include "apps/controller/testing.hpp"
#include "base/testing/patience.hpp"

namespace weir::controller {
namespace {

using namespace testing;

class HostsTest : public ControllerTest {};

std::string segment(const std::string& name, int vni) {
    return "{kind: segment, name: " + name + ", vni: " + std::to_string(vni) + "}";
}

TEST_F(HostsTest, HostIsBroughtToTheNewestRevision) {
    apply(segment("web", 1));
    const auto h1 = host("h1");
    ASSERT_TRUE(has_applied("h1", 1));
    EXPECT_EQ(h1->snapshot().all<model::Segment>().size(), 1u);
    apply(segment("app", 2));
    ASSERT_TRUE(has_applied("h1", 2));
    h1->changes.take();
    const auto second = h1->changes.take();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->base_revision, 1u);
    EXPECT_EQ(second->puts.size(), 1u) << "only what changed travels";
    const Value status = host_status("h1");
    EXPECT_TRUE(status["connected"].as_bool());
    EXPECT_EQ(status["desired"].as_uint(), 2u);
    EXPECT_TRUE(status["refused"].is_null());
}

TEST_F(HostsTest, HostIsNotConnectedBeforeItHasSaidWhatItRuns) {
    apply(segment("web", 1));
    auto h1 = host("h1");
    ASSERT_TRUE(has_applied("h1", 1));
    h1.reset();
    ASSERT_TRUE(eventually([&] { return !host_status("h1")["connected"].as_bool(true); }));
    std::shared_ptr<rest::WatchSession> session;
    rest::Mailbox<bool> opened;
    rest::WatchClientOptions options;
    options.target = {rest::Target::Kind::tls, "127.0.0.1", std::to_string(port_)};
    options.credentials = *authority_.issue({rest::Role::host, "h1"});
    const auto silent = rest::WatchClient::start(std::move(options),
                                                 {[&](std::shared_ptr<rest::WatchSession> open) {
                                                      session = std::move(open);
                                                      opened.put(true);
                                                  },
                                                  [](std::string_view) {}, [](const Error&) {}});
    ASSERT_TRUE(silent && opened.take());
    ASSERT_TRUE(eventually([&] {
        const Value events = get("/v1/events");
        return events["items"].items().back()["type"].as_text() == "host.connected";
    }));
    EXPECT_EQ(host_status("h1")["applied"].as_uint(), 1u);
    EXPECT_FALSE(host_status("h1")["connected"].as_bool(true));
    session->send(rest::encode(rest::HostMessage(rest::Hello{"h1", 0, {}})));
    ASSERT_TRUE(eventually([&] { return host_status("h1")["connected"].as_bool(); }));
    EXPECT_EQ(host_status("h1")["applied"].as_uint(), 0u);
}

TEST_F(HostsTest, AfterARestartOfTheControllerOnlyTheDifferenceTravels) {
    for (int i = 1; i <= 50; ++i) apply(segment("s" + std::to_string(i), i));
    const auto h1 = host("h1");
    ASSERT_TRUE(has_applied("h1", 50));
    ASSERT_TRUE(h1->changes.take());
    controller_.reset();
    ASSERT_TRUE(h1->down.take());
    start();
    ASSERT_TRUE(has_applied("h1", 50)) << "nothing differs: nothing is sent";
    EXPECT_TRUE(h1->changes.empty());
    apply("[" + segment("s1", 99) + "]");
    ASSERT_TRUE(has_applied("h1", 51));
    const auto change = h1->changes.take();
    ASSERT_TRUE(change);
    EXPECT_EQ(change->puts.size(), 1u);
    EXPECT_EQ(change->deletes.size(), 0u);
    EXPECT_EQ(h1->snapshot().all<model::Segment>().size(), 50u);
}

TEST_F(HostsTest, WhatChangedWhileAHostWasAwayReachesItAsADifference) {
    apply("[" + segment("a", 1) + "," + segment("b", 2) + "," + segment("c", 3) + "]");
    const auto h1 = host("h1");
    ASSERT_TRUE(has_applied("h1", 1));
    h1->stop();
    ASSERT_TRUE(eventually([&] { return !host_status("h1")["connected"].as_bool(true); }));
    apply(segment("b", 7));
    EXPECT_EQ(ask("DELETE", "/v1/segment/c").status, 200);
    ASSERT_TRUE(h1->changes.take());
    h1->start();
    ASSERT_TRUE(has_applied("h1", 3));
    const auto change = h1->changes.take();
    ASSERT_TRUE(change);
    EXPECT_EQ(change->base_revision, 1u);
    EXPECT_EQ(change->target_revision, 3u);
    ASSERT_EQ(change->puts.size(), 1u);
    EXPECT_EQ(change->puts[0].fields["name"].as_text(), "b");
    ASSERT_EQ(change->deletes.size(), 1u);
    EXPECT_EQ(change->deletes[0].text(), "segment/c");
}

TEST_F(HostsTest, HostThatRunsSomethingElseIsCorrected) {
    apply(segment("web", 1));
    model::Snapshot other;
    other.revision = 1;  // the same number with another content
    model::Segment wrong;
    wrong.name = "web";
    wrong.vni = 77;
    other.put(wrong);
    model::Segment surplus;
    surplus.name = "old";
    surplus.vni = 78;
    other.put(surplus);
    const auto h1 = host("h1");
    ASSERT_TRUE(has_applied("h1", 1));
    h1->stop();
    h1->set_snapshot(other);
    h1->start();
    ASSERT_TRUE(eventually([&] {
        const auto now = h1->snapshot();
        return now.find<model::Segment>("web")->vni == 1 && !now.find<model::Segment>("old");
    }));
}

TEST_F(HostsTest, RefusalIsVisibleAndTheNextRevisionIsTriedAgain) {
    const auto h1 = host("h1");
    h1->refuses = true;
    apply(segment("web", 1));
    ASSERT_TRUE(eventually([&] { return host_status("h1")["refused"].is_object(); }));
    const Value status = host_status("h1");
    EXPECT_EQ(status["applied"].as_uint(), 0u);
    EXPECT_EQ(status["refused"]["revision"].as_uint(), 1u);
    EXPECT_EQ(status["refused"]["object"].as_text(), "port/g1");
    EXPECT_EQ(status["refused"]["field"].as_text(), "mtu");
    h1->refuses = false;
    apply(segment("app", 2));
    ASSERT_TRUE(has_applied("h1", 2));
    EXPECT_TRUE(host_status("h1")["refused"].is_null());
    EXPECT_EQ(h1->snapshot().all<model::Segment>().size(), 2u);
    bool told = false;
    const Value events = get("/v1/events");
    for (const Value& event : events["items"].items()) {
        told |=
            event["type"].as_text() == "host.refused_revision" && event["host"].as_text() == "h1";
    }
    EXPECT_TRUE(told);
}

TEST_F(HostsTest, RevisionsThatPileUpAreSkipped) {
    const auto h1 = host("h1");
    h1->is_stalled = true;
    apply(segment("s0", 1));
    ASSERT_TRUE(h1->changes.take());
    for (int i = 1; i < 20; ++i) apply(segment("s" + std::to_string(i), i + 1));
    h1->is_stalled = false;
    h1->release.put(true);
    ASSERT_TRUE(has_applied("h1", 20));
    const auto second = h1->changes.take();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->target_revision, 20u);
    EXPECT_EQ(second->puts.size(), 19u);
    EXPECT_TRUE(h1->changes.empty());
}

TEST_F(HostsTest, HostWithTheNameOfAnotherIsRefused) {
    TestHost liar(registry_, port_, *authority_.issue({rest::Role::host, "h1"}), "h2");
    const auto why = liar.down.take();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->message, "the certificate is for host h1, not h2");
    EXPECT_TRUE(host_status("h2").is_null());
    EXPECT_EQ(host_status("h1")["applied"].as_uint(), 0u);
}

TEST_F(HostsTest, NoCertificateForeignCertificateAndAdministratorAreRefused) {
    apply(segment("web", 1));
    const auto stranger = [&](rest::Credentials credentials) {
        credentials.ca = authority_.certificate();
        TestHost host(registry_, port_, credentials, "h1");
        const auto why = host.down.take();
        EXPECT_TRUE(host.changes.empty());
        return why ? why->code : Errc::internal;
    };
    EXPECT_EQ(stranger({}), Errc::denied);
    EXPECT_EQ(stranger(*rest::Authority::create("x")->issue({rest::Role::host, "h1"})),
              Errc::denied);
    EXPECT_EQ(stranger(*authority_.issue({rest::Role::admin, "ann"})), Errc::denied);
    EXPECT_TRUE(host_status("h1").is_null());
}

TEST_F(HostsTest, SecondWatchOfAHostReplacesTheFirst) {
    const auto first = host("h1");
    ASSERT_TRUE(eventually([&] { return host_status("h1")["connected"].as_bool(); }));
    const auto second = host("h1");
    const auto why = first->down.take();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->message, "the host opened a newer watch");
}

TEST_F(HostsTest, QueryGoesToTheHostAndBack) {
    const auto h1 = host("h1");
    ASSERT_TRUE(eventually([&] { return host_status("h1")["connected"].as_bool(); }));
    const auto answer = ask("POST", "/v1/host/h1/query", R"({"what":"flows"})");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "{\"asked\":{\"what\":\"flows\"}}\n");
    const auto failed = ask("POST", "/v1/host/h1/query", R"({"fail":true})");
    EXPECT_EQ(failed.status, 422);
    EXPECT_EQ(rest::errors_in(failed)[0].message, "not understood");
    EXPECT_EQ(ask("POST", "/v1/host/h9/query", "{}").status, 404);
    EXPECT_EQ(ask("POST", "/v1/host/h1/query", "{").status, 422);
    EXPECT_EQ(ask("GET", "/v1/host/h1/query").status, 405);
    h1->is_stalled = true;
    EXPECT_EQ(ask("POST", "/v1/host/h1/query?timeout_ms=50", "{}").status, 504);
    h1->is_stalled = false;
    h1->release.put(true);
}

// Steps of moves are the controller's own: whoever else took one would cut a guest off.
TEST_F(HostsTest, QueriesThatOnlyTheControllerAsksDoNotReachHosts) {
    const auto h1 = host("h1");
    ASSERT_TRUE(eventually([&] { return host_status("h1")["connected"].as_bool(); }));
    for (const char* what :
         {"host-move-prepare", "host-move-save", "host-move-load", "host-move-handles",
          "host-move-freeze", "host-move-hold", "host-move-thaw", "host-move-activate",
          "host-move-abandon", "host-move-forward", "host-move-state", "host-move-",
          "save-service-node", "restore-service-node"}) {
        const auto refused = ask("POST", "/v1/host/h1/query",
                                 std::string(R"({"port":"g1","what":")") + what + "\"}");
        EXPECT_EQ(refused.status, 403) << what;
        const auto errors = rest::errors_in(refused);
        ASSERT_EQ(errors.size(), 1u) << what;
        EXPECT_EQ(errors[0].field, "what");
        EXPECT_NE(errors[0].message.find("weir migrate"), std::string::npos) << what;
    }
    for (const char* what : {"host-ports", "host-moves", "flows"})
        EXPECT_EQ(
            ask("POST", "/v1/host/h1/query", std::string(R"({"what":")") + what + "\"}").status,
            200)
            << what;
}

TEST_F(HostsTest, QueryToAHostThatGoesAwayIsAnsweredAtOnce) {
    auto h1 = host("h1");
    ASSERT_TRUE(eventually([&] { return host_status("h1")["connected"].as_bool(); }));
    h1->is_stalled = true;
    rest::Mailbox<int> answered;
    std::thread asking(
        [&] { answered.put(ask("POST", "/v1/host/h1/query?timeout_ms=60000", "{}").status); });
    // A newer watch takes the place of the one that was asked.
    ASSERT_TRUE(eventually([&] {
        const auto second = host("h1");
        return answered.take(std::chrono::milliseconds(50)) == 503;
    }));
    h1->is_stalled = false;
    h1->release.put(true);
    asking.join();
}

TEST_F(HostsTest, EventsOfHostsAreKeptWithTheirHost) {
    const auto h1 = host("h1");
    ASSERT_TRUE(eventually([&] { return h1->link().is_up(); }));
    Value event;
    event.set("event", "port.up");
    event.set("port", "g1");
    event.set("host", "h2");  // a host speaks for itself only
    h1->link().send_event(event);
    ASSERT_TRUE(eventually([&] { return get("/v1/events")["items"].size() == 2; }));
    const Value told = get("/v1/events")["items"].items()[1];
    EXPECT_EQ(told["type"].as_text(), "port.up");
    EXPECT_EQ(told["host"].as_text(), "h1");
    EXPECT_EQ(told["port"].as_text(), "g1");
    EXPECT_EQ(get("/v1/events?after=1")["items"].size(), 1u);
    EXPECT_EQ(get("/v1/events?limit=1")["items"].items()[0]["id"].as_uint(), 2u);
}

TEST_F(HostsTest, WhatOneHostReportsReachesEveryHostAndOutlivesTheController) {
    apply(segment("web", 1));
    const auto h1 = host("h1");
    const auto h2 = host("h2");
    ASSERT_TRUE(has_applied("h1", 1));
    ASSERT_TRUE(has_applied("h2", 1));
    Value event;
    event.set("event", "segment-heard");
    event.set("name", "heard");
    event.set("vni", 9);
    h1->link().send_event(event);
    ASSERT_TRUE(has_applied("h2", 2));
    ASSERT_NE(h2->snapshot().find<model::Segment>("heard"), nullptr);
    EXPECT_EQ(h2->snapshot().find<model::Segment>("heard")->vni, 9u);
    EXPECT_EQ(get("/v1/segment")["items"].size(), 1u) << "that is what operators wrote";
    EXPECT_EQ(apply(segment("web", 1), "?prune=true")["changes"].size(), 0u)
        << "what hosts report is not the operator's to prune";
    h1->link().send_event(event);
    Value last;
    last.set("event", "last");
    h1->link().send_event(last);
    ASSERT_TRUE(eventually([&] {
        const Value events = get("/v1/events");
        return events["items"].items().back()["type"].as_text() == "last";
    }));
    EXPECT_EQ(revision(), 2u) << "the same report again changes nothing";

    controller_.reset();
    start();
    ASSERT_TRUE(eventually([&] { return host_status("h2")["connected"].as_bool(); }));
    apply(segment("app", 2));
    ASSERT_TRUE(has_applied("h2", 3));
    EXPECT_NE(h2->snapshot().find<model::Segment>("heard"), nullptr);
}

TEST_F(HostsTest, WhatHappenedWhileTheControllerWasAwayIsToldInOrderWhenItIsBack) {
    const auto h1 = host("h1");
    h1->tell("segment-heard", "heard", 1);
    ASSERT_TRUE(eventually([&] { return h1->link().kept_events() == 0; }));
    EXPECT_EQ(revision(), 1u);
    controller_.reset();
    ASSERT_TRUE(h1->down.take());
    for (std::uint64_t vni = 2; vni <= 100; ++vni) h1->tell("segment-heard", "heard", vni);
    start();
    ASSERT_TRUE(eventually([&] {
        const model::Snapshot told_to_h1 = h1->snapshot();
        const auto* heard = told_to_h1.find<model::Segment>("heard");
        return heard && heard->vni == 100;
    }));
    EXPECT_EQ(revision(), 100u) << "every one of them, once";
    const auto told = [&] {
        const Value events = get("/v1/events?limit=1000");
        std::vector<std::uint64_t> vnis;
        for (const Value& event : events["items"].items())
            if (event["type"].as_text() == "segment-heard") vnis.push_back(event["vni"].as_uint());
        return vnis;
    };
    const std::vector<std::uint64_t> vnis = told();
    EXPECT_EQ(vnis.size(), 99u) << "what the first controller had taken is not told again";
    EXPECT_TRUE(std::is_sorted(vnis.begin(), vnis.end()));

    ASSERT_TRUE(eventually([&] { return h1->link().kept_events() == 0; }));

    // A third controller hears nothing of all that, only what is new.
    controller_.reset();
    ASSERT_TRUE(h1->down.take());
    start();
    h1->tell("segment-heard", "heard", 101);
    ASSERT_TRUE(eventually([&] { return revision() == 101; }));
    EXPECT_EQ(told(), std::vector<std::uint64_t>{101});
    EXPECT_EQ(h1->link().lost_events(), 0u);
}

TEST_F(HostsTest, OfTooManyEventsTheOldestAreLostAndCounted) {
    TestHost h1(registry_, port_, *authority_.issue({rest::Role::host, "h1"}), "h1", 4);
    ASSERT_TRUE(eventually([&] { return h1.link().is_up(); }));
    controller_.reset();
    ASSERT_TRUE(h1.down.take());
    for (std::uint64_t vni = 1; vni <= 10; ++vni) h1.tell("segment-heard", "heard", vni);
    EXPECT_EQ(h1.link().lost_events(), 6u);
    start();
    ASSERT_TRUE(has_applied("h1", 4));
    const model::Snapshot told_to_h1 = h1.snapshot();
    const auto* heard = told_to_h1.find<model::Segment>("heard");
    ASSERT_NE(heard, nullptr);
    EXPECT_EQ(heard->vni, 10u);
}

TEST_F(HostsTest, WhatIsToldAgainIsNoNews) {
    const auto h1 = host("h1");
    Value event;
    event.set("event", "segment-heard");
    event.set("name", "heard");
    event.set("vni", 9);
    event.set("again", true);
    h1->link().send_event(event);
    ASSERT_TRUE(eventually([&] { return revision() == 1; })) << "but it is taken";
    h1->tell("last");
    ASSERT_TRUE(eventually([&] {
        const Value events = get("/v1/events");
        return events["items"].items().back()["type"].as_text() == "last";
    }));
    EXPECT_EQ(get("/v1/events")["items"].size(), 2u) << "host.connected and last";
}

TEST_F(HostsTest, SlowHostIsCutOffAndComesBack) {
    controller_.reset();
    watch_queue_bytes_ = 4u << 20;
    start();
    const auto h1 = host("h1");
    ASSERT_TRUE(eventually([&] { return host_status("h1")["connected"].as_bool(); }));
    // Its working thread stalls; 1024 messages later its link gives up, and starts anew.
    h1->is_stalled = true;
    std::vector<std::thread> asking;
    const std::string body = "{\"pad\":\"" + std::string(1000, 'x') + "\"}";
    for (int i = 0; i < 4; ++i) {
        asking.emplace_back([&] {
            for (int k = 0; k < 300; ++k) ask("POST", "/v1/host/h1/query?timeout_ms=1", body);
        });
    }
    const auto why = h1->down.take(weir::testing::patience(std::chrono::seconds(60)));
    EXPECT_TRUE(why);
    for (std::thread& thread : asking) thread.join();
    h1->is_stalled = false;
    h1->release.put(true);
    apply(segment("web", 1));
    EXPECT_TRUE(has_applied("h1", 1));
}

TEST_F(HostsTest, DeclaredHostThatNeverCameIsShown) {
    apply("{kind: host, name: h7, id: 7, tunnel_address: 10.0.0.7}");
    const Value status = host_status("h7");
    EXPECT_FALSE(status["connected"].as_bool(true));
    EXPECT_EQ(status["desired"].as_uint(), 1u);
    EXPECT_EQ(ask("POST", "/v1/host/h7/query", "{}").status, 503);
}

// Routers build on segments of the same name.
bool always(const model::Snapshot&, const std::string&, std::string_view) {
    return true;
}
constexpr features::Order order_of_routers[] = {{"segment", "router", always}};
const features::Feature ordered{"ordered", model::add_core_kinds, accept, plan_all,
                                nullptr,   order_of_routers};

class OrderedHostsTest : public ControllerTest {
    features::Features features() override { return {&ordered, 1}; }
};

TEST_F(OrderedHostsTest, WhatBuildsOnOthersWaitsForThemAndSaysSo) {
    apply(
        "[{kind: host, name: h1, id: 1, tunnel_address: 10.0.0.1},"
        " {kind: host, name: h2, id: 2, tunnel_address: 10.0.0.2}]");
    const auto h1 = host("h1");
    const auto h2 = host("h2");
    ASSERT_TRUE(has_applied("h1", 1) && has_applied("h2", 1));
    h2->is_stalled = true;
    apply("[{kind: segment, name: web, vni: 5}, {kind: router, name: web}]");
    ASSERT_TRUE(eventually([&] { return host_status("h1")["waiting"].items().size() == 1; }));
    EXPECT_EQ(host_status("h1")["waiting"].items()[0].as_text(), "router/web");
    EXPECT_EQ(host_status("h1")["applied"].as_uint(), 1u) << "not the whole of revision 2";
    EXPECT_TRUE(eventually([&] { return h1->snapshot().find<model::Segment>("web") != nullptr; }));
    EXPECT_FALSE(h1->snapshot().find<model::Router>("web"));
    h2->is_stalled = false;
    h2->release.put(true);
    ASSERT_TRUE(has_applied("h1", 2) && has_applied("h2", 2));
    EXPECT_TRUE(h1->snapshot().find<model::Router>("web"));
    EXPECT_EQ(host_status("h1")["waiting"].items().size(), 0u);
}

}  // namespace
}  // namespace weir::controller
