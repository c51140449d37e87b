#pragma once
#include "dataplane/pipeline.hpp"
#include "features/chain/anchor/insert.hpp"
#include "features/chain/anchor/return.hpp"
#include "features/chain/anchor/stub.hpp"
#include "features/chain/hop/arrive.hpp"
#include "features/chain/hop/resolve.hpp"
#include "features/chain/liveness/bfd.hpp"
#include "features/chain/liveness/liveness.hpp"
#include "features/chain/node/from_node.hpp"
#include "features/chain/node/to_node.hpp"
#include "features/chain/orders/orders.hpp"
#include "features/firewall/stage.hpp"
#include "features/guard/stage.hpp"
#include "features/overlay/encap.hpp"
#include "features/overlay/underlay.hpp"
#include "features/parse/fragments.hpp"
#include "features/parse/stage.hpp"
#include "features/routing/stage.hpp"
#include "features/switching/egress.hpp"
#include "features/switching/learn.hpp"
#include "features/switching/locate.hpp"
#include "features/switching/neighbours.hpp"
#include "features/switching/switch.hpp"
#include "features/tracking/stage.hpp"
#include "features/ttl/stage.hpp"

// The whole data plane, visible: order is meaning. A packet meets the stages of its context from
// top to bottom; dataplane/README.md says when a context starts.
namespace weir::features {

using dataplane::StageList;

// A guest port received a frame.
using Source = StageList<parse::Parse,           //
                         guard::Guard,           //
                         parse::Fragments,       //
                         switching::Learn,       //
                         switching::Neighbours,  //
                         tracking::Track,        //
                         firewall::Firewall,     //
                         tracking::Settle,       //
                         chain::Insert,          //
                         switching::Switch,      //
                         routing::Route,         //
                         ttl::Ttl,               //
                         switching::Egress,      //
                         overlay::Encap>;

// A packet is about to reach a guest port of this host.
using Destination = StageList<parse::Fragments,    //
                              switching::Learn,    //
                              tracking::Track,     //
                              tracking::Settle,    //
                              chain::Insert,       //
                              firewall::Firewall,  //
                              switching::Deliver>;

// The underlay port received a frame.
using Underlay = StageList<overlay::Outer,  //
                           overlay::Decap,  //
                           switching::Locate>;

// A packet is on the service plane: from an anchor, a tunnel, or a service node.
using Service = StageList<chain::Arrive,    //
                          chain::Liveness,  //
                          chain::Bfd,       //
                          chain::FromNode,  //
                          chain::Resolve,   //
                          chain::Stub,      //
                          chain::Orders,    //
                          chain::Return,    //
                          chain::ToNode,    //
                          overlay::Encap>;

using Plane = dataplane::Plane<Source, Destination, Underlay, Service>;

// Where the stages that others must know stand.
constexpr dataplane::StageMap stage_map() {
    dataplane::StageMap map;
    map.all = {Source::all, Destination::all, Underlay::all, Service::all};
    map.behind_tracking = {Source::behind<tracking::Track>(),
                           Destination::behind<tracking::Track>()};
    map.insertion = {Source::bit_of<chain::Insert>(), Destination::bit_of<chain::Insert>()};
    map.behind_insertion = {Source::behind<chain::Insert>(), Destination::behind<chain::Insert>()};
    map.service_from_tunnel = Service::from<chain::Arrive>() & ~Service::bit_of<chain::FromNode>();
    map.service_from_node = Service::from<chain::FromNode>();
    map.service_from_anchor = Service::from<chain::Resolve>();
    map.deliver = Destination::bit_of<switching::Deliver>();
    map.ttl = Source::bit_of<ttl::Ttl>();
    map.egress = Source::bit_of<switching::Egress>();
    map.encap = Source::bit_of<overlay::Encap>();
    return map;
}

}  // namespace weir::features
