#include "features/chain/anchor/decide.hpp"

#include "features/chain/anchor/selection.hpp"
#include "net/smd.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

using flow::FlowPair;
using flow::InsertionDecision;
using flow::ServiceVerdict;

CallPoint opposite(CallPoint point) {
    return point == CallPoint::egress ? CallPoint::ingress : CallPoint::egress;
}

// The outcome of the rules for one flow.
struct Target {
    const CompiledRule* rule = nullptr;
    const Chain* chain = nullptr;  // null: no services
    CallPoint initiator = CallPoint::egress;
    bool midflow = false;
};

class Judge {
public:
    Judge(FlowPair& pair, const DecideInput& input)
        : pair_(pair),
          record_(input.flows.insertion(pair)),
          input_(input),
          plane_(*input.tables.plane),
          revision_(input.tables.revision(input.port)),
          generation_(input.health.generation.load(std::memory_order_acquire)) {}

    Decided run() {
        const InsertionDecision before = record_;
        out_.fresh = record_.revision == 0;
        if (record_.revision == revision_) {
            keep();
        } else {
            ask_rules();
        }
        out_.reverse = static_cast<std::uint8_t>(input_.call_point) != record_.initiator_call_point;
        if (record_ != before && !input_.flows.set_insertion(pair_, record_)) no_room();
        return out_;
    }

private:
    ServiceVerdict verdict() const {
        const bool reverse =
            static_cast<std::uint8_t>(input_.call_point) != record_.initiator_call_point;
        return record_.verdict[reverse];
    }

    // What nodes want of this direction; none: that it has its services (CT-2).
    Decision ordered() const {
        const bool reverse =
            static_cast<std::uint8_t>(input_.call_point) != record_.initiator_call_point;
        const std::uint8_t orders = record_.orders_of(reverse);
        if (orders & flow::order_reset) return Decision::reset;
        if (orders & flow::order_drop) return Decision::drop;
        return orders & flow::order_allow ? Decision::exempt : Decision::none;
    }

    // The chain that the rules gave the flow, whatever a node made of it.
    std::uint32_t ruled_sci() const {
        return record_.ruled_sci != 0 ? record_.ruled_sci : record_.sci;
    }

    // The rules are those the flow was decided under. What about its path?
    void keep() {
        const Chain* chain = plane_.chain(record_.sci);
        if (chain && ordered() != Decision::none) return settle(ordered(), chain);
        switch (verdict()) {
            case ServiceVerdict::redirect:
                if (chain) return keep_path(*chain);
                break;
            case ServiceVerdict::bypass_fail:
                if (chain) return keep_bypass(*chain);
                break;
            case ServiceVerdict::no_service:
                return settle(Decision::pass, chain);
            case ServiceVerdict::foreign:
                return settle(Decision::foreign, chain);
            case ServiceVerdict::reset:
                if (chain) return settle(Decision::cut_off, chain);
                break;
            default:
                break;
        }
        ask_rules();
    }

    // A path that is not pinned would be chosen again for every packet.
    void no_room() {
        const Chain* chain = out_.chain;
        if (out_.what == Decision::cut_off) return;
        out_.new_on_path = false;
        settle(chain ? without_path(chain->failure_policy) : Decision::bypass, chain);
    }

    void settle(Decision what, const Chain* chain, const Path* path = nullptr) {
        out_.what = what;
        out_.chain = chain;
        out_.path = path;
    }

    void keep_path(const Chain& chain) {
        const Path* path = chain.path(record_.spi);
        const bool unchanged =
            record_.failed_paths_generation == generation_ && record_.revision == revision_;
        if (!path || !(unchanged || is_usable(*path, plane_.host_id, input_.health))) {
            const Path* other = chain.reselect_midflow ? select(chain) : nullptr;
            return other ? put_on(chain, *other) : fail(chain);
        }
        record_.path_epoch = path->epoch;
        record_.failed_paths_generation = generation_;
        record_.revision = revision_;
        settle(Decision::redirect, &chain, path);
    }

    // A flow that went on without services stays so, unless the chain takes such flows back or does
    // not let packets pass any more.
    void keep_bypass(const Chain& chain) {
        const bool block = chain.failure_policy != FailurePolicy::allow;
        const bool changed =
            record_.failed_paths_generation != generation_ || record_.revision != revision_;
        if (changed && (chain.repull_bypassed || block)) {
            if (const Path* path = select(chain)) return put_on(chain, *path);
            if (block) return fail(chain);
        }
        record_.failed_paths_generation = generation_;
        record_.revision = revision_;
        settle(Decision::bypass, &chain);
    }

    const CompiledRule* find(const net::Tuple& tuple, bool outgoing) const {
        return input_.tables.rules.find(input_.port, tuple, outgoing);
    }

    bool is_midflow() const {
        if (!out_.fresh) return false;
        if (pair_.key.tuple.proto != net::proto_tcp) return input_.state_lost;
        const std::uint8_t flags = input_.packet.headers.tcp_flags;
        return (flags & (net::tcp_syn | net::tcp_ack)) != net::tcp_syn;
    }

    // A record of TCP that neither a SYN nor a SYN+ACK began has the lower port for the responder,
    // unless the firewall lets only the other end begin (dataplane/adoption.hpp). Records of other
    // protocols begin as they are seen.
    bool is_initiator_known() const {
        const net::Tuple& tuple = pair_.key.tuple;
        return tuple.proto == net::proto_tcp &&
               (tuple.src_port < tuple.dst_port ||
                (input_.packet.headers.tcp_flags & net::tcp_syn) != 0);
    }

    Target classify() const {
        const net::Tuple& tuple = pair_.key.tuple;
        const bool outgoing = pair_.initiator_outside == 0;
        const CallPoint seen = outgoing ? CallPoint::egress : CallPoint::ingress;
        const bool turned = !out_.fresh && (record_.flags & flow::insertion_midflow) != 0 &&
                            record_.initiator_call_point != static_cast<std::uint8_t>(seen);
        const auto target = [&](const CompiledRule* rule, CallPoint initiator, bool midflow) {
            return Target{rule, rule ? plane_.chain(rule->sci) : nullptr, initiator, midflow};
        };
        if (turned) return target(find(tuple.reversed(), !outgoing), opposite(seen), true);
        const Target forward = target(find(tuple, outgoing), seen, is_midflow());
        if (!forward.midflow || is_initiator_known()) return forward;
        // DP-11: the first packet we see may be a reply, also where its record does not say so.
        const Target reply = target(find(tuple.reversed(), !outgoing), opposite(seen), true);
        if (!reply.chain) return forward;
        const bool lower_source = tuple.proto != net::proto_tcp && tuple.src_port < tuple.dst_port;
        return !forward.chain || lower_source ? reply : forward;
    }

    void ask_rules() {
        out_.exempt = is_exempt(pair_.key.tuple);
        out_.looked_up = !out_.exempt;
        const Target target = out_.exempt ? Target{} : classify();
        out_.rule = target.rule;
        if (target.rule && target.rule->unknown_chain) return without_chain(target);
        if (!target.chain) return without_services(target);
        const bool same = !out_.fresh && ruled_sci() == target.chain->sci;
        const Chain* chain = same ? plane_.chain(record_.sci) : nullptr;
        if (chain) {
            record_.rule_id = target.rule->id;
            if (ordered() != Decision::none) {
                record_.revision = revision_;
                return settle(ordered(), chain);
            }
            switch (verdict()) {
                case ServiceVerdict::redirect:
                    return keep_path(*chain);
                case ServiceVerdict::bypass_fail:
                    return keep_bypass(*chain);
                case ServiceVerdict::foreign:
                    record_.revision = revision_;
                    return settle(Decision::foreign, chain);
                case ServiceVerdict::reset:
                    record_.revision = revision_;
                    return settle(Decision::cut_off, chain);
                default:
                    break;
            }
        }
        if (is_foreign(target)) {
            start(target, ServiceVerdict::foreign);
            return settle(Decision::foreign, target.chain);
        }
        const Path* path = select(*target.chain);
        if (!path) return fail_new(target);
        start(target, ServiceVerdict::redirect);
        take(*target.chain, *path);
    }

    void without_services(const Target& target) {
        start(target, ServiceVerdict::no_service);
        settle(Decision::pass, nullptr);
    }

    // OBJ-20. What is let pass is remembered: when the chain is known, the rules are others.
    void without_chain(const Target& target) {
        out_.unknown_chain = true;
        const Decision what = without_path(target.rule->failure_policy);
        settle(what, nullptr);
        if (what == Decision::bypass) return start(target, ServiceVerdict::no_service);
        if (what != Decision::cut_off) return;
        out_.failed = record_.verdict[0] != ServiceVerdict::reset;
        if (!out_.fresh) start(target, ServiceVerdict::reset);
    }

    // DP-28: the source's anchor has applied this chain already.
    bool is_foreign(const Target& target) const {
        const net::HandOver& hand = input_.packet.hand;
        return target.initiator == CallPoint::ingress && input_.call_point == CallPoint::ingress &&
               (hand.serviced_flags & (net::serviced_flag | net::exempted_flag)) != 0 &&
               hand.serviced_sci == target.chain->sci &&
               target.chain->duplicate_policy == DuplicatePolicy::once;
    }

    const Path* select(const Chain& chain) const {
        const std::uint32_t number =
            number_of(chain, pair_.key.vni, pair_.key.tuple, {input_.draws, input_.now_ns});
        return select_path(chain, plane_.host_id, input_.health, number);
    }

    // A new decision: whatever nodes had set for the flow is gone.
    void start(const Target& target, ServiceVerdict verdict) {
        InsertionDecision fresh;
        fresh.verdict = {verdict, verdict};
        fresh.rule_id = target.rule ? target.rule->id : 0;
        fresh.sci = target.chain ? target.chain->sci : 0;
        fresh.initiator_call_point =
            target.rule ? static_cast<std::uint8_t>(target.initiator) : pair_.initiator_outside;
        fresh.flags = target.midflow ? flow::insertion_midflow : std::uint8_t{0};
        fresh.revision = revision_;
        fresh.failed_paths_generation = generation_;
        if (!out_.fresh && record_.verdict[0] == ServiceVerdict::redirect)
            out_.left_spi = record_.spi;
        record_ = fresh;
    }

    void take(const Chain& chain, const Path& path) {
        record_.spi = path.spi;
        record_.path_epoch = path.epoch;
        out_.new_on_path = true;
        settle(Decision::redirect, &chain, &path);
    }

    // The same chain, another path.
    void put_on(const Chain& chain, const Path& path) {
        if (record_.verdict[0] == ServiceVerdict::redirect && record_.spi != path.spi) {
            out_.left_spi = record_.spi;
            record_.previous_spi = record_.spi;
            record_.previous_spi_valid = 1;
        }
        record_.verdict = {ServiceVerdict::redirect, ServiceVerdict::redirect};
        record_.skip[0] = record_.skip[1] = 0;
        record_.failed_paths_generation = generation_;
        record_.revision = revision_;
        take(chain, path);
    }

    static Decision without_path(FailurePolicy policy) {
        switch (policy) {
            case FailurePolicy::allow:
                return Decision::bypass;
            case FailurePolicy::reset:
                return Decision::cut_off;
            case FailurePolicy::block:
                break;
        }
        return Decision::no_active_path;
    }

    // Whether the flow may wait for a path: any, or the one with this SPI.
    bool waits(const Chain& chain, std::uint32_t spi) {
        if (!input_.outages || chain.hold_packets == 0) return false;
        out_.outage = Outages::key(chain.sci, spi);
        if (!input_.outages->may_wait(out_.outage, chain.hold_ns, input_.now_ns)) return false;
        settle(Decision::wait, &chain);
        return true;
    }

    void fail(const Chain& chain) {
        if (waits(chain, chain.reselect_midflow ? 0 : record_.spi)) return;
        const Decision what = without_path(chain.failure_policy);
        if (what == Decision::no_active_path) return settle(what, &chain);
        if (record_.verdict[0] == ServiceVerdict::redirect) out_.left_spi = record_.spi;
        const ServiceVerdict verdict =
            what == Decision::bypass ? ServiceVerdict::bypass_fail : ServiceVerdict::reset;
        record_.verdict = {verdict, verdict};
        record_.failed_paths_generation = generation_;
        record_.revision = revision_;
        out_.failed = true;
        settle(what, &chain);
    }

    void fail_new(const Target& target) {
        if (waits(*target.chain, 0)) return;
        if (target.chain->failure_policy == FailurePolicy::allow) {
            start(target, ServiceVerdict::bypass_fail);
            out_.failed = true;
            return settle(Decision::bypass, target.chain);
        }
        settle(without_path(target.chain->failure_policy), target.chain);
        if (out_.what != Decision::cut_off) return;
        out_.failed = true;
        if (!out_.fresh) start(target, ServiceVerdict::reset);
    }

    FlowPair& pair_;
    InsertionDecision record_;
    const DecideInput& input_;
    const Plane& plane_;
    const std::uint32_t revision_, generation_;
    Decided out_;
};

}  // namespace

Decided decide(FlowPair& pair, const DecideInput& input) {
    return Judge(pair, input).run();
}

}  // namespace weir::chain
