#pragma once
#include <gtest/gtest.h>

#include "features/chain/testing/test_host.hpp"
#include "net/ethernet.hpp"
#include "net/smd_codec.hpp"

namespace weir::chain::test {

// g1's host, with packets as n2's host sends them back.
class ReturnTest : public ::testing::Test {
protected:
    explicit ReturnTest(std::uint32_t workers = 1) : host(remote_path(), "h1", workers) {}
    // The packet of one direction of g1:src_port ↔ g2:80, past its last service.
    Packet& returning(CallPoint point, std::uint16_t src_port = 4000) {
        host.insert(host.tracked("g1", CallPoint::egress, tcp(src_port, 80)));
        Packet* sent = host.in_service();
        if (point == CallPoint::ingress) {
            host.insert(host.tracked("g1", CallPoint::ingress, tcp_reply(src_port, 80)));
            sent = host.in_service();
        }
        Packet& p = host.packet(bytes_of(*sent));
        p.context = static_cast<std::uint8_t>(dataplane::Context::service);
        p.smd = sent->smd;
        p.smd.si = 0;
        p.smd.returning = true;
        p.smd.ttl = 60;
        net::set_macs(p, net::service_plane_mac(1), node_mac(2));
        p.vni = 9001;
        p.tunnel_peer = 4;
        p.destination_port = p.source_port = net::no_port;
        p.oam = false;
        return p;
    }
    Return::Exit give_back(Packet& p) {
        host.arrive(p);
        EXPECT_EQ(p.exit, net::no_exit);
        host.give_back(p);
        return static_cast<Return::Exit>(p.exit);
    }

    TestHost host;
    static constexpr auto passed = static_cast<Return::Exit>(net::no_exit);
};

// A second service segment beside that of the chain.
inline model::Snapshot two_planes() {
    model::Snapshot intent = remote_path();
    model::ServiceSegment other;
    other.name = "other";
    other.svni = 9002;
    other.underlay_trusted = true;
    intent.put(other);
    return intent;
}

}  // namespace weir::chain::test
