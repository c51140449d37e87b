#pragma once
#include <cstdint>

namespace weir::service {

// What a node wants done with a flow from now on. Weir carries it out where the flow enters the
// service plane; packets that are under way still come.
enum class Order : std::uint8_t {
    none = 0,
    allow = 1,     // no more services for the flow; without privilege exempt_chain: as skip
    drop,          // dropped at its source
    reset,         // … and its sender told; without privilege reset_flow: as drop
    skip,          // the flow passes by this node
    change_path,   // parameter: SPI of a path of the same chain, 0: any without this node
    change_chain,  // parameter: SCI of another chain
    tag,           // parameter: the flow tag that later packets carry
    restore,       // what this node ordered for the flow before is over
    overload,      // about the node, not the flow: fewer new flows for a while; see overload_of()
};

enum class OrderScope : std::uint8_t { both = 3, forward = 1, reverse = 2 };

struct FlowOrder {
    Order order = Order::none;
    OrderScope scope = OrderScope::both;
    std::uint8_t reason = 0;  // the vendor's own; shown in traces
    std::uint32_t parameter = 0;
};

inline constexpr std::uint32_t whole_share = 1000;

// The parameter of an overload order: the share of new flows that the node would like of those it
// would get, in thousandths, for so many seconds (0: ten). A whole share ends it early.
constexpr std::uint32_t overload_of(std::uint16_t share, std::uint16_t seconds) {
    return std::uint32_t{seconds} << 16 | share;
}

// Why an order was not taken.
enum class OrderError : std::uint8_t {
    none = 0,
    no_packet,       // not inside on_packet()
    already_given,   // one order a packet
    unknown_order,   // none, or no enumerator
    bad_scope,       // no enumerator, or not both where the order concerns the whole flow
    bad_parameter,   // does not fit 24 bits, names no chain, or the order takes none
    needs_metadata2  // NSH metadata type 1 carries neither parameters nor scopes, nor tags and
                     // chains
};
const char* name(OrderError);

// The one order that may go with a packet; the library gives a fresh slip with each.
class OrderSlip {
public:
    explicit OrderSlip(std::uint8_t md_type) : md_type_(md_type) {}
    OrderError write(const FlowOrder& order);
    const FlowOrder& order() const { return order_; }
    explicit operator bool() const { return order_.order != Order::none; }

private:
    OrderError write_overload(const FlowOrder& order);
    FlowOrder order_;
    std::uint8_t md_type_;
};

}  // namespace weir::service
