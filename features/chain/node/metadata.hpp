#pragma once
#include "features/chain/anchor/decide.hpp"
#include "flow/table.hpp"
#include "net/smd.hpp"

namespace weir::chain {

// A packet that enters the service plane at its anchor.
struct Entering {
    const dataplane::PortEntry& port;
    const flow::FlowPair& pair;
    const Path& path;
    const flow::InsertionDecision& record;
    const Plane& plane;
    const flow::Table& flows;
    const std::uint8_t* frame = nullptr;
    bool reverse = false;
    CallPoint point = CallPoint::egress;
};

// 3.4 step 6: everything the way back needs stands in the metadata, nothing waits at the anchor.
inline void fill_metadata(net::Smd& smd, const Entering& e) {
    smd = {};
    smd.sci = e.record.sci;
    smd.spi = e.path.spi;
    smd.initial_si = static_cast<std::uint8_t>(e.path.hops[e.reverse].size());
    smd.si = smd.initial_si;
    smd.path_epoch = e.path.epoch;
    smd.ttl = e.path.initial_ttl;
    smd.reverse = e.reverse;
    smd.at_ingress = e.point == CallPoint::ingress;
    smd.tenant_vni = e.port.vni;
    smd.anchor_host = e.plane.host_id;
    smd.anchor_port = e.port.anchor_id();
    smd.flow_handle = e.flows.make_handle(e.pair);
    smd.flow_tag = e.record.flow_tag;
    smd.skip_mask = e.record.skip[e.reverse];
    smd.original_dst = net::Mac::from(e.frame);
    smd.original_src = net::Mac::from(e.frame + 6);
}

}  // namespace weir::chain
