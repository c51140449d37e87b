#pragma once
#include <gtest/gtest.h>

#include <memory>

#include "features/chain/anchor/decide.hpp"
#include "features/chain/testing/test_host.hpp"

namespace weir::chain::test {

// Decisions on h1, about packets of two_services().
class DecideTest : public ::testing::Test {
protected:
    TestHost& host() {
        if (!host_) host_ = std::make_unique<TestHost>(intent);
        return *host_;
    }
    Decided decide(const std::string& port, CallPoint point, const net::FrameBuilder& frame) {
        dataplane::Packet& p = host().tracked(port, point, frame);
        flow_ = p.flow;
        return decide(p, port, point);
    }
    Decided decide(dataplane::Packet& p, const std::string& port, CallPoint point) {
        return chain::decide(
            *p.flow, {*host().inserts, *host().health, host().port(port), point, p, host().flows,
                      state_lost, outages, host().emit.now_ns, draws});
    }
    Decided out(std::uint16_t src_port, std::uint8_t flags = net::tcp_syn) {
        return decide("g1", CallPoint::egress, tcp(src_port, 80, flags));
    }
    Decided reply(std::uint16_t src_port) {
        return decide("g1", CallPoint::ingress, tcp_reply(src_port, 80));
    }
    // A reply towards g1 begins a record that knows that g1 is the initiator.
    Decided taken_up(std::uint16_t initiator, std::uint16_t responder, std::uint8_t flags) {
        host().tracked("g1", CallPoint::egress, tcp(initiator, responder));
        return decide("g1", CallPoint::ingress, tcp_reply(initiator, responder, flags));
    }
    flow::InsertionDecision record() { return host().flows.insertion(*flow_); }
    // As a node's order changes it.
    template <class F>
    void edit_record(F&& change) {
        flow::InsertionDecision changed = record();
        change(changed);
        ASSERT_TRUE(host().flows.set_insertion(*flow_, changed));
    }
    template <class F>
    void chain(F&& change) {
        edit<ServiceChain>(intent, "c1", std::forward<F>(change));
    }
    void publish() { host().apply(intent); }

    model::Snapshot intent = two_services();
    flow::FlowPair* flow_ = nullptr;
    Outages* outages = nullptr;
    bool state_lost = false;
    Draws* draws = nullptr;

private:
    std::unique_ptr<TestHost> host_;
};

}  // namespace weir::chain::test
