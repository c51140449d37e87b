#include "weir/order.hpp"

namespace weir::service {

const char* name(OrderError error) {
    switch (error) {
        case OrderError::none:
            return "none";
        case OrderError::no_packet:
            return "not inside on_packet()";
        case OrderError::already_given:
            return "one order a packet";
        case OrderError::unknown_order:
            return "unknown order";
        case OrderError::bad_scope:
            return "scope does not fit the order";
        case OrderError::bad_parameter:
            return "parameter does not fit the order";
        case OrderError::needs_metadata2:
            return "needs NSH metadata type 2";
    }
    return "unknown";
}

OrderError OrderSlip::write_overload(const FlowOrder& order) {
    if (order.scope != OrderScope::both) return OrderError::bad_scope;
    if ((order.parameter & 0xffff) > whole_share) return OrderError::bad_parameter;
    if (md_type_ == 1) return OrderError::needs_metadata2;
    order_ = order;
    return OrderError::none;
}

OrderError OrderSlip::write(const FlowOrder& order) {
    constexpr std::uint32_t largest_number = 0xffffff;  // of a path or chain
    if (order_.order != Order::none) return OrderError::already_given;
    if (order.order == Order::overload) return write_overload(order);
    if (order.order < Order::allow || order.order > Order::overload)
        return OrderError::unknown_order;
    const auto scope = static_cast<std::uint8_t>(order.scope);
    const bool whole_flow = order.order == Order::change_path ||
                            order.order == Order::change_chain || order.order == Order::tag;
    if (scope < 1 || scope > 3 || (whole_flow && order.scope != OrderScope::both))
        return OrderError::bad_scope;
    if (order.order == Order::change_chain && order.parameter == 0)
        return OrderError::bad_parameter;
    if (order.order != Order::tag && order.parameter > largest_number)
        return OrderError::bad_parameter;
    if (!whole_flow && order.parameter != 0) return OrderError::bad_parameter;
    const bool needs2 = order.parameter != 0 || order.scope != OrderScope::both ||
                        order.order == Order::tag || order.order == Order::change_chain;
    if (md_type_ == 1 && needs2) return OrderError::needs_metadata2;
    order_ = order;
    return OrderError::none;
}

}  // namespace weir::service
