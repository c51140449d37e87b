#pragma once
#include <string>

#include "model/core_resources.hpp"

namespace weir::switching {

// An address that a guest was heard to use, on a port that learns (`learn_addresses`). Reported by
// the port's host; every host then knows it like a declared one.
struct PortAddress {
    std::string name;
    std::string port;
    net::Ip address;

    static constexpr auto schema() {
        using namespace model;
        return made_resource("port-address", "An address learned on a port. Made by Weir.", "",
                             key(&PortAddress::name, "name", "Port and address."),
                             field(&PortAddress::port, "port", "Name of the port."),
                             field(&PortAddress::address, "address", "The address."));
    }
};

inline constexpr std::size_t max_learned_addresses = 16;  // per port

}  // namespace weir::switching
