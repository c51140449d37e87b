#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "weir/handler.hpp"

namespace weir::service {

struct Error {
    std::string field;    // of Options, or empty
    std::string message;  // what is wrong and what to do
};

struct Options {
    std::string interface;       // the node's one interface towards Weir
    bool decrements_si = false;  // must agree with the service's can_decrement_si
};

// A service-metadata-aware node on a network interface: one thread, one AF_PACKET socket.
//
//   auto opened = Node::open({.interface = "eth0"}, service);
//   if (auto* error = std::get_if<Error>(&opened)) …
//   auto& node = *std::get<std::unique_ptr<Node>>(opened);
//   while (running) if (auto error = node.poll(250)) …
class Node {
public:
    // Needs CAP_NET_RAW. `service` must outlive the node.
    static std::variant<std::unique_ptr<Node>, Error> open(const Options& options,
                                                           Service& service);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // Waits up to `timeout_ms` for packets and handles what is there, at most
    // `max_packets_per_poll` of them. Returns early on a signal. An Error means that the interface
    // is gone or misuse.
    std::unique_ptr<Error> poll(int timeout_ms);

    const Counters& counters() const { return handler_.counters(); }

    static constexpr int max_packets_per_poll = 256;

private:
    Node(int socket, unsigned interface, const Handler& handler);
    std::unique_ptr<Error> send(std::span<const std::uint8_t> frame);
    std::unique_ptr<Error> receive_one(bool& more);

    int socket_;
    unsigned interface_;  // index
    Handler handler_;
    std::vector<std::uint8_t> buffer_;
    bool polling_ = false;
};

}  // namespace weir::service
