#include <algorithm>
#include <iterator>

#include "apps/host/metrics_page.hpp"

namespace weir::host {
namespace {

struct Help {
    std::string_view family, text;
};

// By name. lab.command fails when a family is served that has no line here.
constexpr Help helps[] = {
    {"weir_address_reports_total", "Addresses learned on ports and told to the controller."},
    {"weir_applied_revision", "Revision of the snapshot this host runs."},
    {"weir_auth_refused_packets_total",
     "Packets of other hosts that were not signed as they must be, by reason."},
    {"weir_delivered_packets_total", "Packets handed to guests."},
    {"weir_drops_total", "Packets that ended here, by reason (STAGE.WHY)."},
    {"weir_events_lost_total", "Events that found no room on their way to the controller."},
    {"weir_express_flows_total", "Flow records made on the short way."},
    {"weir_express_fused_packets_total",
     "Packets between guests of this host that passed both their records with one look-up."},
    {"weir_express_packets_total",
     "Packets of decided flows that took the short way, once at each guest port they passed."},
    {"weir_firewall_decisions_total", "Flows decided by the firewall's rules."},
    {"weir_firewall_restamps_total", "Flows that a change of rules did not concern."},
    {"weir_firewall_rule_hits_total", "Flows decided by each rule of the firewall."},
    {"weir_flows", "Flows there are now."},
    {"weir_flows_by_kind", "Flows there are now, by what they are to a full table."},
    {"weir_flows_capacity", "Flows the table has room for."},
    {"weir_flows_evicted_total", "Flows that gave way in a full table, by what they were."},
    {"weir_flows_expired_total", "Flows that ended by their idle time."},
    {"weir_flows_inserted_total", "Flows that began."},
    {"weir_flows_refused_total",
     "Flows that did not begin, by reason: full (nothing could give way), crowded (too many of one "
     "hash)."},
    {"weir_flows_renewed_total",
     "Directions of flows that went on under new rules without being decided again: no change "
     "concerned them."},
    {"weir_flows_without_insertion_total",
     "Times what was decided about a flow's services found no room; its chain's failure policy "
     "holds."},
    {"weir_fragmented_packets_total", "Packets cut into fragments."},
    {"weir_insertion_bytes_total", "Bytes that met service insertion, by port and call point."},
    {"weir_insertion_ct_hits_total", "Packets whose flow had a record at service insertion."},
    {"weir_insertion_ct_misses_total", "Packets whose flow had none."},
    {"weir_insertion_fragmented_total", "Packets too large for their path, cut into fragments."},
    {"weir_insertion_handed_on_total",
     "Packets back from services that went to the worker of their flow."},
    {"weir_insertion_midflow_total",
     "Flows seen by service insertion for the first time in their middle."},
    {"weir_insertion_packets_total", "Packets that met service insertion, by port and call point."},
    {"weir_insertion_results_total", "Packets by what service insertion did with them."},
    {"weir_insertion_resumed_total",
     "Packets that resumed their way, by what became of their flow's program."},
    {"weir_insertion_returned_total", "Packets back from their services that resumed their way."},
    {"weir_insertion_returned_without_record_total",
     "Of those, packets whose flow had ended meanwhile."},
    {"weir_insertion_rule_lookups_total", "Flows looked up in the service rules."},
    {"weir_insertion_translations_total",
     "Further addresses and ports that flows got from nodes that translate."},
    {"weir_neighbour_answers_total", "ARP and ND questions of guests answered here."},
    {"weir_neighbour_questions_flooded_total", "ARP and ND questions nobody here could answer."},
    {"weir_orders_applied_total",
     "Orders of service nodes that anchors here carried out, by order."},
    {"weir_orders_expired_total", "Orders whose time was over."},
    {"weir_orders_generation", "Grows with every order that is carried out, on each worker."},
    {"weir_orders_handed_on_total", "Orders that went to the worker of their flow."},
    {"weir_orders_received_total",
     "Orders that reached anchors here, on a packet or as a message of their own."},
    {"weir_orders_sent_total",
     "Orders that nodes here gave, on a packet or as a message of their own."},
    {"weir_orders_standing", "Orders that are remembered now."},
    {"weir_packets_capacity", "Packet buffers there are."},
    {"weir_packets_in_use", "Packet buffers in use."},
    {"weir_port_bytes_total", "Bytes by port; rx: received from its device."},
    {"weir_port_drops_total", "Packets lost at a port's device, by reason."},
    {"weir_port_packets_total", "Packets by port; rx: received from its device."},
    {"weir_replicated_packets_total", "Copies made of broadcast and multicast packets."},
    {"weir_segmented_packets_total", "Packets cut out of super-frames."},
    {"weir_service_arrivals_total",
     "Packets from the service plane's tunnels, by whom they were for."},
    {"weir_service_chain_blocked_total", "Packets dropped because their chain was not usable."},
    {"weir_service_chain_bypass_engaged_total",
     "Times flows went on without a chain that was not usable."},
    {"weir_service_chain_flows_total", "Flows given to each chain."},
    {"weir_service_chain_offloaded_bytes_total",
     "Bytes that orders of nodes kept from a chain's services: let through, dropped, or past some "
     "nodes."},
    {"weir_service_chain_offloaded_packets_total",
     "Packets that orders of nodes kept from a chain's services."},
    {"weir_service_chain_path_switch_total", "Flows that changed their path."},
    {"weir_service_context_conflicts_total",
     "Packets refused because another flow's with the same addresses were in their node."},
    {"weir_service_copies_total", "Copies for nodes that only listen."},
    {"weir_service_frames_segmented_total", "Packets cut out of super-frames from nodes."},
    {"weir_service_hops_skipped_total", "Hops left out, by reason."},
    {"weir_service_legs_total", "Ways to a next hop, on this host and to others."},
    {"weir_service_node_answered_total", "Heartbeats each node answered."},
    {"weir_service_node_answers_total", "Heartbeat frames that came back from each node."},
    {"weir_service_node_contexts", "Contexts in use at each node."},
    {"weir_service_node_down_messages_total", "Messages about dead nodes between hosts."},
    {"weir_service_node_flaps_total", "Times each node went down."},
    {"weir_service_node_latency_seconds", "Time packets spent in each node."},
    {"weir_service_node_memory_missing",
     "1 if what is remembered of nodes found no room in the vault."},
    {"weir_service_node_missed_total", "Heartbeats each node did not answer."},
    {"weir_service_node_orders_total", "Orders of each node, by what its proxy made of them."},
    {"weir_service_node_packets_total", "Packets given to and taken from each node."},
    {"weir_service_node_questions_total", "Heartbeats sent to each node."},
    {"weir_service_node_slow", "1 if packets take longer through the node than its limit allows."},
    {"weir_service_node_unreturned_total", "Packets each node did not give back within a second."},
    {"weir_service_node_up", "1 if packets pass the node."},
    {"weir_service_path_bytes_total", "Bytes sent along each path."},
    {"weir_service_path_new_flows_total", "Flows that began on each path."},
    {"weir_service_path_packets_total", "Packets sent along each path."},
    {"weir_service_path_switched_in_total", "Flows that changed to each path."},
    {"weir_service_path_switched_out_total", "Flows that left each path."},
    {"weir_service_return_ttl_total", "Returns to the anchor by the service TTL that was left."},
    {"weir_service_rule_bytes_total", "Bytes of flows by service rule."},
    {"weir_service_rule_hits_total", "Flows chosen by each service rule."},
    {"weir_service_rule_packets_total", "Packets of flows by service rule."},
    {"weir_service_rule_sessions_total", "Sessions by service rule."},
    {"weir_service_watched_flows_total",
     "Flows whose directions were compared, and those whose replies met other nodes."},
    {"weir_serviced_mark_ignored_total",
     "Tunnelled packets whose mark \"has had its services\" was not believed."},
    {"weir_tunnel_received_packets_total", "Packets taken out of tunnels."},
    {"weir_tunnel_sent_packets_total", "Packets sent into tunnels."},
    {"weir_underlay_questions_total", "Neighbours asked for on the underlay."},
    {"weir_worker_busy_seconds_total", "Time each worker handled packets."},
    {"weir_worker_idle_seconds_total", "Time each worker had nothing to do."},
    {"weir_worker_received_total", "Packets each worker took from its ports."},
};
static_assert(std::is_sorted(std::begin(helps), std::end(helps),
                             [](const Help& a, const Help& b) { return a.family < b.family; }));

}  // namespace

std::string_view metric_help(std::string_view family) {
    const auto at = std::lower_bound(
        std::begin(helps), std::end(helps), family,
        [](const Help& help, std::string_view name) { return help.family < name; });
    return at != std::end(helps) && at->family == family ? at->text : std::string_view();
}

}  // namespace weir::host
